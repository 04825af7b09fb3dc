"""``topwork report``."""

from pathlib import Path
from typing import Annotated

import typer

from topwork.commands.options import Jobs, Moved, must_be_new


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUNS", help="Run folders, or folders of folds.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="HTML", help="The page to write; by default report.html in RUN, for several runs here."),
    ] = None,
    moved: Moved = None,
    jobs: Jobs = None,
) -> None:
    """Write a page about a run: how good, what to do next, mistakes.

    The page is one file that needs no network. With several runs, it compares each with the next. An audit of the data
    and the learning curve are made if the run folder does not have them yet.
    """
    from topwork.scoring.report.report import report as written

    must_be_new("--out", out)
    print(written(runs, out, moved, jobs))
