"""``topwork backbones``."""

from typing import Annotated

import typer

from topwork.commands.options import AsJson, Size
from topwork.errors import UsageError


def backbones(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Its places and what each costs.")] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="All of its layers, by the numbers that freeze them.")
    ] = False,
    size: Size = None,
    as_json: AsJson = False,
) -> None:
    """List the backbones, or the places where one can be cut.

    Places come with their price.
    """
    from topwork.commands import show

    if name is None and layers:
        raise UsageError("--layers is for one backbone: name it, as in topwork backbones inception_v3 --layers.")
    if name is None:
        show.backbones(as_json)
    elif layers:
        show.layers(name, size, as_json)
    else:
        show.places(name, size, as_json)
