"""``topwork predict``."""

from contextlib import ExitStack
from csv import writer
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from topwork.commands.options import AsJson, MaxMegapixels, must_be_new
from topwork.commands.output import print_json
from topwork.system.messages import counted, say


def predict(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A file that 'topwork export' wrote, or a run that was exported.")
    ],
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE|FOLDER",
            help="Pictures, or folders with pictures at any depth. If the model takes several pictures per row: CSV "
            "files.",
        ),
    ],
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Save the answers to this new file.")] = None,
    max_megapixels: MaxMegapixels = None,
    as_json: AsJson = False,
) -> None:
    """Classify pictures with an exported model."""
    from topwork.shipping.inputs import asked
    from topwork.shipping.predictor import Predictor

    must_be_new("--csv", csv)
    predictor = Predictor(model) if max_megapixels is None else Predictor(model, max_megapixels)
    forced = predictor.about.get("forced")
    if forced:
        say(f"{str(model)!r} was exported with --force: it does not answer as the model does ({forced}).")
    guesses = predictor(asked(pictures, predictor.columns))
    answered = unread = 0
    with ExitStack() as files:
        if csv:
            file = files.enter_context(csv.open("w", newline="", encoding="utf-8", errors="surrogateescape"))
            table = writer(file)
            table.writerow(["path", "label", "probability", *predictor.labels, "error"])
        for guess in guesses:
            if csv:
                each = [guess.probabilities.get(label, "") for label in predictor.labels]
                table.writerow([guess.path, guess.label, "" if guess.error else guess.probability, *each, guess.error])
            elif as_json:
                values = asdict(guess) | ({"label": None, "probability": None} if guess.error else {})
                values |= {"forced": forced} if forced else {}
                print_json({key: value for key, value in values.items() if key != "error" or value})
            elif not guess.error:
                print(f"{guess.path}\t{guess.label}\t{guess.probability:.3f}", flush=True)
            if guess.error:
                say(f"{guess.path}: {guess.error}")
                unread += 1
            answered += not guess.error
    if unread and answered:
        say(f"{unread:,} of {counted(answered + unread, 'picture')} could not be read.")
    if not answered:
        raise typer.Exit(1)
