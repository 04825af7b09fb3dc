"""``topwork predict``."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from topwork.commands.options import AsJson, MaxMegapixels, must_be_new
from topwork.commands.output import print_json
from topwork.errors import UsageError
from topwork.system.messages import Bar, counted, say, some

if TYPE_CHECKING:
    from topwork.shipping.answers import Guess
    from topwork.shipping.heat import HeatFiles


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
    top: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="Name the K likeliest classes of each picture.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Save the answers to this new file.")] = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same as a Parquet file (needs pyarrow).")
    ] = None,
    copy_to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Copy the pictures into this new folder, into a folder for each answer."),
    ] = None,
    heat: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Save heat maps in this new folder: what speaks for each answer."),
    ] = None,
    max_megapixels: MaxMegapixels = None,
    as_json: AsJson = False,
) -> None:
    """Classify pictures with an exported model.

    A picture that is unlike those that the model was trained on is called unknown, with the class that is nearest.
    Of pictures of the trained classes, about 5 in 100 are called unknown as well.
    """
    from topwork.shipping.copies import Copies
    from topwork.shipping.heat import HeatFiles
    from topwork.shipping.inputs import asked
    from topwork.shipping.predictor import Predictor
    from topwork.shipping.tables import CsvTable, ParquetTable

    must_be_new("--csv", csv)
    must_be_new("--parquet", parquet)
    must_be_new("--copy-to", copy_to, is_folder=True)
    must_be_new("--heat", heat, is_folder=True)
    given = [path.absolute() for path in (csv, parquet, copy_to, heat) if path]
    if len(set(given)) < len(given):
        raise UsageError("two of --csv, --parquet, --copy-to and --heat have the same name: give each its own.")
    predictor = Predictor(model) if max_megapixels is None else Predictor(model, max_megapixels)
    if copy_to and len(predictor.columns) > 1:
        raise UsageError(f"--copy-to copies one picture per row, and this model takes {some(predictor.columns)}.")
    forced = predictor.about.get("forced")
    if forced:
        say(f"{str(model)!r} was exported with --force: it does not answer as the model does ({forced}).")
    rows = asked(pictures, predictor.columns)
    answered = unread = 0
    with ExitStack() as files:
        tables: list[CsvTable | ParquetTable] = []
        if parquet:  # first, because its package may be missing
            tables.append(files.enter_context(ParquetTable(parquet, predictor.labels, top)))
        if csv:
            tables.append(files.enter_context(CsvTable(csv, predictor.labels, top)))
        copies = Copies(copy_to, predictor.labels) if copy_to else None
        heats = HeatFiles(heat, predictor.explain) if heat else None
        bar = files.enter_context(Bar("classifying")) if tables or not sys.stdout.isatty() else None
        for number, answer in enumerate(predictor.answers(rows), 1):
            guess = predictor.guess(answer)
            for table in tables:
                table.add(guess)
            if guess.error:
                say(f"{guess.path}: {guess.error}")
                unread += 1
            else:
                answered += 1
            more = {"forced": forced} if forced else {}
            if heats and not guess.error:
                more["heat"] = heats.save(answer)
            if copies and not guess.error:
                more["copy"] = str(copies.add(guess))
            if as_json:
                print_json(guess.as_json(top) | more)
            elif not tables and not guess.error:
                print(_line(guess, top), flush=True)
            if bar:
                bar.update(number, len(rows))
    if copies:
        gone = " Those that cannot be read are not among them." if unread else ""
        say(f"{counted(answered, 'picture')} copied into {str(copy_to)!r}.{gone}")
    _tell(answered, unread, heats)
    if not answered:
        raise typer.Exit(1)


def _line(guess: "Guess", top: int | None) -> str:
    """Return an answer as text, with tabs: the path, and the class with its probability.

    With *top*: the path, whether it is known (if the file can say so), and the likeliest classes.
    """
    if guess.known is False and not top:
        return f"{guess.path}\tunknown (nearest: {guess.label} {guess.probability:.2f})"
    mark = [] if guess.known is None or not top else ["known" if guess.known else "unknown"]
    pairs = [cell for label, share in guess.likeliest(top or 1) for cell in (label, f"{share:.3f}")]
    return "\t".join([guess.path, *mark, *pairs])


def _tell(answered: int, unread: int, heats: "HeatFiles | None") -> None:
    if unread and answered:
        say(f"{unread:,} of {counted(answered + unread, 'picture')} could not be read.")
    if heats and heats.methods:
        say(f"{counted(heats.count, 'heat map')} by {' and '.join(sorted(heats.methods))} in {str(heats.place)!r}.")
