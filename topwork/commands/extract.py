"""``topwork extract``."""

from typing import Annotated

import typer

from topwork.commands.options import AsJson, DataPath, Jobs, MaxMegapixels, Parts, Size, Weights, data_options


def extract(
    data: DataPath,
    cut: Annotated[str, typer.Argument(metavar="CUT", help="As in efficientnet_lite0@pool.")],
    weights: Weights = None,
    size: Size = None,
    parts: Parts = None,
    max_megapixels: MaxMegapixels = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Run the trunk once per picture, and keep what it gives.

    Time (where it is long) and disk are said first.
    """
    from topwork.commands import show
    from topwork.cut import Cut
    from topwork.data.readers import read as read_data
    from topwork.recipes.settings import Backbone
    from topwork.store.extract import extract as fill

    backbone = Backbone(Cut.parse(cut).only.backbone, weights=weights or "imagenet", size=size)
    found = read_data(data, **data_options(parts, max_megapixels, "ignore"))
    show.filled(found, fill(found, cut, backbone, jobs), as_json)
