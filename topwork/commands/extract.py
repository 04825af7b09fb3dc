"""``topwork extract``."""

from typing import TYPE_CHECKING, Annotated

import typer

from topwork.commands.options import AsJson, DataPath, Jobs, MaxMegapixels, Parts, Size, Weights, data_options
from topwork.commands.output import print_json
from topwork.system.messages import counted

if TYPE_CHECKING:
    from topwork.data.dataset import Dataset
    from topwork.store.request import Request


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
    from topwork.cut import Cut
    from topwork.data.readers import read as read_data
    from topwork.recipes.settings import Backbone
    from topwork.store.extract import extract as fill

    backbone = Backbone(Cut.parse(cut).only.backbone, weights=weights or "imagenet", size=size)
    found = read_data(data, **data_options(parts, max_megapixels, "ignore"))
    print_filled(found, fill(found, cut, backbone, jobs), as_json)


def print_filled(data: "Dataset", request: "Request", json_wanted: bool) -> None:
    """What an extraction of *data* left in the store."""
    from topwork.store.examples import StoredActivations

    with StoredActivations([request]) as stored:
        data = data.without(stored.failures())
        (reader,) = stored.readers
        tensors = [{"shape": list(t.shape), "dtype": d} for t, d in zip(reader.tensors, reader.stored or ())]
    left_out = {gone.path: gone.reason for gone in data.left_out}
    if json_wanted:
        about = {"cut": str(request.term), "pictures": len(data.rows), "tensors": tensors}
        print_json({**about, "left_out": left_out, "folder": str(request.folder)})
        return
    for path, reason in left_out.items():
        print(f"left out: {path}: {reason}")
    shapes = ", ".join(f"{'x'.join(map(str, t['shape']))} {t['dtype']}" for t in tensors)
    print(f"{counted(len(data.rows), 'picture')} at {request.term}: {shapes or 'nothing'} each, in {request.folder}")
