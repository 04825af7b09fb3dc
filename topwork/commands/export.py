"""``topwork export``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from topwork.commands.options import AsJson, Moved, RunPath
from topwork.commands.output import print_json, print_table
from topwork.errors import UsageError
from topwork.shipping.formats.known import FORMATS, PRECISIONS

if TYPE_CHECKING:
    from topwork.shipping.export import Made

_NAMES = ", ".join(f"{one.name} ({one.suffix or 'a folder'})" for one in FORMATS)


def export(
    run: RunPath,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The file to write; its suffix names the format.")
    ] = None,
    all_: Annotated[
        Path | None, typer.Option("--all", metavar="FOLDER", help="Write all formats and precisions to a new folder.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help=f"{_NAMES}; by default, that of the suffix.")
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            metavar="P", help=f"{', '.join(PRECISIONS)}: smaller files answer a little otherwise; not in all formats."
        ),
    ] = "float32",
    force: Annotated[
        bool, typer.Option("--force", help="Keep the file although its answers differ from the model's, and mark it.")
    ] = False,
    runtime: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="For a page: a folder with the npm package onnxruntime-web; by default, npm fetches it once.",
        ),
    ] = None,
    moved: Moved = None,
    as_json: AsJson = False,
) -> None:
    """Save a run's model as a file, in one of several formats.

    The file is first checked: on real pictures, it must give the same answers as the model.
    """
    from topwork.shipping.formats.known import precise
    from topwork.training.run import Run

    if all_:
        if file or format_ or force or runtime or precision != "float32":
            raise UsageError(
                "--all writes all formats and precisions: omit FILE, --format, --precision, --force and --runtime."
            )
        return _print_all(Run(run).export_all(all_, data=moved), as_json)
    if not file:
        raise UsageError("expected FILE, the file to write, or --all FOLDER.")
    predictor = Run(run).export(
        file, format=format_, precision=precise(precision), force=force, data=moved, runtime=runtime
    )
    if as_json:
        print_json({"file": str(file), **predictor.about})
    else:
        print(file)


def _print_all(made: "list[Made]", as_json: bool) -> None:
    from topwork.system.messages import say

    written = [one for one in made if one.parity]
    if as_json:
        print_json([one.as_json() for one in made])
    elif written:
        _print_table(written)
    problems: dict[str, list[str]] = {}
    for one in made:
        if one.problem:
            problems.setdefault(one.problem, []).append(Path(one.path).name)
    for problem, names in problems.items():
        say(f"Not written: {', '.join(names)}: {problem}")
    if not written:
        raise typer.Exit(1)


def _print_table(written: "list[Made]") -> None:
    from topwork.system.messages import counted, say, size

    rows = []
    for one in written:
        assert one.parity
        accuracy = f"{one.parity.accuracy[1]:.3f}" if one.parity.accuracy else ""
        answers = f"{100 * one.parity.agreement:.1f} %", f"{one.parity.largest_difference:.1e}", accuracy
        rows.append([Path(one.path).name, size(one.size), f"{1000 * one.seconds:.1f} ms", *answers])
    print_table(["file", "size", "a picture", "same answer", "difference", "accuracy"], rows)
    parity = written[0].parity
    assert parity
    pictures = counted(parity.pictures, "picture")
    say(f"The files are in {Path(written[0].path).parent}. They were compared with the model on {pictures}:")
    say("a picture: the time to classify one that is decoded already, on this machine")
    say("same answer: the share of pictures that get the same class from the file and from the model")
    say("difference: by how much a probability differs at most")
    if parity.accuracy:
        say(f"accuracy: of the file, on the {parity.tested} test pictures among them (model: {parity.accuracy[0]:.3f})")
