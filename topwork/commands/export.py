"""``topwork export``."""

from pathlib import Path
from typing import Annotated

import typer

from topwork.commands.options import AsJson, Moved, RunPath
from topwork.commands.output import print_json
from topwork.shipping.formats.known import FORMATS, PRECISIONS

_NAMES = ", ".join(f"{one.name} ({one.suffix or 'a folder'})" for one in FORMATS)


def export(
    run: RunPath,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; its suffix names the format.")],
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
    moved: Moved = None,
    as_json: AsJson = False,
) -> None:
    """Save a run's model as a file, in one of several formats.

    The file is first checked: on real pictures, it must give the same answers as the model.
    """
    from topwork.shipping.formats.known import precise
    from topwork.training.run import Run

    predictor = Run(run).export(file, format=format_, precision=precise(precision), force=force, data=moved)
    if as_json:
        print_json({"file": str(file), **predictor.about})
    else:
        print(file)
