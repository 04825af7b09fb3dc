"""``topwork evaluate``."""

from typing import Annotated

import typer

from topwork.commands.options import AsJson, MaxMegapixels, Moved, Parts, RunPath, data_options
from topwork.commands.output import print_json
from topwork.errors import UsageError


def evaluate(
    run: RunPath,
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="Other pictures; by default the test part.")
    ] = None,
    parts: Parts = None,
    max_megapixels: MaxMegapixels = None,
    moved: Moved = None,
    as_json: AsJson = False,
) -> None:
    """Measure a run on its test part, or on other pictures.

    Of other pictures those are measured whose class the run knows; they may all be of one. Of the test part, plots
    that the run lacks are drawn. The scores of all pictures have 95 % intervals; --json has those of each class, too.
    """
    from topwork.commands import show
    from topwork.data.readers import undrawn
    from topwork.training.run import Run

    if parts and not data:
        raise UsageError("--parts says how DATA is read, and no DATA is given.")
    read_as = data_options(parts, max_megapixels)
    what = undrawn(data, **read_as) if data and read_as else data or "test"
    scores = Run(run).evaluate(what, data=moved)
    if as_json:
        print_json(scores)
    else:
        show.scores(scores)
