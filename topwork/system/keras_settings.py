"""Keras' own settings: topwork computes under `OURS`, whatever ``keras.json`` or a script says, and gives theirs back.

Keras takes a layer's dtype, a map's axis of channels and more from settings that hold for the whole process. Without
this, ``"floatx": "float16"`` in a forgotten ``keras.json`` would change every answer.

`import_keras` imports it, in a process of topwork's own (command line and worker) without what Keras imports for
others: Keras 3.15 imports scikit-learn for ``keras.wrappers`` and pyplot for ``keras.visualization`` wherever they are
installed, and its OpenVINO backend imports ``scipy.signal`` for one function, ``stft``. Hidden meanwhile, they leave
the import of Keras at 2.4 s instead of 3.4 with TensorFlow and at 0.45 s instead of 1.9 with OpenVINO (docs/log.md,
2026-11-23).
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
"""What holds while topwork computes; each is ``keras.config.NAME`` and ``set_NAME``. The dtype policy is float32."""


class _Thread(threading.local):
    """What Keras keeps for each thread: the dtype policy."""

    calls = 0
    holds = False
    policy: Any = None


_lock = threading.RLock()
_thread = _Thread()
_calls = 0
"""Calls under way in all threads."""
_theirs: dict[str, Any] | None = None
"""The user's settings while ours hold."""


@contextmanager
def ours(backends: Sequence[str] = keras_backend.NAMES) -> Iterator[None]:
    """Let Keras have our settings meanwhile, also where it is imported only now; the user's are back afterwards.

    It decorates every public function that may use Keras. Calls may lie in one another, and run in several threads.

    Args:
        backends: of Keras, those that may run; a call within another leaves that to the outer one.

    Raises:
        UsageError, MissingExtra: as of `topwork.system.keras_backend.check`, before anything begins.

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
    if not _thread.calls:
        keras_backend.check(backends)
    theirs_hold = "keras" in sys.modules and not _thread.holds  # in a callback of the user's, too
    _count(1)
    try:
        take_over()
        yield
    finally:
        _count(-1)
        if theirs_hold or not _thread.calls:
            give_back()


@contextmanager
def generators_kept() -> Iterator[None]:
    """Give Python's and NumPy's global random generators back as they were: building a layer without a seed draws one.

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
    """Put our settings in force where a call of `ours` is under way and Keras is imported."""
    global _theirs
    if not _thread.calls or "keras" not in sys.modules:
        return
    import keras  # noqa: F401  # another thread may be at it

    with _lock:
        if _theirs is None:
            _theirs = _exchanged(OURS)
        if not _thread.holds:
            _thread.holds, _thread.policy = True, _exchanged_policy(None)


def give_back() -> None:
    """Put the user's settings in force; those of the whole process unless another thread still needs ours."""
    global _theirs
    with _lock:
        if _thread.holds:
            _exchanged_policy(_thread.policy)
            _thread.holds, _thread.policy = False, None
        if _theirs is not None and _calls == _thread.calls:
            _exchanged(_theirs)
            _theirs = None


def found() -> dict[str, Any]:
    """What ``keras.json`` and Keras' environment variables say otherwise than `OURS`.

    Raises:
        UsageError: as of `topwork.system.keras_backend.configured`.
    """
    variables = {name: os.environ.get(f"KERAS_{name.upper()}") for name in ("max_epochs", "max_steps_per_epoch")}
    said = keras_backend.configured() | variables
    return {name: said[name] for name in OURS if said.get(name, OURS[name]) != OURS[name]}


def _count(calls: int) -> None:
    global _calls
    with _lock:
        _calls += calls
    _thread.calls += calls


def _exchanged(settings: dict[str, Any]) -> dict[str, Any]:
    """Put settings in force; gives those before."""
    import keras

    before = {name: getattr(keras.config, name)() for name in settings}
    for name, value in settings.items():
        getattr(keras.config, f"set_{name}")(value)
    return before


def _exchanged_policy(policy: Any) -> Any:
    """Put a dtype policy in force in this thread; gives the one before. ``None``: not set, which is that of floatx."""
    from keras.src.backend.common import global_state

    before = global_state.get_global_attribute("dtype_policy")
    global_state.set_global_attribute("dtype_policy", policy)
    return before


DRAWING = {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
"""What lets matplotlib draw into files, and without settings of the user's, in processes that are topwork's own."""

_HIDDEN = ("sklearn", "matplotlib", "pandas")

own_process = False
"""Whether nobody else's code runs in this process; set by the command line and the worker."""


def import_keras() -> None:
    """Import Keras, in a process of our own without the rest; what was hidden can be imported as ever afterwards.

    Within `topwork.system.keras_settings.ours`, which looked whether it can be imported, it then has our settings.
    """
    if "keras" not in sys.modules:
        keras_backend.onednn()
        _import_keras(keras_backend.name())
    take_over()


def _import_keras(wanted: str) -> None:
    if not own_process:
        import keras

        return
    hidden = [name for name in _HIDDEN if name not in sys.modules]
    stubs: dict[str, ModuleType | None] = dict.fromkeys(hidden)
    if "scipy.signal" not in sys.modules and wanted == "openvino":
        stubs["scipy.signal"] = ModuleType("scipy.signal")
    sys.modules.update(stubs)  # type: ignore[arg-type]  # None makes an import fail, as if not installed
    try:
        with _muted():
            import keras  # noqa: F401
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each fold of a cross-validation traces anew
    finally:
        for name in stubs:
            sys.modules.pop(name, None)


@contextmanager
def _muted() -> Iterator[None]:
    """Keep TensorFlow's C++ greetings off stderr (no setting does); they come out if the import fails."""
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
