"""``topwork recipes``."""

from dataclasses import asdict
from typing import Annotated

import typer

from topwork.commands.options import AsJson
from topwork.commands.output import print_json


def recipes(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Print this recipe. You can save the output and edit it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the recipes, or print one.

    Each recipe is the method of an article. To run it on your pictures: topwork train DATA --recipe NAME.
    """
    from topwork.recipes import library

    if name is not None and as_json:
        print_json({"name": name, **library.recipe(name).as_mapping()})
        return
    if name is not None:
        print(library.file(name).read_text(encoding="utf-8"), end="")
        return
    about = {name: library.recipe(name).about for name in library.names()}
    if as_json:
        print_json([{"name": name, **asdict(one)} for name, one in about.items()])
        return
    width = max(map(len, about))
    for article in dict.fromkeys(one.article for one in about.values()):
        print(article)
        for its_name, one in about.items():
            if one.article == article:
                print(f"  {its_name:{width}}  {one.title}")
        print()
    print("'topwork recipes NAME' prints one; 'topwork train DATA --recipe NAME' runs it.")
    print("For another network, add --set phase.1.cut=efficientnet_lite0@pool, and the same")
    print("for each phase; if the cut ends in a map, use top_activation..top_activation in")
    print("place of pool. The new network takes over the options of the old one, such as")
    print("size and scale.")
