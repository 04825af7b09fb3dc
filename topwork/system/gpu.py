"""The GPU of Keras' backend: whether there is one, and how it computes in true float32."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from topwork.system import keras_backend, keras_settings


def at_hand() -> bool:
    """Whether the backend computes on a GPU; it is imported only if the machine has one."""
    return _at_hand(keras_backend.name(), os.environ.get("CUDA_VISIBLE_DEVICES", "0"))


@cache
def _at_hand(name: str, visible: str) -> bool:
    return visible not in ("", "-1") and bool(devices()) and _asked(name)


def devices() -> list[Path]:
    """The device files of NVIDIA's GPUs; ``dxg`` is the one in Windows' subsystem for Linux."""
    return [*Path("/dev").glob("nvidia[0-9]*"), *Path("/dev").glob("dxg")]


def _asked(name: str) -> bool:
    if name not in keras_backend.NAMES or not keras_backend.is_installed(name):
        return False
    keras_settings.import_keras()
    if name == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.get_visible_devices("GPU"))
    if name == "jax":
        import jax

        return str(jax.default_backend()) == "gpu"
    import torch

    wanted = os.environ.get("KERAS_TORCH_DEVICE", "cuda")  # Keras' own switch
    return wanted.startswith("cuda") and bool(torch.cuda.is_available())


@contextmanager
def exact() -> Iterator[None]:
    """Let a GPU compute in true float32 inside the ``with``; by default it rounds factors to 11 bits (TF32)."""
    undo = _precise() if at_hand() else None
    try:
        yield
    finally:
        if undo:
            undo()


def _precise() -> Callable[[], object]:
    """Let the backend multiply exactly, in all threads; returns a function that undoes it."""
    if keras_backend.name() == "jax":
        import jax

        before = jax.config.jax_default_matmul_precision
        jax.config.update("jax_default_matmul_precision", "highest")
        return lambda: jax.config.update("jax_default_matmul_precision", before)
    if keras_backend.name() == "tensorflow":
        from tensorflow.config import experimental as tf

        allowed = tf.tensor_float_32_execution_enabled()
        tf.enable_tensor_float_32_execution(False)
        return lambda: tf.enable_tensor_float_32_execution(allowed)
    from torch.backends import cudnn  # torch's matrix products are float32 by themselves

    allowed, cudnn.allow_tf32 = cudnn.allow_tf32, False
    return lambda: setattr(cudnn, "allow_tf32", allowed)
