"""``topwork extract``."""

from typing import Annotated

import typer

from topwork.commands.options import AsJson, DataPath, Jobs, MaxMegapixels, Parts, Size, Weights, data_options
from topwork.commands.output import print_json
from topwork.system.messages import counted


def extract(
    data: DataPath,
    cut: Annotated[str, typer.Argument(metavar="CUT", help="Where to cut the network, as in efficientnet_lite0@pool.")],
    weights: Weights = None,
    size: Size = None,
    parts: Parts = None,
    max_megapixels: MaxMegapixels = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Run a network up to a cut, and store its output per picture.

    The command first prints how much disk space it needs. If the work will take long, it also prints how long.
    """
    from topwork.cut import Cut
    from topwork.data.readers import read as read_data
    from topwork.recipes.settings import Backbone
    from topwork.store.examples import StoredActivations
    from topwork.store.extract import extract as fill

    backbone = Backbone(Cut.parse(cut).only.backbone, weights=weights or "imagenet", size=size)
    found = read_data(data, **data_options(parts, max_megapixels, "ignore"))
    request = fill(found, cut, backbone, jobs)
    with StoredActivations([request]) as stored:
        found = found.without(stored.failures())
        (reader,) = stored.readers
        tensors = [{"shape": list(t.shape), "dtype": d} for t, d in zip(reader.tensors, reader.stored or ())]
    left_out = {gone.path: gone.reason for gone in found.left_out}
    if as_json:
        about = {"cut": str(request.term), "pictures": len(found.rows), "tensors": tensors}
        print_json({**about, "left_out": left_out, "folder": str(request.folder)})
        return
    for path, reason in left_out.items():
        print(f"Skipped: {path}: {reason}")
    shapes = ", ".join(f"{'x'.join(map(str, t['shape']))} {t['dtype']}" for t in tensors)
    print(f"{counted(len(found.rows), 'picture')} at {request.term}: {shapes or 'nothing'} each, in {request.folder}")
