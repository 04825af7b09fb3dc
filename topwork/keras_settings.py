"""Keras' own settings: topwork computes under `OURS`, whatever ``keras.json`` or a script says, and gives theirs back.

Keras takes a layer's dtype, a map's axis of channels and more from settings that hold for the whole process. Without
this, ``"floatx": "float16"`` in a forgotten ``keras.json`` would change every answer.
"""

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from topwork import backend

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
def ours(backends: Sequence[str] = backend.NAMES) -> Iterator[None]:
    """Let Keras have our settings meanwhile, also where it is imported only now; the user's are back afterwards.

    It decorates every public function that may use Keras. Calls may lie in one another, and run in several threads.

    Args:
        backends: of Keras, those that may run; a call within another leaves that to the outer one.

    Raises:
        UsageError, MissingExtra: as of `topwork.backend.check`, before anything begins.

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
        backend.check(backends)
    theirs_hold = "keras" in sys.modules and not _thread.holds  # in a callback of the user's, too
    _count(1)
    try:
        take_over()
        yield
    finally:
        _count(-1)
        if theirs_hold or not _thread.calls:
            give_back()


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
        UsageError: as of `topwork.backend.configured`.
    """
    variables = {name: os.environ.get(f"KERAS_{name.upper()}") for name in ("max_epochs", "max_steps_per_epoch")}
    said = backend.configured() | variables
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
