"""The GPU of Keras' backend: find out whether there is one, and let it compute in true float32."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from topwork.system import keras_backend, keras_settings

DEVICES = ("nvidia[0-9]*", "dxg")
"""Names of the device files of NVIDIA's GPUs in ``/dev``; ``dxg`` is the name in Windows' subsystem for Linux."""


def at_hand() -> bool:
    """Return whether the backend computes on a GPU; the backend is imported only if this machine has a GPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    if visible in ("", "-1"):
        return False
    has_device = any(path for name in DEVICES for path in Path("/dev").glob(name))
    return has_device and _asked(keras_backend.name(), visible)


@cache
def _asked(name: str, visible: str) -> bool:  # noqa: ARG001
    """Return whether a backend has a GPU; it is asked again if other GPUs are *visible*."""
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
    """Inside the ``with``, let a GPU compute in true float32; by default it rounds factors to 11 bits (TF32)."""
    backend = keras_backend.name() if at_hand() else None
    with ExitStack() as undo:  # these settings apply to all threads
        if backend == "jax":
            import jax

            undo.callback(jax.config.update, "jax_default_matmul_precision", jax.config.jax_default_matmul_precision)
            jax.config.update("jax_default_matmul_precision", "highest")
        elif backend == "tensorflow":
            from tensorflow.config import experimental as tf

            undo.callback(tf.enable_tensor_float_32_execution, tf.tensor_float_32_execution_enabled())
            tf.enable_tensor_float_32_execution(False)
        elif backend == "torch":
            from torch.backends import cudnn  # torch's matrix products are float32 by default

            undo.callback(setattr, cudnn, "allow_tf32", cudnn.allow_tf32)
            cudnn.allow_tf32 = False
        yield
