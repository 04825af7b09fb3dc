"""A network's layers as Keras numbers them, and what is alive at each: to choose a freeze by its number."""

from dataclasses import dataclass

from topwork.graph import Graph


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of Keras' ``include_top=False`` model.

    Args:
        number: its position; as a cut it freezes all layers before this one.
        name: as a cut it freezes this layer and what it depends on.
        type: its class.
        shape: of its output, without the batch.
        parameters: its weights.
        alive: how many tensors must be kept at its output, itself counted; 1: its name is a cut.
        alive_before: how many tensors a cut at its number keeps.
    """

    number: int
    name: str
    type: str
    shape: tuple[int, ...]
    parameters: int
    alive: int
    alive_before: int

    @property
    def is_cut(self) -> bool:
        """Whether its name can stand in a cut."""
        return self.alive == 1


def numbered(graph: Graph) -> list[Layer]:
    """The layers of a network in the order of Keras' ``layers`` list.

    >>> from topwork.graph import Node
    >>> nodes = (Node("input", "InputLayer", (), ((4, 4, 3),), "uint8", 0), Node("a", "ReLU", ((0, 0),), ((4, 4, 3),),
    ...     layer=1), Node("b", "Add", ((1, 0), (0, 0)), ((4, 4, 3),), layer=2))
    >>> [(layer.number, layer.name, layer.alive, layer.alive_before) for layer in numbered(Graph("g", nodes, 2, 2))]
    [(0, 'input', 1, 1), (1, 'a', 2, 1), (2, 'b', 1, 2)]
    """
    found = [
        Layer(
            node.layer,
            node.name,
            node.kind,
            node.shapes[0],
            node.parameters,
            graph.alive(index),
            len(graph.resolve(node.layer).tensors),
        )
        for index, node in enumerate(graph.nodes)
        if node.layer is not None
    ]
    return sorted(found, key=lambda layer: layer.number)
