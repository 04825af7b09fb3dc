"""A network's graph as a plain value: which places can cut it, which tensors cross each cut, what each cut costs.

Nodes are in topological order. Sets of nodes are Python integers used as bit masks (bit i is node i), so each
question takes a few integer operations: finding all places of NASNetLarge takes 0.1 s.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from topwork.cut import INPUT, POOL, Place
from topwork.errors import CutError, nearest
from topwork.system.advice import either

Tensor = tuple[int, int]
"""A tensor: the index of the node that computes it, and the index of the output."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Args:
        name: its name as a place.
        kind: the name of its class.
        inputs: the tensors that it reads.
        shapes: the shapes of its outputs, without the batch.
        dtype: the dtype of its first output.
        layer: its position in Keras' ``layers`` list; ``None`` if it is not a layer or if topwork added it.
        parameters: the number of its weights.
        macs: multiply-accumulates per picture, in convolutions and matrix products only.
    """

    name: str
    kind: str
    inputs: tuple[Tensor, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtype: str = "float32"
    layer: int | None = None
    parameters: int = 0
    macs: int = 0


@dataclass(frozen=True, slots=True)
class Frontier:
    """A place in one graph: the mask of the nodes below it, and the tensors that cross it, in node order."""

    below: int
    tensors: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Price:
    """What one legal place costs.

    Args:
        name: the place.
        shape: the shape of one picture's activations.
        kilobytes: the size of these activations in float16, or in uint8 for pixels; a kilobyte is 1,024 bytes.
        parameters: the number of weights below the place.
        macs: multiply-accumulates below the place, per picture.
        trainable: the number of weights above the place.
        macs_above: multiply-accumulates above the place, per picture and training step.
    """

    name: str
    shape: tuple[int, ...]
    kilobytes: float
    parameters: int
    macs: int
    trainable: int
    macs_above: int


@dataclass(frozen=True)
class Graph:
    """A backbone's nodes from ``input`` (node 0) to its output, and ``pool`` at the end if the output is a map.

    Args:
        name: the backbone, for messages.
        nodes: the nodes, in topological order.
        output: the index of the backbone's output (before pooling).
        pool: the index of the pooled output; it equals *output* if the output is not a map.
    """

    name: str
    nodes: tuple[Node, ...]
    output: int
    pool: int

    @cached_property
    def ancestors(self) -> tuple[int, ...]:
        """For each node, the mask of this node and of all nodes that it depends on."""
        masks: list[int] = []
        for index, node in enumerate(self.nodes):
            mask = 1 << index
            for source, _ in node.inputs:
                mask |= masks[source]
            masks.append(mask)
        return tuple(masks)

    @cached_property
    def names(self) -> dict[str, int]:
        """The node index of each place, by the place's name."""
        places = {node.name: i for i, node in enumerate(self.nodes) if not self._scaling >> i & 1}
        return places | {INPUT: 0, POOL: self.pool}

    @cached_property
    def _scaling(self) -> int:
        """The mask of the operations that topwork puts between the pixels and the network; they are not places."""
        scale = [i for i, node in enumerate(self.nodes) if node.name == "scale" and node.layer is None]
        return self.ancestors[scale[0]] & ~1 if scale else 0

    def index(self, name: str) -> int:
        """Return the index of the node with a place's name.

        Raises:
            CutError: no place has that name.
        """
        if name not in self.names:
            hint = nearest(name, self.names) or "."
            lists = either(f"topwork.cuts({self.name!r})", f"'topwork backbones {self.name}'")
            raise CutError(f"no place {name!r} in {self.name}{hint} {lists} lists its places.")
        return self.names[name]

    def end(self, place: Place) -> int:
        """Return the index of the node where the backbone ends; *place* is the part of a cut after ``..``.

        Raises:
            CutError: the place does not exist, or several tensors are alive there.
        """
        if isinstance(place, str):
            return self.index(place)
        tensors = self._frontier(self._frozen(place), self.output).tensors
        if len(tensors) != 1:
            raise CutError(
                f"cannot end {self.name} at {place}: {len(tensors)} tensors are alive there; expected one. "
                "Choose a place that has one tensor."
            )
        return tensors[0][0]

    def resolve(self, place: Place, end: Place = POOL) -> Frontier:
        """Return the frontier at *place*; it has only nodes and tensors that *end* depends on.

        Raises:
            CutError: the place does not exist or is above the end; or it is a name, and other tensors cross the cut.
        """
        last = self.end(end)
        if isinstance(place, int):
            return self._frontier(self._frozen(place), last)
        index = self.index(place)
        if not self.ancestors[last] >> index & 1:
            raise CutError(f"cannot cut {self.name} at {place!r}: it is above the end, {self.nodes[last].name!r}.")
        frontier = self._frontier(self.ancestors[index], last)
        others = [node for node, _ in frontier.tensors if node != index]
        if others:
            legal = self.legal(self.nodes[last].name)
            under = max(i for i in legal if self.ancestors[index] >> i & 1)
            over = min(i for i in legal if self.ancestors[i] >> index & 1)
            alive = ", ".join(repr(self.nodes[node].name) for node in others)
            verb = "is" if len(others) == 1 else "are"
            raise CutError(
                f"cannot cut {self.name} at {self.nodes[index].name!r} with one tensor: "
                f"{alive} {verb} still read above it. "
                f"Cut at {self.nodes[under].name!r} below or {self.nodes[over].name!r} above."
            )
        return frontier

    def legal(self, end: Place = POOL) -> list[int]:
        """Return the indices of the places with one tensor: *end* needs no other tensor from below such a place."""
        last = self.end(end)
        places = self.ancestors[last] & ~self._scaling
        found = []
        for index in range(last + 1):
            if places >> index & 1:
                crossing = self._frontier(self.ancestors[index], last).tensors
                if [node for node, _ in crossing] == [index]:
                    found.append(index)
        return found

    def alive(self, index: int) -> int:
        """Return how many tensors must be stored to freeze a node and all it depends on; its output always counts."""
        return len({node for node, _ in self._frontier(self.ancestors[index], self.pool).tensors} | {index})

    def prices(self, end: Place = POOL) -> list[Price]:
        """Return the price of each place with one tensor, from the input to the end."""
        needed = self.ancestors[self.end(end)]
        found = []
        for index in self.legal(end):
            node = self.nodes[index]
            numbers = prod(node.shapes[0])
            frozen = needed & self.ancestors[index]
            below = [n for i, n in enumerate(self.nodes) if frozen >> i & 1]
            above = [n for i, n in enumerate(self.nodes) if (needed & ~frozen) >> i & 1]
            price = Price(
                name=node.name,
                shape=node.shapes[0],
                kilobytes=round(numbers * (1 if node.dtype == "uint8" else 2) / 1024, 3),
                parameters=sum(n.parameters for n in below),
                macs=sum(n.macs for n in below),
                trainable=sum(n.parameters for n in above),
                macs_above=sum(n.macs for n in above),
            )
            found.append(price)
        return found

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Graph":
        """Make the graph from the result of `as_json`."""
        nodes = []
        for row in data["nodes"]:
            values = {key: value for key, value in row.items() if key != "multiply_adds"}
            values["inputs"] = tuple(map(tuple, row["inputs"]))
            values["shapes"] = tuple(map(tuple, row["shapes"]))
            values["macs"] = row.get("macs", row.get("multiply_adds"))  # earlier versions wrote multiply_adds
            nodes.append(Node(**values))
        return cls(data["name"], tuple(nodes), data["output"], data["pool"])

    def _frozen(self, count: int) -> int:
        """Return the mask of the frozen nodes: ``layers[:count]``, and operations that are not layers.

        A node is frozen only if all nodes that it reads are frozen.

        Raises:
            CutError: the network has fewer layers than *count*.
        """
        layers = 1 + max(node.layer or 0 for node in self.nodes)
        if count > layers:
            raise CutError(
                f"cannot cut {self.name} at {count}: it has {layers} layers, and the number is how many of them "
                f"are frozen. 'topwork backbones {self.name} --layers' lists them."
            )
        below = 1
        for index, node in enumerate(self.nodes[1:], 1):
            inside = (node.layer or 0) < count and all(below >> source & 1 for source, _ in node.inputs)
            below |= inside << index
        return below

    def _frontier(self, below: int, last: int) -> Frontier:
        needed = self.ancestors[last]
        below &= needed
        if below >> last & 1:
            return Frontier(below, ((last, 0),))
        crossing = {
            tensor
            for index, node in enumerate(self.nodes)
            if needed >> index & 1 and not below >> index & 1
            for tensor in node.inputs
            if below >> tensor[0] & 1
        }
        if any(self._scaling >> node & 1 for node, _ in crossing):  # unscaled pixels are a quarter of the size
            return self._frontier(below & ~self._scaling, last)
        return Frontier(below, tuple(sorted(crossing)))


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of Keras' ``include_top=False`` model.

    Args:
        number: its position; a cut at this number freezes all layers before this one.
        name: its name; a cut at this name freezes this layer and all that it depends on.
        type: the name of its class.
        shape: the shape of its output, without the batch.
        parameters: the number of its weights.
        alive: how many tensors must be stored for a cut at its output; if it is 1, the name can be used in a cut.
        alive_before: how many tensors must be stored for a cut at its number.
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
        """Whether its name can be used in a cut."""
        return self.alive == 1


def numbered(graph: Graph) -> list[Layer]:
    """List the layers of a network in the order of Keras' ``layers``.

    >>> from topwork.networks.graph import Node
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


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """The shape and dtype of one array of a picture's activations; ``dtype`` is ``"float32"`` or ``"uint8"``."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    def stored(self, dtype: str) -> np.dtype:
        """Return the dtype on disk; *dtype* is the store's dtype for floats."""
        return np.dtype(dtype if self.dtype == "float32" else self.dtype)

    def width(self, dtype: str) -> int:
        """Return the size on disk in bytes; *dtype* is the store's dtype for floats."""
        return prod(self.shape) * self.stored(dtype).itemsize
