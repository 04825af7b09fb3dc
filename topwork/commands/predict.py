"""``topwork predict``."""

import csv
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from topwork.commands.options import AsJson, MaxMegapixels, refuse_existing
from topwork.commands.output import print_json
from topwork.system.messages import counted, say

if TYPE_CHECKING:
    from topwork.shipping.predictor import Guess


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file that 'topwork export' wrote.")],
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE|FOLDER",
            help="Pictures, or folders with pictures at any depth. For a model of several pictures per row: CSV files.",
        ),
    ],
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Save the answers to this new file.")] = None,
    max_megapixels: MaxMegapixels = None,
    as_json: AsJson = False,
) -> None:
    """Classify pictures with an exported model."""
    from topwork.shipping.inputs import asked
    from topwork.shipping.predictor import Predictor

    refuse_existing("--csv", csv)
    predictor = Predictor(model) if max_megapixels is None else Predictor(model, max_megapixels)
    guesses = predictor(asked(pictures, predictor.columns))
    if not print_guesses(guesses, predictor.labels, csv, as_json):
        raise typer.Exit(1)


def print_guesses(found: "Iterable[Guess]", labels: Sequence[str], path: Path | None, json_wanted: bool) -> bool:
    """Print or save answers as they come; ``False`` if no picture could be read."""
    answered = unread = 0
    with ExitStack() as files:
        if path:
            file = files.enter_context(path.open("w", newline="", encoding="utf-8", errors="surrogateescape"))
            table = csv.writer(file)
            table.writerow(["path", "label", "probability", *labels, "error"])
        for guess in found:
            if path:
                each = [guess.probabilities.get(label, "") for label in labels]
                table.writerow([guess.path, guess.label, "" if guess.error else guess.probability, *each, guess.error])
            elif json_wanted:
                values = asdict(guess) | ({"label": None, "probability": None} if guess.error else {})
                print_json({key: value for key, value in values.items() if key != "error" or value})
            elif not guess.error:
                print(f"{guess.path}\t{guess.label}\t{guess.probability:.3f}", flush=True)
            if guess.error:
                say(f"{guess.path}: {guess.error}")
                unread += 1
            answered += not guess.error
    if unread and answered:
        say(f"{unread:,} of {counted(answered + unread, 'picture')} could not be read.")
    return answered > 0
