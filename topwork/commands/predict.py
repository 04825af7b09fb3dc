"""``topwork predict``."""

from pathlib import Path
from typing import Annotated

import typer

from topwork.commands.options import AsJson, MaxMegapixels, refuse_existing


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file that 'topwork export' wrote.")],
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE|FOLDER",
            help="Of a folder, all pictures below. A model of several pictures a row takes CSV files of them.",
        ),
    ],
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the answers to this file, which must be new.")
    ] = None,
    max_megapixels: MaxMegapixels = None,
    as_json: AsJson = False,
) -> None:
    """Say what is on pictures."""
    from topwork.commands import show
    from topwork.shipping.inputs import asked
    from topwork.shipping.predictor import Predictor

    refuse_existing("--csv", csv)
    predictor = Predictor(model) if max_megapixels is None else Predictor(model, max_megapixels)
    guesses = predictor(asked(pictures, predictor.columns))
    if not show.guesses(guesses, predictor.labels, csv, as_json):
        raise typer.Exit(1)
