"""``topwork backbones``."""

from typing import Annotated

import typer

from topwork.commands.options import AsJson, Size


def backbones(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Its places and what each costs.")] = None,
    size: Size = None,
    as_json: AsJson = False,
) -> None:
    """List the backbones, or the places where one can be cut.

    Places come with their price.
    """
    from topwork import show

    if name is None:
        show.backbones(as_json)
    else:
        show.places(name, size, as_json)
