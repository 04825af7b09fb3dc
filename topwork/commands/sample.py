"""``topwork sample``."""

from pathlib import Path
from typing import Annotated

import typer

from topwork.commands.options import AsJson
from topwork.commands.output import print_json
from topwork.errors import UsageError


def sample(
    what: Annotated[str, typer.Argument(metavar="digits", help="scikit-learn's 1,797 handwritten digits.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to create.")],
    as_json: AsJson = False,
) -> None:
    """Write a small real dataset to try topwork with."""
    from topwork.data.sample import digits

    if what != "digits":
        raise UsageError(f"no sample {what!r}: the only one is 'digits'.")
    written = digits(folder)
    if as_json:
        print_json({"folder": str(written)})
    else:
        print(written)
