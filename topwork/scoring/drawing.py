"""The process that draws: it imports matplotlib while the training is under way, then draws what it is told.

Importing matplotlib and drawing two plots takes a second, a fifth of a short command. The process
(`topwork.system.processes`) is asked with the name of a function of `topwork.scoring.plots`, its arguments, and those
that it takes by name; the result is why it could not be drawn, or nothing. The next run of this Python, such as the
next fold, finds it ready. Nothing of your settings of matplotlib reaches it, and no plot is worth a run: what cannot
be drawn is said.
"""

import atexit
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from topwork.errors import of_machine
from topwork.system.advice import either
from topwork.system.files import written_whole
from topwork.system.keras_settings import DRAWING
from topwork.system.messages import say
from topwork.system.processes import Beside, Ended, serve


class Pencil:
    """Draws beside the caller; a context manager that ends when all is drawn, or at once if an error passes.

    Args:
        run: the folder that the plots belong to; where some cannot be drawn, how to draw them later is said.
    """

    def __init__(self, run: Path | None = None) -> None:
        self._run = run

    def __enter__(self) -> Self:
        self._beside = _ready()
        self._asked: list[str] = []
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind:
            self._beside.end()
            return
        problems = {}
        for name in self._asked:
            try:
                problems[name] = self._beside.answer()
            except Ended as ended:
                problems[name] = f"the drawing process ended with {ended.status}"
        if self._beside.process.poll() is None:
            _idle.append(self._beside)
        else:
            self._beside.end()

        problems = {name: problem for name, problem in problems.items() if problem}
        if problems:
            reasons = "; ".join(dict.fromkeys(problems.values()))
            way = either(f"topwork.Run({str(self._run)!r}).evaluate()", f"topwork evaluate {self._run}")
            later = f" The run is whole. To draw them later: {way}" if self._run else ""
            say(f"could not be drawn: {', '.join(problems)} ({reasons}).{later}")

    def draw(self, plot: str, path: Path, *arguments: Any, **options: Any) -> None:
        """Ask for ``topwork.scoring.plots.<plot>(*arguments, path, **options)``; it is there when the context ends."""
        self._asked.append(path.name)
        self._beside.ask([plot, [*arguments, str(path.absolute())], options])


_idle: list[Beside] = []
"""Processes that have drawn all they were told, for who comes next."""


def _ready() -> Beside:
    while _idle:
        pencil = _idle.pop()
        if pencil.process.poll() is None:
            return pencil
        pencil.end()
    return Beside("topwork.scoring.drawing", DRAWING, quiet=True)


def _end_all() -> None:
    while _idle:
        _idle.pop().end()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)


def main() -> None:
    """Draw what is asked for until the process that asks ends."""
    os.chdir(Path(__file__).parent)  # matplotlib would read a matplotlibrc where the command was given
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with suppress(Exception):  # what is wrong is the answer to each line
        import matplotlib.figure  # noqa: F401
    serve(lambda request, _: _problem(*request))


def _problem(plot: str, arguments: list[Any], options: dict[str, Any]) -> str:
    """Draw, so that the file appears whole; why that was not possible, or nothing."""
    *arguments, name = arguments
    path = Path(name)
    try:
        from topwork.scoring import plots

        with written_whole(path) as aside:
            getattr(plots, plot)(*arguments, aside, **options)
    except OSError as error:
        return str(of_machine(OSError(error.errno, error.strerror, str(path)))).rstrip(".")
    except Exception as error:  # no plot is worth a run
        return " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return ""


if __name__ == "__main__":
    main()
