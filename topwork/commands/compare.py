"""``topwork compare``."""

from pathlib import Path
from typing import Annotated

import typer

from topwork.commands.options import AsJson, RunPath
from topwork.commands.output import print_json


def compare(
    first: RunPath,
    second: Annotated[Path, typer.Argument(metavar="RUN", help="The one to compare it with.")],
    as_json: AsJson = False,
) -> None:
    """Tell whether one run is better than another.

    Both are judged on the test pictures that they share, by paired tests. Either may be what --folds made: it stands
    for its runs together.
    """
    from topwork.commands import show
    from topwork.scoring.compare import compare as compared

    found = compared(first, second)
    if as_json:
        print_json(found)
    else:
        show.comparison(found)
