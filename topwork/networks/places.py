"""The places where a backbone can be cut, their prices, and a few to try."""

from contextlib import suppress

from topwork.cut import INPUT, POOL, Cut, Place, Term
from topwork.errors import StoreError
from topwork.networks import trunk
from topwork.networks.graph import Graph, Price
from topwork.networks.keras_graph import open_backbone
from topwork.networks.trunk import keep_graph, kept_graph
from topwork.recipes.settings import Backbone
from topwork.system import keras_settings
from topwork.system.keras_settings import ours

BANDS = ((0.25, 0.5), (0.5, 0.75), (0.75, 1.0))
"""Ranges of a network's depth, as fractions of its nodes; `places` chooses one place in each range."""


@ours()
def graph_of(backbone: Backbone) -> Graph:
    """Return a backbone's graph: loaded from disk, or read from Keras and saved."""
    graph = kept_graph(backbone)
    if graph is None:
        keras_settings.import_keras()
        graph = open_backbone(backbone, None).graph  # it does not depend on the weights
        with suppress(StoreError):  # if this fails, it is read from Keras again next time
            keep_graph(backbone, graph)
    return graph


def cuts(name: str, *, backbone: Backbone | None = None, end: Place = POOL) -> list[Price]:
    """List the prices of the places where one tensor crosses the cut, from the backbone's input to its end.

    Raises:
        CutError: the end does not exist.
        BackboneError: the network cannot be built.

    Example:
        >>> import topwork as tw
        >>> for place in tw.cuts("mobilenet_v2"):  # doctest: +SKIP
        ...     print(place.name, place.shape, place.kilobytes, place.macs, place.trainable)
    """
    return graph_of(backbone or Backbone(name, weights="random")).prices(end)


def cuts_of(backbone: Backbone) -> list[Cut]:
    """Return cuts to try, at which the backbone also ends: ``pool`` and each of `places`. Its graph must be on disk."""
    graph = trunk.known_graph(backbone)
    return [Cut((Term(backbone.name, name, name),)) for name in (POOL, *places(graph))]


def places(graph: Graph) -> list[str]:
    """Choose, in each of `BANDS`, the place with the smallest activations; the last band comes first.

    If several places have equally small activations, the last of them is chosen. Places before the first multiplication
    or after the last multiplication are not considered.
    """
    found = [price for price in graph.prices() if price.name != INPUT and price.macs and price.macs_above]
    depths = [(graph.index(price.name) / graph.output, price) for price in found]
    chosen = []
    for low, high in reversed(BANDS):
        within = [(price.kilobytes, -depth, price.name) for depth, price in depths if low <= depth < high]
        if within:
            _, _, name = min(within)
            chosen.append(name)
    return chosen
