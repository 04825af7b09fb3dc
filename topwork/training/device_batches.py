"""Where a phase's activations lie in memory, the backend looks the rows of a step up itself.

TensorFlow's step does it on any device. Python then gives the orders of many epochs at once instead of a batch a step,
and no thread hands batches over: at a pooled end, where a step takes 0.3 ms, that took as long again (docs/log.md,
2026-11-24). With JAX and torch a GPU holds the activations (`OnDevice`): else each step would wait for their way there.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from topwork.store.store import ALIGNED
from topwork.system import gpu, keras_backend
from topwork.training.batches import Feed, targets

AT_ONCE = 1000
"""Steps whose orders Python gives at once: TensorFlow asks it slowly."""


def streamed(model: keras.Model, feed: Feed) -> Any:
    """What Keras' ``fit`` reads: *feed* itself, or the same from a GPU's memory; on TensorFlow the numbers of its rows,
    after teaching the model's step to look them up.

    That replaces ``model.train_step``, and no other place is as good: a ``map`` over the dataset would gather the rows
    in a thread of their own and hand them over, step by step, which is what this saves; a subclass of ``keras.Model``
    with a step of its own would stand in the model that callbacks see. In the step it is part of the one graph that
    ``fit`` compiles.

    Args:
        model: compiled. Its ``train_step`` takes such numbers from then on; that of a phase is trained by this alone.
    """
    if any(source.kept is None for source in feed.part.sources):
        return feed
    if keras_backend.name() != "tensorflow":
        return OnDevice(feed) if gpu.at_hand() else feed
    step, rows_at = model.train_step, look_up(feed)
    model.train_step = lambda order: step(rows_at(order))
    # Now what ``fit`` would build from its first batch, which is numbers here.
    some = np.zeros((1, feed.classes if feed.training.loss == "categorical" else 1), np.float32)
    model.compute_loss(y=some, y_pred=some)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return orders(feed)


class OnDevice(keras.utils.PyDataset):
    """A feed whose activations a GPU holds and looks up itself: else each step would wait for their way there.

    Args:
        feed: all of whose activations lie in memory.
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
        """As the feed's, bit for bit."""
        rows, places = self._feed.order_at(step)
        inputs, answers = self._look_up(self._kept, places), self._look_up(self._tables, rows)
        return inputs[0] if len(inputs) == 1 else tuple(inputs), *answers


def _rows(arrays: list[Any], where: Any) -> list[Any]:
    """Some rows of each, floats as float32."""
    taken = [ops.take(array, where, axis=0) for array in arrays]
    return [ops.cast(a, "float32") if "float" in str(a.dtype) else a for a in taken]


def orders(feed: Feed) -> Any:
    """A ``tf.data.Dataset`` of the steps' rows and places: int64 ``[2, batch]``, a short step filled up with -1."""
    import tensorflow as tf

    spec = tf.TensorSpec((None, 2, feed.batch_size), tf.int64)
    found = tf.data.Dataset.from_generator(lambda: _epochs(feed), output_signature=spec)
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1  # the other threads belong to the step
    options.threading.max_intra_op_parallelism = 1
    return found.prefetch(1).unbatch().with_options(options)


def look_up(feed: Feed) -> Callable[[Any], tuple]:
    """From rows and places to the batch that the feed would give for them, bit for bit."""
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
    """The steps of some epochs at once, ``[steps, 2, rows]``; a short last one of an epoch is filled up with -1."""
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
    """The same memory as a tensor, or a copy where TensorFlow's kernels could not read it: they want 64-byte steps.

    float16 comes as its bits: of a graph that holds it, TensorFlow says in an error that oneDNN wants AVX-512 for it.
    """
    import tensorflow as tf

    array = array.view(np.uint16) if array.dtype == np.float16 else array
    aligned = array.ctypes.data % ALIGNED == 0 and array.flags.c_contiguous
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__()) if aligned else tf.constant(array)
