"""Layers that change nothing while a model answers: augmentation, noise and dropout."""

import inspect
from typing import Any

import numpy as np


def is_idle(operation: Any, args: Any, kwargs: Any) -> bool:
    """Whether a layer gives back what it gets in inference.

    It is tried on random values: there are many such layers, your own may be among them, and some that look alike do
    something, such as `keras.layers.AutoContrast`.

    Args:
        operation: of a model.
        args, kwargs: symbolic, as it is called with; only calls with one tensor are looked at.

    Example:
        >>> import keras
        >>> x = keras.Input((8, 8, 3))
        >>> [is_idle(layer, [x], {}) for layer in (keras.layers.RandomFlip(), keras.layers.AutoContrast())]
        [True, False]
    """
    import keras

    if not isinstance(operation, keras.Layer) or "training" not in inspect.signature(operation.call).parameters:
        return False
    others = {name: value for name, value in kwargs.items() if name != "training" and value is not None}
    if operation.weights or others or len(args) != 1:
        return False
    shape = getattr(args[0], "shape", (None, None))[1:]
    if None in shape or not keras.backend.is_float_dtype(args[0].dtype):
        return False
    values = np.random.default_rng(0).normal(0, 300, (2, *shape)).astype("float32")
    given = keras.ops.convert_to_tensor(values, args[0].dtype)
    found = operation(given, training=False)
    return np.array_equal(keras.ops.convert_to_numpy(given), keras.ops.convert_to_numpy(found))
