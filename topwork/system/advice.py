"""What to do about it, in the words of who reads it: ``out=`` for a Python caller, ``--out`` at the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_is_command = False
"""Of the whole process: a thread of a pool, too, may tell what stops it."""


@contextmanager
def at_command_line(is_so: bool = True) -> Iterator[None]:
    """While a command runs, advice is a command or an option of one."""
    global _is_command
    before, _is_command = _is_command, is_so
    try:
        yield
    finally:
        _is_command = before


def is_command() -> bool:
    """Whether a command runs."""
    return _is_command


def either(python: str, command: str) -> str:
    """The wording for a Python caller, or the one for who typed a command.

    >>> either("out=", "--out")
    'out='
    >>> with at_command_line():
    ...     either("out=", "--out")
    '--out'
    """
    return command if _is_command else python


def resuming(path: str | Path, kind: str = "Run", data: str = "") -> str:
    """How a run that is not finished goes on.

    Args:
        path: its folder.
        kind: ``"Folds"`` for a cross-validation.
        data: where its pictures are by now.

    >>> resuming("runs/flowers")
    "topwork.Run('runs/flowers').resume()"
    """
    moved = f" --data {data}" if data else ""
    return either(f"topwork.{kind}({str(path)!r}).resume({data})", f"topwork train --resume {path}{moved}")
