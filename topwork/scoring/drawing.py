"""The drawing process: it imports matplotlib during the training, then draws the plots of the run.

Importing matplotlib and drawing the plots takes 0.8 s, more than the rest of a short command. A request to the drawing
process (`topwork.system.processes`) is a list of plots. Each has the name of a function in `topwork.scoring.plots`,
such as ``charts.curves``, its positional arguments and its keyword arguments. The answer is a list with the reason why
each plot could not be drawn, or an empty text. If another run follows in this Python process, such as the next fold, it
uses the same drawing process. Your own settings of matplotlib do not affect the plots. A plot that cannot be drawn is
reported and does not stop the run.
"""

import atexit
import gc
import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Self
from warnings import catch_warnings, simplefilter

from topwork.errors import of_machine
from topwork.system.advice import either
from topwork.system.files import written_whole
from topwork.system.keras_settings import DRAWING
from topwork.system.messages import say
from topwork.system.processes import Beside, Ended, serve


@dataclass
class Pencil:
    """Draws plots in another process.

    This is a context manager. At its end, all plots are drawn; after an error, it stops the drawing process instead.

    Args:
        run: the folder of the run that the plots belong to. If given, the report on plots that could not be drawn says
            how to draw them later.
    """

    run: Path | None = None

    def __enter__(self) -> Self:
        while _idle and _idle[-1].process.poll() is not None:
            _idle.pop().end()
        self._beside = _idle.pop() if _idle else _process()
        self._plots: list[tuple[str, list[Any], dict[str, Any]]] = []
        self._asked: list[int] = []
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind:
            self._beside.end()
            return
        self.start()
        reasons: list[str] = []
        for count in self._asked:
            try:
                reasons += self._beside.answer()
            except Ended as ended:
                reasons += [f"the drawing process ended with {ended.status}"] * count
        if self._beside.process.poll() is None:
            _idle.append(self._beside)
        else:
            self._beside.end()

        names = [Path(arguments[-1]).name for _, arguments, _ in self._plots]
        if problems := {name: reason for name, reason in zip(names, reasons) if reason}:
            told = "; ".join(dict.fromkeys(problems.values()))
            way = either(f"topwork.Run({str(self.run)!r}).evaluate()", f"topwork evaluate {self.run}")
            later = f" The run is complete. To draw them later: {way}" if self.run else ""
            say(f"could not draw {', '.join(problems)} ({told}).{later}")

    def draw(self, plot: str, path: Path, *arguments: Any, **options: Any) -> None:
        """Plan ``topwork.scoring.plots.<plot>(*arguments, path, **options)``: it is drawn after `start`."""
        self._plots.append((plot, [*arguments, str(path.absolute())], options))

    def start(self) -> None:
        """Draw what is planned, while this process goes on; the end of the context does so by itself, and waits."""
        if new := self._plots[sum(self._asked) :]:
            self._beside.ask(new)
            self._asked.append(len(new))


_idle: list[Beside] = []
"""Drawing processes that have no work left and can be used again."""


def prepare() -> None:
    """Start a drawing process for the next `Pencil`: it imports matplotlib while this process imports other things."""
    if not _idle:
        _idle.append(_process())


def _process() -> Beside:
    return Beside("topwork.scoring.drawing", DRAWING, quiet=True)


def _end_all() -> None:
    while _idle:
        _idle.pop().end()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)


def main() -> None:
    """Draw each requested plot until the process that started this one ends."""
    os.chdir(Path(__file__).parent)  # so that matplotlib does not read a matplotlibrc in the user's folder
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with suppress(Exception):  # each request is then answered with the error
        import matplotlib.backends.backend_agg
        import matplotlib.figure  # noqa: F401

        from topwork.scoring.plots import charts, sheets, tries  # noqa: F401
    gc.freeze()  # the copies then share more memory with this process, and start faster
    serve(lambda plots, _: _drawn(plots))


def _drawn(plots: list[list[Any]]) -> list[str]:
    """Draw plots at the same time, each in a copy of this process. Return the reason of each that could not be drawn.

    A copy has matplotlib imported. macOS does not support copies of a process that uses its libraries.
    """
    if len(plots) == 1 or sys.platform != "linux":
        return [_problem(*plot) for plot in plots]
    try:
        copies = [_copy(plot) for plot in plots]
    except OSError:  # no more processes are allowed
        return [_problem(*plot) for plot in plots]
    found = []
    for copy, answer in copies:
        try:
            found.append(answer.recv())
        except EOFError:
            copy.join()
            found.append(f"the drawing process ended with {copy.exitcode}")
    return found


def _copy(plot: list[Any]) -> tuple[Any, Any]:
    """Start to draw a plot in a copy of this process. Return the copy, and the connection from which it answers."""
    context = get_context("fork")
    answer, sending = context.Pipe(duplex=False)
    copy = context.Process(target=lambda: sending.send(_problem(*plot)))
    with catch_warnings():
        simplefilter("ignore")  # Python warns of this process's other thread, which only waits for requests
        copy.start()
    sending.close()
    return copy, answer


def _problem(plot: str, arguments: list[Any], options: dict[str, Any]) -> str:
    """Draw a plot to a temporary file and rename it. Return the reason if this failed, or else an empty text."""
    *arguments, name = arguments
    path = Path(name)
    try:
        module, function = plot.split(".")
        draw = getattr(import_module(f"topwork.scoring.plots.{module}"), function)
        with written_whole(path) as aside:
            draw(*arguments, aside, **options)
    except OSError as error:
        return str(of_machine(OSError(error.errno, error.strerror, str(path)))).rstrip(".")
    except Exception as error:  # a plot must not stop the run
        return " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return ""


if __name__ == "__main__":
    main()
