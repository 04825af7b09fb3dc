"""Keras' backend: which one it is, found without importing Keras, and what topwork does differently for it."""

import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEFAULT = "tensorflow"
NAMES = (DEFAULT, "jax", "torch")
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
"""TensorFlow's own switch: ``"1"`` computes with oneDNN, ``"0"`` without. TensorFlow reads it when it is imported."""


def name() -> str:
    """The backend that runs, or else will: what ``KERAS_BACKEND`` says, then Keras' own file ``keras.json``."""
    if "keras" in sys.modules:
        return str(sys.modules["keras"].config.backend())
    return os.environ.get("KERAS_BACKEND") or _configured()


def compiles() -> bool | str:
    """Keras' ``jit_compile``: without it JAX runs step by step; on CPUs TensorFlow's own graphs are faster than XLA."""
    return "auto" if name() == "jax" else False


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors as one call into JAX, where each operation would be one; on other backends as it is."""
    if name() != "jax":
        return function
    import jax

    return jax.jit(function)


_left = False
"""Whether oneDNN is TensorFlow's own affair in this process."""


def onednn() -> str:
    """What holds for oneDNN, which is switched on where that is still possible and nobody said otherwise.

    TensorFlow itself does so only for processors with AVX-512 VNNI or better. With AVX2 alone, too, a step above an
    inception block is much faster with it (docs/log.md, 2026-11-26).

    Returns:
        the value of `ONEDNN`; ``"unset"``: TensorFlow was imported before, or this is no x86 processor.
    """
    if not _left and "tensorflow" not in sys.modules and platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault(ONEDNN, "1")
    return os.environ.get(ONEDNN, "unset")


def follow(then: str) -> None:
    """Leave oneDNN as a run that is resumed found it, unless TensorFlow is imported or somebody said otherwise.

    Args:
        then: what `onednn` returned when the run began.
    """
    global _left
    _left = then == "unset"
    if not _left and "tensorflow" not in sys.modules:
        os.environ.setdefault(ONEDNN, then)


def _configured() -> str:
    folder = os.environ.get("KERAS_HOME")
    path = (Path(folder) if folder else Path.home() / ".keras") / "keras.json"
    try:
        return str(json.loads(path.read_text()).get("backend", DEFAULT))
    except (OSError, ValueError):
        return DEFAULT
