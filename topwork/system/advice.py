"""Advice in messages, in the reader's words: ``out=`` for a Python caller, ``--out`` at the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_is_command = False
"""This holds for the process, as threads of a pool raise errors too."""


@contextmanager
def at_command_line(is_so: bool = True) -> Iterator[None]:
    """Give advice as commands and their options inside the ``with``."""
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
    """*python* for a Python caller, *command* at the command line.

    >>> either("out=", "--out")
    'out='
    >>> with at_command_line():
    ...     either("out=", "--out")
    '--out'
    """
    return command if _is_command else python


def resuming(path: str | Path, kind: str = "Run", data: str = "") -> str:
    """How to resume a run that is not finished.

    Args:
        path: the folder of the run.
        kind: ``"Folds"`` for a cross-validation.
        data: where its pictures are now, if they were moved.

    >>> resuming("runs/flowers")
    "topwork.Run('runs/flowers').resume()"
    """
    moved = f" --data {data}" if data else ""
    return either(f"topwork.{kind}({str(path)!r}).resume({data})", f"topwork train --resume {path}{moved}")
