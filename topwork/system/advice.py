"""Word the advice in messages for its reader: ``out=`` for a Python caller, ``--out`` at the command line."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_is_command = False
"""Whether the code is run by a topwork command. One value for the process: threads of a pool raise errors too."""


@contextmanager
def at_command_line(is_so: bool = True) -> Iterator[None]:
    """Inside the ``with``, give advice as commands and their options."""
    global _is_command
    before, _is_command = _is_command, is_so
    try:
        yield
    finally:
        _is_command = before


def is_command() -> bool:
    """Return whether the code is run by a topwork command rather than from Python."""
    return _is_command


def either(python: str, command: str) -> str:
    """Return *python* for a Python caller, *command* at the command line.

    >>> either("out=", "--out")
    'out='
    >>> with at_command_line():
    ...     either("out=", "--out")
    '--out'
    """
    return command if _is_command else python


def word(path: str | Path) -> str:
    """Return a path as a word of a command, relative to the working folder if it is inside.

    >>> word("/pictures/red roses"), word(Path.cwd() / "flowers")
    ("'/pictures/red roses'", 'flowers')
    """
    found = Path(path)
    return shlex.quote(str(found.relative_to(Path.cwd()) if found.is_relative_to(Path.cwd()) else found))


def resuming(path: str | Path, kind: str = "Run", data: str = "") -> str:
    """Return the call or command that resumes an unfinished run.

    Args:
        path: the folder of the run.
        kind: ``"Folds"`` for a cross-validation.
        data: where the pictures of the run are now, if they were moved.

    >>> resuming("runs/flowers")
    "topwork.Run('runs/flowers').resume()"
    """
    moved = f" --data {data}" if data else ""
    return either(f"topwork.{kind}({str(path)!r}).resume({data})", f"topwork train --resume {path}{moved}")
