"""Keras' backend: find its name without importing Keras, and do what topwork does differently for each backend."""

import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from topwork.errors import MissingExtra, UsageError, nearest

DEFAULT = "tensorflow"
NAMES = (DEFAULT, "jax", "torch")
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
"""The environment variable that switches oneDNN on (``"1"``) or off (``"0"``); TensorFlow reads it when imported."""

ACCEPTED = {"floatx": ("float16", "float32", "float64"), "image_data_format": ("channels_last", "channels_first")}
"""The values that Keras accepts in ``keras.json``; with any other value Keras cannot be imported."""


def name() -> str:
    """Return the backend that Keras uses, or will use: ``KERAS_BACKEND`` if it is set, else from ``keras.json``."""
    if "keras" in sys.modules:
        return str(sys.modules["keras"].config.backend())
    if chosen := os.environ.get("KERAS_BACKEND"):
        return chosen
    with suppress(UsageError):  # `check` raises it
        return str(configured().get("backend", DEFAULT))
    return DEFAULT


def check(backends: Sequence[str] = NAMES) -> None:
    """Check that the backend can be used, and that Keras can be imported with the user's ``keras.json``.

    Args:
        backends: the names that are allowed.

    Raises:
        UsageError: the backend is not allowed, or Keras cannot be imported with the ``keras.json``.
        MissingExtra: the backend is not installed.
    """
    if "keras" not in sys.modules:
        configured()
    chosen = name()
    if chosen not in backends:
        raise UsageError(_refused(chosen, backends))
    if not is_installed(chosen):
        others = [other for other in backends if is_installed(other)]
        instead = f", or set KERAS_BACKEND={others[0]}, which is installed" if others else ""
        raise MissingExtra(
            f"Keras is set to run on {chosen}, which is not installed. "
            f'Install it: pip install "topwork[{chosen}]"{instead}.'
        )


def is_installed(backend: str) -> bool:
    """Return whether a backend's package is installed, without importing it."""
    return backend in sys.modules or find_spec(backend) is not None


def file() -> Path:
    """Return the path of ``keras.json``, Keras' own file of settings, which need not exist."""
    if "KERAS_HOME" in os.environ:
        return Path(os.environ["KERAS_HOME"], "keras.json").expanduser()
    home = os.path.expanduser("~")
    return Path(home if os.access(home, os.W_OK) else "/tmp", ".keras", "keras.json")


def configured() -> dict[str, Any]:
    """Return the settings in ``keras.json``; like Keras, treat a missing file and a file that is not JSON as empty.

    Raises:
        UsageError: Keras cannot be imported with this file.
    """
    path = file()
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if os.path.exists(path) else {}
    except ValueError:
        return {}
    except OSError as error:
        raise UsageError(f"Keras cannot read its settings in {str(path)!r}: {error.strerror}. Remove it.") from None
    if not isinstance(found, dict):
        raise UsageError(f"{str(path)!r} does not hold a JSON object, so Keras cannot be imported. Remove the file.")

    expected = {
        key: " or ".join(map(repr, known)) for key, known in ACCEPTED.items() if found.get(key, known[0]) not in known
    }
    if not isinstance(found.get("epsilon", 1e-7), float):
        expected["epsilon"] = "a number with a point, such as 1e-07"
    if expected:
        key, fitting = next(iter(expected.items()))
        raise UsageError(
            f"{key} = {found[key]!r} in {str(path)!r}: Keras cannot be imported with it. Expected {fitting}. "
            "Correct the file, or remove it: topwork does not need it."
        )
    return found


def compiles() -> bool | str:
    """Return the value for Keras' ``jit_compile``.

    JAX needs compilation to be fast; on CPUs, TensorFlow's own graphs are faster than XLA.
    """
    return "auto" if name() == "jax" else False


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function*, which takes tensors, compiled into one call of JAX; on other backends, return it unchanged."""
    if name() != "jax":
        return function
    import jax

    return jax.jit(function)


_left = False
"""Whether topwork leaves the choice of oneDNN to TensorFlow in this process."""


def onednn() -> str:
    """Switch oneDNN on if that is still possible and the user has not set it; return its state.

    TensorFlow itself switches oneDNN on only for processors with AVX-512 VNNI or better. But oneDNN makes a training
    step above an inception block much faster on processors with only AVX2, too (docs/log.md, 2026-11-26).

    Returns:
        The value of `ONEDNN`. ``"unset"`` if it has no value and cannot be set: TensorFlow was already imported, this
        is not an x86 processor, or `follow` left the choice to TensorFlow.
    """
    if not _left and "tensorflow" not in sys.modules and platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault(ONEDNN, "1")
    return os.environ.get(ONEDNN, "unset")


def follow(then: str) -> None:
    """Before a run is resumed, set oneDNN as it was when the run began.

    Nothing changes if TensorFlow is already imported or the user has set oneDNN.

    Args:
        then: the value that `onednn` returned when the run began.
    """
    global _left
    _left = then == "unset"
    if not _left and "tensorflow" not in sys.modules:
        os.environ.setdefault(ONEDNN, then)


def _refused(chosen: str, backends: Sequence[str]) -> str:
    """Return the error message for a backend that is not allowed: where it was chosen, and how to choose another."""
    known = f"one of {', '.join(backends)}"
    what = f"which topwork does not compute with{nearest(chosen, backends) or '.'}"
    if "keras" in sys.modules:
        return f"Keras runs on {chosen!r}, {what} Set KERAS_BACKEND to {known} before Keras is imported."
    if os.environ.get("KERAS_BACKEND"):
        return f"KERAS_BACKEND is {chosen!r}, {what} Set it to {known}."
    return f"the backend in {str(file())!r} is {chosen!r}, {what} Change it, or set KERAS_BACKEND to {known}."
