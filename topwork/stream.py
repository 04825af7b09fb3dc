"""The batches of a feed, gathered inside TensorFlow where they lie in memory.

Python then gives one order an epoch instead of one batch a step: at a pooled end, where a step takes 0.4 ms, a batch
made in Python took as long again (docs/log.md, 2026-11-24).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from topwork import backend
from topwork.feed import Feed


def streamed(feed: Feed) -> Any:
    """What Keras' ``fit`` reads: a ``tf.data.Dataset`` with the batches of *feed*, bit for bit, or *feed* itself."""
    if backend.name() != "tensorflow" or any(source.kept is None for source in feed.part.sources):
        return feed
    import tensorflow as tf

    kept = [tf.constant(array) for source in feed.part.sources for array in source.kept or ()]
    labels = tf.constant(feed.part.labels)
    weights = () if feed.weights is None else (tf.constant(feed.weights),)

    def orders() -> Iterator[np.ndarray]:
        for epoch in range(*feed.epochs):
            yield np.stack(feed.order_of(epoch))

    def batches(order: Any) -> Any:
        return tf.data.Dataset.from_tensor_slices((order[0], order[1])).batch(feed.batch)

    def gathered(rows: Any, places: Any) -> tuple:
        arrays = [_wide(tf.gather(array, places)) for array in kept]
        targets = _targets(tf.gather(labels, rows), feed.classes, feed.training.loss)
        return arrays[0] if len(arrays) == 1 else tuple(arrays), targets, *(tf.gather(w, rows) for w in weights)

    found = tf.data.Dataset.from_generator(orders, output_signature=tf.TensorSpec((2, None), tf.int64))
    return found.prefetch(1).flat_map(batches).map(gathered).prefetch(2)


def _wide(array: Any) -> Any:
    """Floats as float32, pixels as they are."""
    import tensorflow as tf

    return tf.cast(array, tf.float32) if array.dtype.is_floating else array


def _targets(labels: Any, classes: int, loss: str) -> Any:
    """As `topwork.feed.targets`."""
    import tensorflow as tf

    return tf.cast(labels[:, None], tf.float32) if loss == "binary" else tf.one_hot(labels, classes)
