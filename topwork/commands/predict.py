"""``topwork predict``."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from topwork.commands.options import AsJson, MaxMegapixels, must_be_new
from topwork.commands.output import print_json
from topwork.errors import UsageError
from topwork.system.messages import Bar, counted, say, some

if TYPE_CHECKING:
    from topwork.shipping.answers import Answer, Guess
    from topwork.shipping.copies import Copies
    from topwork.shipping.heat import HeatFiles
    from topwork.shipping.predictor import Predictor
    from topwork.shipping.tables import CsvTable, ParquetTable


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
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the answers to this new file, and do not print them.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same as a Parquet file (needs pyarrow).")
    ] = None,
    copy_to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Copy the pictures into this new folder, into a folder for each answer."),
    ] = None,
    heat: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Save heat maps in this new folder: what speaks for each answer. --json names the map of each.",
        ),
    ] = None,
    max_megapixels: MaxMegapixels = None,
    as_json: AsJson = False,
) -> None:
    """Classify pictures with an exported model.

    A picture that is unlike those that the model was trained on is called unknown, with the class that is nearest.
    Of pictures of the trained classes, about 5 in 100 are called unknown as well.
    """
    from topwork.shipping.inputs import asked
    from topwork.shipping.predictor import Predictor

    chosen = _Chosen(csv, parquet, copy_to, heat)
    predictor = Predictor(model) if max_megapixels is None else Predictor(model, max_megapixels)
    if copy_to and len(predictor.columns) > 1:
        raise UsageError(f"--copy-to copies one picture per row, and this model takes {some(predictor.columns)}.")
    forced = predictor.about.get("forced")
    if forced:
        say(f"{str(model)!r} was exported with --force: it does not answer as the model does ({forced}).")
    rows = asked(pictures, predictor.columns)
    unread = 0
    with ExitStack() as stack:
        files = chosen.opened(predictor, top, stack)
        bar = stack.enter_context(Bar("classifying")) if files.tables or not sys.stdout.isatty() else None
        for number, answer in enumerate(predictor.answers(rows), 1):
            guess = predictor.guess(answer)
            more = files.add(answer, guess) | ({"forced": forced} if forced else {})
            if guess.error:
                say(f"{guess.path}: {guess.error}")
                unread += 1
            if as_json:
                print_json(guess.as_json(top) | more)
            elif not files.tables and not guess.error:
                print(_line(guess, top), flush=True)
            if bar:
                bar.update(number, len(rows))
    answered = len(rows) - unread
    for path in filter(None, (csv, parquet)):
        say(f"{counted(len(rows), 'answer')} saved in {str(path)!r}.")
    if copy_to:
        gone = " Those that cannot be read are not among them." if unread else ""
        say(f"{counted(answered, 'picture')} copied into {str(copy_to)!r}.{gone}")
    if unread and answered:
        say(f"{unread:,} of {counted(len(rows), 'picture')} could not be read.")
    if files.heats and files.heats.methods:
        methods = " and ".join(sorted(files.heats.methods))
        say(f"{counted(files.heats.count, 'heat map')} by {methods} in {str(heat)!r}.")
    if not answered:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Chosen:
    """The files and folders that answers are saved in.

    Raises:
        UsageError: one exists already, or two have the same name.
    """

    csv: Path | None
    parquet: Path | None
    copy_to: Path | None
    heat: Path | None

    def __post_init__(self) -> None:
        must_be_new("--csv", self.csv)
        must_be_new("--parquet", self.parquet)
        must_be_new("--copy-to", self.copy_to, is_folder=True)
        must_be_new("--heat", self.heat, is_folder=True)
        given = [path.resolve() for path in (self.csv, self.parquet, self.copy_to, self.heat) if path]
        if len(set(given)) < len(given):
            raise UsageError("two of --csv, --parquet, --copy-to and --heat have the same name: give each its own.")

    def opened(self, predictor: "Predictor", top: int | None, stack: ExitStack) -> "_Files":
        """Make the files; *stack* closes them."""
        from topwork.shipping.copies import Copies
        from topwork.shipping.heat import HeatFiles
        from topwork.shipping.tables import CsvTable, ParquetTable

        tables: list[CsvTable | ParquetTable] = []
        if self.parquet:  # first, because its package may be missing
            tables.append(stack.enter_context(ParquetTable(self.parquet, predictor.labels, top)))
        if self.csv:
            tables.append(stack.enter_context(CsvTable(self.csv, predictor.labels, top)))
        copies = Copies(self.copy_to, predictor.labels) if self.copy_to else None
        return _Files(tables, copies, HeatFiles(self.heat, predictor.explain) if self.heat else None)


@dataclass(frozen=True)
class _Files:
    """The files that answers are saved in."""

    tables: "list[CsvTable | ParquetTable]"
    copies: "Copies | None"
    heats: "HeatFiles | None"

    def add(self, answer: "Answer", guess: "Guess") -> dict[str, Any]:
        """Save an answer, and return the files that were made for it, as in the JSON object."""
        for table in self.tables:
            table.add(guess)
        found: dict[str, Any] = {}
        if self.heats and not guess.error:
            found["heat"] = self.heats.save(answer)
        if self.copies and not guess.error:
            found["copy"] = str(self.copies.add(guess))
        return found


def _line(guess: "Guess", top: int | None) -> str:
    """Return an answer as text, with tabs: the path, and the class with its probability.

    With *top*: the path, whether it is known (if the file can say so), and the likeliest classes.
    """
    if guess.known is False and not top:
        return f"{guess.path}\tunknown (nearest: {guess.label} {guess.probability:.2f})"
    mark = [] if guess.known is None or not top else ["known" if guess.known else "unknown"]
    pairs = [cell for label, share in guess.likeliest(top or 1) for cell in (label, f"{share:.3f}")]
    return "\t".join([guess.path, *mark, *pairs])
