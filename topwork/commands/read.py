"""``topwork read``."""

from pathlib import Path
from typing import Annotated

import typer

from topwork.commands.options import (
    AsJson,
    DataPath,
    MaxMegapixels,
    NearCopies,
    Parts,
    Strict,
    data_options,
    refuse_existing,
)
from topwork.commands.output import print_json
from topwork.errors import UsageError


def read(
    data: DataPath,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the table of pictures, which can be DATA again; FILE must be new."),
    ] = None,
    preview: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Write a grid of pictures with labels; PNG must be new.")
    ] = None,
    views: Annotated[
        int | None,
        typer.Option(min=1, max=32, metavar="N", help="In the preview, N views of each picture, itself counted."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Draw splits and views as this recipe does.")
    ] = None,
    parts: Parts = None,
    max_megapixels: MaxMegapixels = None,
    near_copies: NearCopies = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Tell what is there: classes, splits, pictures left out."""
    from dataclasses import replace

    from topwork.commands import show
    from topwork.data.holdout import with_validation
    from topwork.data.pictures import Fit
    from topwork.data.readers import read_by
    from topwork.data.reading.listing import write_csv
    from topwork.recipes import library
    from topwork.recipes.recipe import Recipe
    from topwork.recipes.settings import Backbone

    if preview and preview.suffix.lower() != ".png":
        raise UsageError(f"--preview {str(preview)!r} does not end in '.png', and PNG is what is written: name it so.")
    if views and views > 1 and not preview:
        raise UsageError(f"--views {views} is shown in a preview alone: say where to write it, with --preview PNG.")
    if csv and preview and csv.resolve() == preview.resolve():
        raise UsageError(f"--csv and --preview name one file, {str(csv)!r}: give them two names.")
    refuse_existing("--csv", csv)
    refuse_existing("--preview", preview)
    asked = Recipe.load(library.file(recipe)) if recipe else Recipe()
    how = replace(asked.data, **data_options(parts, max_megapixels, near_copies))
    found = read_by(data, how, strict=strict, decode=True)
    if recipe and not asked.join:
        found = with_validation(found, asked.training)
    if csv:
        write_csv(found.seen_from(str(csv.resolve().parent)), csv)
    if preview:
        rule = next(iter(asked.backbones.values()), Backbone("any"))
        fit = Fit((160, 160), rule.fit, rule.resample)
        show.preview(found, preview, replace(asked.views, count=views or asked.views.count), fit)
    if as_json:
        print_json(show.as_json(found))
    else:
        show.table(found)
