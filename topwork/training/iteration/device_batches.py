"""Let the backend look up the rows of each step itself, if all activations of a phase are in memory.

TensorFlow does this inside its training step, on any device. Python then passes the order of rows for many steps at
once instead of one batch per step, and no thread hands batches over. At a pooled end, where a step takes 0.3 ms,
handing over took as long as the step (docs/log.md, 2026-11-24).

With JAX and torch this is done only on a GPU, which then keeps the activations in its memory (`OnDevice`). Otherwise
each step would wait until its activations are copied to the GPU.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from topwork.store.store import ALIGNED
from topwork.system import gpu, keras_backend
from topwork.training.iteration.batches import Feed, targets

AT_ONCE = 1000
"""For how many steps Python passes the order of rows at once, because calls from TensorFlow into Python are slow."""


def reader(model: keras.Model, feed: Feed) -> Callable[[Feed], Any]:
    """Return a function from a feed to what Keras' ``fit`` reads.

    This is the feed itself, an `OnDevice`, or with TensorFlow only the numbers of its rows. In the last case
    ``model.train_step`` is replaced by a step that looks up the rows; ``fit`` compiles the look-up and the step into
    one graph. Two alternatives are worse:

    - A ``map`` over the dataset would gather the rows in another thread and hand them over in each step. This is the
      cost that is saved here.
    - A subclass of ``keras.Model`` with a different step would be visible to callbacks.

    Args:
        model: compiled. If its step is replaced, the step takes only row numbers from then on. The model of a phase is
            trained in no other way.
        feed: the feed of some epochs; the feeds of other epochs of the phase are read in the same way.
    """
    if any(source.kept is None for source in feed.part.sources):
        return lambda feed: feed
    if keras_backend.name() != "tensorflow":
        return OnDevice if gpu.at_hand() else lambda feed: feed
    step, rows_at = model.train_step, look_up(feed)
    model.train_step = lambda order: step(rows_at(order))
    # Build here what ``fit`` would build from its first batch, as that batch has only row numbers.
    some = np.zeros((1, feed.classes if feed.training.loss == "categorical" else 1), np.float32)
    model.compute_loss(y=some, y_pred=some)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return orders


class OnDevice(keras.utils.PyDataset):
    """A feed with its activations in a GPU's memory: the GPU looks them up, and no step waits until they are copied.

    Args:
        feed: the feed; all its activations must be in memory.
    """

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self._feed = feed
        self._kept = [ops.convert_to_tensor(array) for source in feed.part.sources for array in source.kept or ()]
        answers = targets(feed.part.labels, feed.classes, feed.training.loss)
        tables = [answers] if feed.weights is None else [answers, feed.weights]
        self._tables = [ops.convert_to_tensor(table) for table in tables]
        self._look_up = keras_backend.compiled(_rows)

    def __len__(self) -> int:
        return len(self._feed)

    def __getitem__(self, step: int) -> tuple:
        """Return the same batch as the feed, bit for bit."""
        rows, places = self._feed.order_at(step)
        inputs, answers = self._look_up(self._kept, places), self._look_up(self._tables, rows)
        return inputs[0] if len(inputs) == 1 else tuple(inputs), *answers


def _rows(arrays: list[Any], where: Any) -> list[Any]:
    """Return the rows *where* of each array; floats become float32."""
    taken = [ops.take(array, where, axis=0) for array in arrays]
    return [ops.cast(a, "float32") if "float" in str(a.dtype) else a for a in taken]


def orders(feed: Feed) -> Any:
    """Return a ``tf.data.Dataset`` with the rows and places of each step, int64 ``[2, batch]``.

    If a step is short, it is padded with -1.
    """
    import tensorflow as tf

    spec = tf.TensorSpec((None, 2, feed.batch_size), tf.int64)
    found = tf.data.Dataset.from_generator(lambda: _epochs(feed), output_signature=spec)
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1  # the other threads are for the training step
    options.threading.max_intra_op_parallelism = 1
    return found.prefetch(1).unbatch().with_options(options)


def look_up(feed: Feed) -> Callable[[Any], tuple]:
    """Return a function from rows and places to the batch that the feed returns for them, the same bit for bit."""
    import tensorflow as tf

    kept = [_tensor(array) for source in feed.part.sources for array in source.kept or ()]
    labels = feed.part.labels
    is_binary = feed.training.loss == "binary"
    answers = tf.cast(labels[:, None], tf.float32) if is_binary else tf.one_hot(labels, feed.classes)
    weights = () if feed.weights is None else (tf.constant(feed.weights),)
    is_short = feed.steps * feed.batch_size > len(feed.part)

    def rows_at(order: Any) -> tuple:
        if is_short:
            order = order[:, : tf.math.count_nonzero(order[0] >= 0)]
        rows, places = tf.unstack(order)
        inputs = []
        for array in kept:  # floats, and the bits of float16, become float32; pixels stay as they are
            some = tf.gather(array, places)
            some = tf.bitcast(some, tf.float16) if some.dtype == tf.uint16 else some
            inputs.append(tf.cast(some, tf.float32) if some.dtype.is_floating else some)
        targets_and_weights = (tf.gather(table, rows) for table in (answers, *weights))
        return inputs[0] if len(inputs) == 1 else tuple(inputs), *targets_and_weights

    return rows_at


def _epochs(feed: Feed) -> Iterator[np.ndarray]:
    """Yield the steps of several epochs in one array ``[steps, 2, rows]``.

    If the last step of an epoch is short, it is padded with -1.
    """
    first, last = feed.epochs
    several = max(1, AT_ONCE // feed.steps)
    for start in range(first, last, several):
        found = []
        for epoch in range(start, min(start + several, last)):
            order = np.stack(feed.order_of(epoch))
            lacking = feed.steps * feed.batch_size - order.shape[1]
            filled = np.pad(order, ((0, 0), (0, lacking)), constant_values=-1)
            found.append(filled.reshape(2, feed.steps, feed.batch_size).swapaxes(0, 1))
        yield np.concatenate(found)


def _tensor(array: np.ndarray) -> Any:
    """Return an array as a tensor in the same memory, or a copy if it is not contiguous or not aligned to 64 bytes.

    TensorFlow's kernels need that alignment. float16 is passed as its bits, uint16: for a graph that contains float16,
    TensorFlow prints an error that oneDNN needs AVX-512 for it.
    """
    import tensorflow as tf

    array = array.view(np.uint16) if array.dtype == np.float16 else array
    aligned = array.ctypes.data % ALIGNED == 0 and array.flags.c_contiguous
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__()) if aligned else tf.constant(array)
