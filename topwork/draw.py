"""The process that draws: it imports matplotlib while the training is under way, then draws what it is told.

Importing matplotlib and drawing two plots takes a second, a fifth of a short command. ``python -m topwork.draw`` reads
one JSON list a line: the name of a function of `topwork.plots`, its arguments, and those that it takes by name. It
answers each with a line once it is drawn. The next run of this Python, such as the next fold, finds it ready.
"""

import atexit
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from topwork.errors import TopworkError, of_machine


class Pencil:
    """Draws beside the caller; a context manager that ends when all is drawn, or at once if an error passes."""

    def __enter__(self) -> Self:
        self._process, self._asked = _ready(), 0
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind:
            _end(self._process)
            return
        assert self._process.stdout
        while self._asked and self._process.stdout.readline():
            self._asked -= 1
        if self._asked:
            status = _end(self._process)
            raise TopworkError(f"a plot could not be drawn: the drawing process ended with {status}.")
        _idle.append(self._process)

    def draw(self, plot: str, path: Path, *arguments: Any, **options: Any) -> None:
        """Ask for ``topwork.plots.<plot>(*arguments, path, **options)``; it is there when the context ends."""
        assert self._process.stdin
        self._asked += 1
        with suppress(BrokenPipeError):  # it ended, which is told at the end
            self._process.stdin.write(json.dumps([plot, [*arguments, str(path.absolute())], options]) + "\n")
            self._process.stdin.flush()


_idle: list[subprocess.Popen[str]] = []
"""Processes that have drawn all they were told, for who comes next."""


def _ready() -> subprocess.Popen[str]:
    while _idle:
        process = _idle.pop()
        if process.poll() is None:
            return process
        _end(process)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", "topwork.draw"], process_group=0, **pipes)


def _end(process: subprocess.Popen[str]) -> int:
    """Stop a process, if it has not ended; its exit status."""
    process.kill()
    process.communicate()
    return process.returncode


def _end_all() -> None:
    while _idle:
        _end(_idle.pop())


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)


def main() -> None:
    """Draw until the input ends."""
    import matplotlib.figure  # noqa: F401

    from topwork import plots

    for line in sys.stdin:
        plot, arguments, options = json.loads(line)
        try:
            getattr(plots, plot)(*arguments, **options)
        except OSError as error:
            sys.exit(str(of_machine(error)))
        print("drawn", flush=True)


if __name__ == "__main__":
    main()
