"""Keras' backend: its name, found without importing Keras, and what topwork does differently for each."""

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
"""TensorFlow's own switch: ``"1"`` computes with oneDNN, ``"0"`` without. TensorFlow reads it when it is imported."""

ACCEPTED = {"floatx": ("float16", "float32", "float64"), "image_data_format": ("channels_last", "channels_first")}
"""The values that Keras accepts in its file; with others it cannot be imported."""


def name() -> str:
    """The backend that runs or will run: from ``KERAS_BACKEND``, else from Keras' own file ``keras.json``."""
    if "keras" in sys.modules:
        return str(sys.modules["keras"].config.backend())
    if chosen := os.environ.get("KERAS_BACKEND"):
        return chosen
    with suppress(UsageError):  # `check` raises it
        return str(configured().get("backend", DEFAULT))
    return DEFAULT


def check(backends: Sequence[str] = NAMES) -> None:
    """Refuse a backend that cannot be used here, and a ``keras.json`` with which Keras cannot be imported.

    Args:
        backends: the names that are allowed.

    Raises:
        UsageError: the backend is not allowed, or Keras cannot be imported with its file.
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
    """Whether a backend's package is installed; it is not imported."""
    return backend in sys.modules or find_spec(backend) is not None


def file() -> Path:
    """The path of Keras' own file of settings, which need not exist."""
    if "KERAS_HOME" in os.environ:
        return Path(os.environ["KERAS_HOME"], "keras.json").expanduser()
    home = os.path.expanduser("~")
    return Path(home if os.access(home, os.W_OK) else "/tmp", ".keras", "keras.json")


def configured() -> dict[str, Any]:
    """The settings in Keras' file; empty if there is no file or no JSON in it, as Keras itself reads it.

    Raises:
        UsageError: Keras cannot be imported with it.
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
    for key, fitting in expected.items():
        raise UsageError(
            f"{key} = {found[key]!r} in {str(path)!r}: Keras cannot be imported with it. Expected {fitting}. "
            "Correct the file, or remove it: topwork does not need it."
        )
    return found


def compiles() -> bool | str:
    """Keras' ``jit_compile``: JAX needs it to be fast; on CPUs TensorFlow's own graphs are faster than XLA."""
    return "auto" if name() == "jax" else False


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors compiled into one call of JAX; on other backends, the function as it is."""
    if name() != "jax":
        return function
    import jax

    return jax.jit(function)


_left = False
"""Whether topwork leaves the choice of oneDNN to TensorFlow in this process."""


def onednn() -> str:
    """The state of oneDNN, which is switched on if that is still possible and nobody chose otherwise.

    TensorFlow itself does so only for processors with AVX-512 VNNI or better. With AVX2 alone, too, a step above an
    inception block is much faster with it (docs/log.md, 2026-11-26).

    Returns:
        the value of `ONEDNN`; ``"unset"`` if TensorFlow was imported before or this is not an x86 processor.
    """
    if not _left and "tensorflow" not in sys.modules and platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault(ONEDNN, "1")
    return os.environ.get(ONEDNN, "unset")


def follow(then: str) -> None:
    """Set oneDNN as it was when a resumed run began, unless TensorFlow is imported or somebody chose otherwise.

    Args:
        then: what `onednn` returned when the run began.
    """
    global _left
    _left = then == "unset"
    if not _left and "tensorflow" not in sys.modules:
        os.environ.setdefault(ONEDNN, then)


def _refused(chosen: str, backends: Sequence[str]) -> str:
    """The message on a backend that is not allowed: where it was chosen, and how to choose another."""
    known = f"one of {', '.join(backends)}"
    what = f"which topwork does not compute with{nearest(chosen, backends) or '.'}"
    if "keras" in sys.modules:
        return f"Keras runs on {chosen!r}, {what} Set KERAS_BACKEND to {known} before Keras is imported."
    if os.environ.get("KERAS_BACKEND"):
        return f"KERAS_BACKEND is {chosen!r}, {what} Set it to {known}."
    return f"the backend in {str(file())!r} is {chosen!r}, {what} Change it, or set KERAS_BACKEND to {known}."
