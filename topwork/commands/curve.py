"""``topwork curve``."""

from pathlib import Path
from typing import Annotated

import typer

from topwork.commands.options import (
    AsJson,
    DataPath,
    Jobs,
    MaxMegapixels,
    NearCopies,
    Parts,
    Size,
    Weights,
    data_options,
    must_be_new,
)
from topwork.commands.output import print_json, print_table
from topwork.errors import UsageError


def curve(
    data: DataPath,
    cut: Annotated[
        str | None,
        typer.Option(metavar="CUT", help="The cut to use; by default, the end of the default network."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Where to draw the curve; by default, NAME-curve.png here.")
    ] = None,
    weights: Weights = None,
    size: Size = None,
    parts: Parts = None,
    max_megapixels: MaxMegapixels = None,
    near_copies: NearCopies = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Show whether more pictures would help.

    A linear head is trained on 10, 25, 50 and 100 % of the training part, and measured on all pictures outside it. The
    parts of less than 100 % are drawn three times.
    """
    from dataclasses import asdict
    from textwrap import fill

    from topwork.data.readers import read as read_data
    from topwork.data.reading.own_files import is_plot
    from topwork.scoring.curve import curve as measured

    if plot and plot.suffix.lower() != ".png":
        raise UsageError(
            f"--plot {str(plot)!r} does not end in '.png': the plot is a PNG file, so give it such a name."
        )
    must_be_new("--plot", plot)
    rows = read_data(data, **data_options(parts, max_megapixels, near_copies))
    path = plot or Path(f"{rows.name}-curve.png")
    if not is_plot(path):
        must_be_new("the plot", path)
    found = measured(rows, cut, weights=weights or "imagenet", size=size, plot=path, jobs=jobs)
    if as_json:
        left_out = {gone.path: gone.reason for gone in found.left_out}
        print_json(
            {**asdict(found), "left_out": left_out, "text": found.text, "plot": str(path) if path.exists() else None}
        )
        return
    lines = []
    for one in found.shares:
        rate = one.accuracy
        draws = " ".join(f"{value:.3f}" for value in one.draws)
        interval = f"{rate.low:.3f} to {rate.high:.3f}"
        lines.append([f"{one.share:.0%}", f"{one.pictures:,}", f"{rate.value:.3f}", interval, draws])
    print_table(["share", "pictures", "accuracy", "95 % interval", "single draws"], lines)
    print(f"\nmeasured on the {found.measured:,} pictures outside the training part")
    for gone in found.left_out:
        print(f"Skipped: {gone.path}: {gone.reason}")
    print(fill(found.text, 79))
    if path.exists():
        print(path)
