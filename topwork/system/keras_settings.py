"""Keras' settings: topwork computes with `OURS`, then restores the user's settings (from ``keras.json`` or a script).

Keras takes a layer's dtype, the channel axis and more from settings of the process. If topwork did not replace these
settings, ``"floatx": "float16"`` in a forgotten ``keras.json`` would change every result.

`import_keras` imports Keras. If only topwork's code runs in the process (command line and worker), it hides packages
that topwork does not need there. Keras 3.15 imports scikit-learn for ``keras.wrappers`` and pyplot for
``keras.visualization`` if they are installed. Its OpenVINO backend imports ``scipy.signal`` for one function, ``stft``.
Without these packages, the import of Keras takes 2.4 s instead of 3.4 s with TensorFlow, and 0.45 s instead of 1.9 s
with OpenVINO (docs/log.md, 2026-11-23).
"""

import logging
import os
import random
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from topwork.system import keras_backend

OURS: dict[str, Any] = {
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
    "max_epochs": None,
    "max_steps_per_epoch": None,
}
"""Keras' settings while topwork computes, by name: ``keras.config.NAME`` reads one, ``keras.config.set_NAME`` sets it.

The dtype policy is float32.
"""


class _Thread(threading.local):
    """The state of one thread.

    Attributes:
        calls: how many calls of `ours` are running in this thread.
        holds: whether topwork's dtype policy is set in this thread.
        policy: the user's dtype policy, to be restored; Keras keeps one per thread.
    """

    calls = 0
    holds = False
    policy: Any = None


_lock = threading.RLock()
_thread = _Thread()
_calls = 0
"""How many calls of `ours` are running, in all threads."""
_theirs: dict[str, Any] | None = None
"""The user's settings, to be restored; ``None`` unless `OURS` are set now."""


@contextmanager
def ours(backends: Sequence[str] = keras_backend.NAMES) -> Iterator[None]:
    """Inside the ``with``, give Keras the settings in `OURS`; then restore the user's settings.

    This also works if Keras is imported only inside the ``with``. Every public function that may use Keras is decorated
    with ``ours()``. Calls may be nested and may run in several threads.

    Args:
        backends: the backends of Keras that are allowed; only the outermost call checks this.

    Raises:
        UsageError, MissingExtra: from `topwork.system.keras_backend.check`, which runs first.

    Example:
        >>> import keras
        >>> keras.config.set_epsilon(1e-3)
        >>> with ours():
        ...     keras.config.epsilon()
        1e-07
        >>> keras.config.epsilon()
        0.001
        >>> keras.config.set_epsilon(1e-7)
    """
    global _calls
    if not _thread.calls:
        keras_backend.check(backends)
    theirs_hold = "keras" in sys.modules and not _thread.holds  # also in the user's own callbacks
    with _lock:
        _calls += 1
    _thread.calls += 1
    try:
        take_over()
        yield
    finally:
        with _lock:
            _calls -= 1
        _thread.calls -= 1
        if theirs_hold or not _thread.calls:
            give_back()


@contextmanager
def generators_kept() -> Iterator[None]:
    """At the end of the ``with``, restore the state of Python's and NumPy's global random generators.

    Building a layer without a seed draws a seed from them.

    Example:
        >>> import random
        >>> random.seed(7)
        >>> with generators_kept():
        ...     drawn = random.random()
        >>> random.random() == drawn
        True
    """
    import numpy as np

    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def take_over() -> None:
    """Apply `OURS` if a call of `ours` is running in this thread and Keras is imported."""
    global _theirs
    if not _thread.calls or "keras" not in sys.modules:
        return
    import keras  # noqa: F401  # waits if another thread is importing it

    with _lock:
        if _theirs is None:
            _theirs = _exchanged(OURS)
            logging.getLogger("tensorflow").addFilter(_is_shown)
        if not _thread.holds:
            _thread.holds, _thread.policy = True, _exchanged_policy(None)


def give_back() -> None:
    """Restore the user's dtype policy in this thread; if no other thread needs `OURS`, also the user's settings."""
    global _theirs
    with _lock:
        if _thread.holds:
            _exchanged_policy(_thread.policy)
            _thread.holds, _thread.policy = False, None
        if _theirs is not None and _calls == _thread.calls:
            _exchanged(_theirs)
            _theirs = None
            logging.getLogger("tensorflow").removeFilter(_is_shown)


def found() -> dict[str, Any]:
    """Return the settings in ``keras.json`` and in Keras' environment variables that differ from `OURS`.

    Raises:
        UsageError: from `topwork.system.keras_backend.configured`.
    """
    variables = {name: os.environ.get(f"KERAS_{name.upper()}") for name in ("max_epochs", "max_steps_per_epoch")}
    said = keras_backend.configured() | variables
    return {name: said[name] for name in OURS if said.get(name, OURS[name]) != OURS[name]}


def _is_shown(record: logging.LogRecord) -> bool:
    """Return whether a line of TensorFlow is shown: not if it warns of retracing, because each model is traced once."""
    return "retracing" not in record.getMessage()


def _exchanged(settings: dict[str, Any]) -> dict[str, Any]:
    """Apply settings; return their previous values."""
    import keras

    before = {name: getattr(keras.config, name)() for name in settings}
    for name, value in settings.items():
        getattr(keras.config, f"set_{name}")(value)
    return before


def _exchanged_policy(policy: Any) -> Any:
    """Set the dtype policy of this thread; return the previous one. ``None`` unsets it: Keras then uses ``floatx``."""
    from keras.src.backend.common import global_state

    before = global_state.get_global_attribute("dtype_policy")
    global_state.set_global_attribute("dtype_policy", policy)
    return before


DRAWING = {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
"""Environment variables that let matplotlib draw into files without the user's settings, in topwork's own processes."""

_HIDDEN = ("sklearn", "matplotlib", "pandas")

own_process = False
"""Whether only topwork's code runs in this process; set by the command line and the worker."""


def import_keras() -> None:
    """Import Keras; if only topwork's code runs in this process, hide the packages that Keras does not need there.

    Hidden packages can be imported normally afterwards. Inside `ours`, Keras gets the settings in `OURS`.
    """
    if "keras" not in sys.modules:
        keras_backend.onednn()
        stubs: dict[str, ModuleType | None] = dict.fromkeys(_HIDDEN if own_process else ())
        if own_process and keras_backend.name() == "openvino":
            stubs["scipy.signal"] = ModuleType("scipy.signal")
        stubs = {name: stub for name, stub in stubs.items() if name not in sys.modules}

        sys.modules.update(stubs)  # type: ignore[arg-type]  # None makes an import fail, as if not installed
        try:
            with muted():
                import keras  # noqa: F401
        finally:
            for name in stubs:
                sys.modules.pop(name, None)
        if own_process:
            logging.getLogger("tensorflow").setLevel(logging.ERROR)
    take_over()


@contextmanager
def muted() -> Iterator[None]:
    """Keep TensorFlow's C++ messages off stderr (no setting does this); if the import fails, write them there.

    They would be in the middle of a bar, or in the output of a notebook's cell.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
