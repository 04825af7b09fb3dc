"""``topwork read``."""

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from topwork.commands.options import (
    AsJson,
    DataPath,
    MaxMegapixels,
    NearCopies,
    Parts,
    Strict,
    data_options,
    must_be_new,
)
from topwork.commands.output import print_json, print_table
from topwork.data.dataset import PARTS, Dataset, Row
from topwork.errors import UsageError
from topwork.system.messages import counted

if TYPE_CHECKING:
    from topwork.data.pictures import Fit
    from topwork.recipes.settings import Views

ROWS_OF_VIEWS = 6
"""The number of pictures in a preview that shows several views of each picture; each one is a row of the grid."""


def read(
    data: DataPath,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Save the table of pictures to a new file. The file can be used as DATA."),
    ] = None,
    preview: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Save a grid of pictures with labels to a new file.")
    ] = None,
    views: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=32,
            metavar="N",
            help="With --preview: show N views (variants) of each picture. The picture itself counts as a view.",
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Draw the splits and the views as this recipe does.")
    ] = None,
    parts: Parts = None,
    max_megapixels: MaxMegapixels = None,
    near_copies: NearCopies = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Show the classes, the splits and the skipped pictures."""
    from dataclasses import replace

    from topwork.data.holdout import with_validation
    from topwork.data.pictures import Fit
    from topwork.data.readers import read_by
    from topwork.data.reading.listing import write_csv
    from topwork.recipes import library
    from topwork.recipes.recipe import Recipe
    from topwork.recipes.settings import Backbone

    if preview and preview.suffix.lower() != ".png":
        raise UsageError(
            f"--preview {str(preview)!r} does not end in '.png': a preview is a PNG file, so give it such a name."
        )
    if views and views > 1 and not preview:
        raise UsageError(f"--views {views} needs a preview to be shown in: add --preview PNG.")
    if csv and preview and csv.resolve() == preview.resolve():
        raise UsageError(f"--csv and --preview are the same file, {str(csv)!r}: give them different names.")
    must_be_new("--csv", csv)
    must_be_new("--preview", preview)
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
        write_preview(found, preview, replace(asked.views, count=views or asked.views.count), fit)
    print_dataset(found, as_json)


def print_dataset(data: Dataset, json_wanted: bool) -> None:
    """Print the number of pictures per class and part, the notes on splitting, and the skipped pictures."""
    if json_wanted:
        left_out = {gone.path: gone.reason for gone in data.left_out}
        about = {"pictures": len(data.rows), "classes": data.counts(), "notes": list(data.notes)}
        print_json({**about, "left_out": left_out})
        return
    table = [(label, [*counts.values(), sum(counts.values())]) for label, counts in data.counts().items()]
    table.append(("all", [*(len(data.part(part)) for part in PARTS), len(data.rows)]))
    print_table(["class", *PARTS, "all"], [(label, *(f"{count:,}" for count in counts)) for label, counts in table])
    from topwork.data.quality import glance

    print("", *data.notes, *glance.lines(data), sep="\n")
    if data.left_out:
        print(f"{counted(len(data.left_out), 'picture')} skipped:")
    for gone in data.left_out:
        print(f"  {gone.path}: {gone.reason}")


def write_preview(data: Dataset, path: Path, views: "Views", fit: "Fit", count: int = 24) -> None:
    """Save a grid of pictures with their labels and parts.

    The grid shows the first row of each class, then the second row of each class, and so on, up to *count* pictures.
    With several views, it shows a few training pictures instead, each with its views. All pictures are resized by
    *fit*, so that you see what the network sees.
    """
    from itertools import zip_longest

    from topwork.data.pictures import load
    from topwork.data.views import view
    from topwork.scoring.plots.sheets import grid

    of_views = views.count > 1
    rows = (data.part("train") or data.rows) if of_views else data.rows
    by_class: dict[str, list[Row]] = {label: [] for label in data.classes}
    for row in rows:
        by_class[row.label].append(row)
    in_turn = [row for turn in zip_longest(*by_class.values()) for row in turn if row]

    at_most = (ROWS_OF_VIEWS if of_views else count) // len(data.columns)
    pictures, titles = [], []
    for row in in_turn[:at_most]:
        for (place, digest), column in zip(row.pictures, data.columns):
            pixels = load(data.picture(place), fit, inf)
            pictures += [view(pixels, views, number, digest) for number in range(views.count)]
            what = "\nview 0: the picture" if of_views else ""
            if len(data.columns) > 1:
                what = f"\n{column}"
            titles += [f"{row.label} ({row.split}){what}", *(f"view {n}" for n in range(1, views.count))]
    grid(pictures, titles, path, columns=views.count if of_views else 6)
