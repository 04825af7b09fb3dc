"""Keras' backend: which one it is, found without importing Keras, and what topwork does differently for it."""

import json
import os
import sys
from pathlib import Path

DEFAULT = "tensorflow"
NAMES = (DEFAULT, "jax", "torch")


def name() -> str:
    """The backend that runs, or else will: what ``KERAS_BACKEND`` says, then Keras' own file ``keras.json``."""
    if "keras" in sys.modules:
        return str(sys.modules["keras"].config.backend())
    return os.environ.get("KERAS_BACKEND") or _configured()


def compiles() -> bool | str:
    """Keras' ``jit_compile``: without it JAX runs step by step; on CPUs TensorFlow's own graphs are faster than XLA."""
    return "auto" if name() == "jax" else False


def repeats() -> bool:
    """Whether a run repeats bit for bit when it is interrupted (law 4)."""
    return name() == DEFAULT


def _configured() -> str:
    folder = os.environ.get("KERAS_HOME")
    path = (Path(folder) if folder else Path.home() / ".keras") / "keras.json"
    try:
        return str(json.loads(path.read_text()).get("backend", DEFAULT))
    except (OSError, ValueError):
        return DEFAULT
