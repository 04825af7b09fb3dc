"""The process that draws: it imports matplotlib while the training is under way, then draws what it is told.

Importing matplotlib and drawing two plots takes a second, a fifth of a short command. ``python -m
topwork.scoring.drawing`` reads one JSON list a line: the name of a function of `topwork.scoring.plots`, its arguments,
and those that it takes by name. It answers each with a line, a JSON string: why it could not be drawn, or nothing. The
next run of this Python, such as the next fold, finds it ready. Nothing of your settings of matplotlib reaches it, and
no plot is worth a run: what cannot be drawn is said.
"""

import atexit
import json
import logging
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from topwork.errors import of_machine
from topwork.system.advice import either
from topwork.system.keras_settings import DRAWING
from topwork.system.messages import say


class Pencil:
    """Draws beside the caller; a context manager that ends when all is drawn, or at once if an error passes.

    Args:
        run: the folder that the plots belong to; where some cannot be drawn, how to draw them later is said.
    """

    def __init__(self, run: Path | None = None) -> None:
        self._run = run

    def __enter__(self) -> Self:
        self._process = _ready()
        self._asked: list[str] = []
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind:
            _end(self._process)
            return
        assert self._process.stdout
        lines = [self._process.stdout.readline() for _ in self._asked]
        if self._process.poll() is None and all(lines):
            _idle.append(self._process)
            gone = ""
        else:
            gone = f"the drawing process ended with {_end(self._process)}"
        problems = {name: json.loads(line) if line else gone for name, line in zip(self._asked, lines)}
        self._tell({name: problem for name, problem in problems.items() if problem})

    def draw(self, plot: str, path: Path, *arguments: Any, **options: Any) -> None:
        """Ask for ``topwork.scoring.plots.<plot>(*arguments, path, **options)``; it is there when the context ends."""
        assert self._process.stdin
        self._asked.append(path.name)
        with suppress(OSError):  # the process has ended: __exit__ reports it
            self._process.stdin.write(json.dumps([plot, [*arguments, str(path.absolute())], options]) + "\n")
            self._process.stdin.flush()

    def _tell(self, problems: dict[str, str]) -> None:
        if not problems:
            return
        reasons = "; ".join(dict.fromkeys(problems.values()))
        way = either(f"topwork.Run({str(self._run)!r}).evaluate()", f"topwork evaluate {self._run}")
        later = f" The run is whole. To draw them later: {way}" if self._run else ""
        say(f"could not be drawn: {', '.join(problems)} ({reasons}).{later}")


_idle: list[subprocess.Popen[str]] = []
"""Processes that have drawn all they were told, for who comes next."""


def _ready() -> subprocess.Popen[str]:
    while _idle:
        process = _idle.pop()
        if process.poll() is None:
            return process
        _end(process)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    pipes |= {"encoding": "utf-8", "env": os.environ | DRAWING | {"PYTHONIOENCODING": "utf-8"}}
    return subprocess.Popen([sys.executable, "-m", "topwork.scoring.drawing"], process_group=0, **pipes)


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
    os.chdir(Path(__file__).parent)  # matplotlib would read a matplotlibrc where the command was given
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with suppress(Exception):  # what is wrong is the answer to each line
        import matplotlib.figure  # noqa: F401
    for line in sys.stdin:
        plot, (*arguments, path), options = json.loads(line)
        print(json.dumps(_problem(plot, arguments, Path(path), options)), flush=True)


def _problem(plot: str, arguments: list[Any], path: Path, options: dict[str, Any]) -> str:
    """Draw, so that the file appears whole; why that was not possible, or nothing."""
    aside = path.with_name(f".{path.name}.part")
    try:
        from topwork.scoring import plots

        getattr(plots, plot)(*arguments, aside, **options)
        aside.replace(path)
    except OSError as error:
        return str(of_machine(OSError(error.errno, error.strerror, str(path)))).rstrip(".")
    except Exception as error:  # no plot is worth a run
        return " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return ""


if __name__ == "__main__":
    main()
