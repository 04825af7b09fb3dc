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
"""Of a network's depth, as shares of its layers: one place is looked at in each."""


@ours()
def graph_of(backbone: Backbone) -> Graph:
    """A backbone's graph: kept from earlier, or read from Keras now and kept."""
    graph = kept_graph(backbone)
    if graph is None:
        keras_settings.import_keras()
        graph = open_backbone(backbone, None).graph  # it is the same whatever the weights
        with suppress(StoreError):  # it is read again next time
            keep_graph(backbone, graph)
    return graph


def cuts(name: str, *, backbone: Backbone | None = None, end: Place = POOL) -> list[Price]:
    """The price list of a backbone: every place with one tensor, from the input to the end.

    Example:
        >>> import topwork as tw
        >>> for place in tw.cuts("mobilenet_v2"):  # doctest: +SKIP
        ...     print(place.name, place.shape, place.kilobytes, place.macs, place.trainable)
    """
    return graph_of(backbone or Backbone(name, weights="random")).prices(end)


def cuts_of(backbone: Backbone) -> list[Cut]:
    """``pool``, and a few places where the network may end; its graph must be known."""
    graph = trunk.known_graph(backbone)
    return [Cut((Term(backbone.name, name, name),)) for name in (POOL, *places(graph))]


def places(graph: Graph) -> list[str]:
    """One place with one tensor in each of `BANDS`, the last first: the one that takes least room in the store.

    Of equals it is the last. Places before the first multiplication and after the last are left out: there the network
    has not begun, or has ended.
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
