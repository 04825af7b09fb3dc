"""``topwork read``."""

from pathlib import Path
from typing import Annotated

import typer

from topwork.commands.options import AsJson, DataPath, Strict
from topwork.errors import UsageError
from topwork.printing import print_json


def read(
    data: DataPath,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table of pictures, which can be DATA again.")
    ] = None,
    preview: Annotated[Path | None, typer.Option(metavar="PNG", help="Write a grid of pictures with labels.")] = None,
    views: Annotated[
        int, typer.Option(min=1, max=32, metavar="N", help="In the preview, N views of each picture, itself counted.")
    ] = 1,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Tell what is there: classes, splits, pictures left out."""
    from topwork import show
    from topwork.readers import read as read_data
    from topwork.readers import write_csv

    if views > 1 and not preview:
        raise UsageError(f"--views {views} is shown in a preview alone: say where to write it, with --preview PNG.")
    found = read_data(data, strict=strict, decode=True)
    if csv:
        write_csv(found.seen_from(str(csv.resolve().parent)), csv)
    if preview:
        show.preview(found, preview, views)
    if as_json:
        print_json(show.as_json(found))
    else:
        show.table(found)
