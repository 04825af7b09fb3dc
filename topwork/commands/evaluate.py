"""``topwork evaluate``."""

from typing import Annotated

import typer

from topwork.commands.options import AsJson, RunPath
from topwork.printing import print_json


def evaluate(
    run: RunPath,
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="Other pictures; by default the test part.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a run on its test part, or on other pictures.

    The scores of all pictures come with 95 % intervals; --json has those of each class as well.
    """
    from topwork import show
    from topwork.run import Run

    scores = Run(run).evaluate(data or "test")
    if as_json:
        print_json(scores)
    else:
        show.scores(scores)
