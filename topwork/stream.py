"""The batches of a feed, gathered inside TensorFlow where they lie in memory.

Python then gives one order an epoch instead of one batch a step: at a pooled end, where a step takes 0.4 ms, a batch
made in Python took as long again (docs/log.md, 2026-11-24).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from topwork import backend
from topwork.feed import Feed
from topwork.store import ALIGNED

CHUNK = 4_000_000
"""Bytes gathered at once, about: many small batches, or one large."""


def streamed(feed: Feed) -> Any:
    """What Keras' ``fit`` reads: a ``tf.data.Dataset`` with the batches of *feed*, bit for bit, or *feed* itself."""
    if backend.name() != "tensorflow" or any(source.kept is None for source in feed.part.sources):
        return feed
    import tensorflow as tf

    arrays = [array for source in feed.part.sources for array in source.kept or ()]
    kept = list(map(_tensor, arrays))
    labels = tf.constant(feed.part.labels)
    weights = () if feed.weights is None else (tf.constant(feed.weights),)
    wide = sum(4 * array[0].size for array in arrays)
    rows_at_once = feed.batch * max(1, CHUNK // (wide * feed.batch))

    def orders() -> Iterator[np.ndarray]:
        for epoch in range(*feed.epochs):
            order = np.stack(feed.order_of(epoch))
            for start in range(0, order.shape[1], rows_at_once):
                yield order[:, start : start + rows_at_once]

    def gathered(order: Any) -> tuple:
        rows, places = order[0], order[1]
        inputs = [_wide(tf.gather(array, places)) for array in kept]
        targets = _targets(tf.gather(labels, rows), feed.classes, feed.training.loss)
        return inputs[0] if len(inputs) == 1 else tuple(inputs), targets, *(tf.gather(w, rows) for w in weights)

    def batches(*chunk: Any) -> Any:
        starts = tf.data.Dataset.range(0, tf.shape(chunk[1], tf.int64)[0], feed.batch)
        return starts.map(lambda i: tf.nest.map_structure(lambda array: array[i : i + feed.batch], chunk))

    found = tf.data.Dataset.from_generator(orders, output_signature=tf.TensorSpec((2, None), tf.int64))
    return found.map(gathered).prefetch(1).flat_map(batches).with_options(_lean())


def _tensor(array: np.ndarray) -> Any:
    """The same memory as a tensor, or a copy where TensorFlow's kernels could not read it: they want 64-byte steps."""
    import tensorflow as tf

    aligned = array.ctypes.data % ALIGNED == 0 and array.flags.c_contiguous
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__()) if aligned else tf.constant(array)


def _lean() -> Any:
    """One thread: the others belong to the step. No rewriting: it would copy the activations that are captured."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    return options


def _wide(array: Any) -> Any:
    """Floats as float32, pixels as they are."""
    import tensorflow as tf

    return tf.cast(array, tf.float32) if array.dtype.is_floating else array


def _targets(labels: Any, classes: int, loss: str) -> Any:
    """As `topwork.feed.targets`."""
    import tensorflow as tf

    return tf.cast(labels[:, None], tf.float32) if loss == "binary" else tf.one_hot(labels, classes)
