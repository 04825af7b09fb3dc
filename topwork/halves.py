"""Trunk and top: a network's graph read, cut, and put together again.

A network is *opened* once: flattened, uint8 pixels and their scale put in front, its nodes read into a
`topwork.graph.Graph`. Then `trunk` and `top` give what lies below and above a frontier as plain Keras models
that share the network's layers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

from topwork import backbones, names, pretrained
from topwork.cut import Cut, Place
from topwork.errors import BackboneError
from topwork.graph import Frontier, Graph, Node
from topwork.graph import Tensor as Where
from topwork.recipes.settings import Backbone
from topwork.replay import Call, flat_layers, functional, plain, replay
from topwork.system.keras_settings import ours

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    from keras import KerasTensor


@dataclass(frozen=True)
class Opened:
    """A flat network with its graph: ``operations[i]`` makes ``tensors[i]``, as ``graph.nodes[i]`` says."""

    graph: Graph
    operations: tuple[Any, ...]
    tensors: tuple[tuple["KerasTensor", ...], ...]

    def at(self, where: Iterable[Where]) -> list["KerasTensor"]:
        """The Keras tensors that a frontier names."""
        return [self.tensors[node][output] for node, output in where]


def open_backbone(backbone: Backbone, weights: "Path | None") -> Opened:
    """Build a backbone and open it behind uint8 pixels ``[batch, side, side, 3]``, scaled inside.

    Places of your own network are called as its layers are; the layers themselves get names that do no harm.
    """
    import keras

    network = backbones.build(backbone, weights)
    side = backbones.size(backbone)
    scale = backbones.scale(backbone)
    _check(network, backbone.name, {"pixels", "scale", "pool"} | ({"flip"} if backbones.turns(scale) else set()))
    _check_input(network.inputs[0].shape, (None, side, side, 3), backbone.name)
    if backbone.model:
        names.tell_apart(network)
    with backbones.fresh_names():
        pixels = keras.Input((side, side, 3), dtype="uint8", name="pixels")
        scaled = backbones.scaled(pixels, scale)
        output = replay(network, {id(network.inputs[0]): scaled})[id(network.outputs[0])]
    opened = _read(keras.Model(pixels, output), backbone.name, network)
    if backbone.model:
        names.rename(opened.operations)
    return opened


def open_model(model: "keras.Model") -> Opened:
    """Open a network of your own as it is: its own inputs, nothing added.

    Raises:
        BackboneError: the model is subclassed, has several inputs or outputs, or layers that are called alike.
    """
    import keras

    _check(model, model.name, {"input", "pool"})
    if same := names.alike(model):
        raise BackboneError(
            f"cannot cut {model.name!r}: several of its layers are called {same[0]!r}. Give each a name of its own "
            f"before, as in model.get_layer({same[0]!r}).name = 'another'."
        )
    start = keras.Input(model.inputs[0].shape[1:], dtype=model.inputs[0].dtype, name="input")
    output = replay(model, {id(model.inputs[0]): start})[id(model.outputs[0])]
    return _read(keras.Model(start, output), model.name, model)


def trunk(opened: Opened, frontier: Frontier) -> "keras.Model":
    """What is below: the network's input to the frontier's tensors (one tensor, or a list in node order)."""
    import keras

    return keras.Model(opened.tensors[0][0], _single(opened.at(frontier.tensors)), name="trunk")


def top(opened: Opened, frontier: Frontier, end: int) -> "keras.Model":
    """What is above: the frontier's tensors to the end's (one tensor, or a list in node order)."""
    import keras

    inputs = [keras.Input(t.shape[1:], dtype=t.dtype) for t in opened.at(frontier.tensors)]
    known = dict(zip(frontier.tensors, inputs))
    return keras.Model(_single(inputs), above(opened, known, [end])[0], name="top")


def above(
    opened: Opened, known: Mapping[Where, "KerasTensor"], ends: Sequence[int], call: Call = plain
) -> list["KerasTensor"]:
    """Run the part above *known* tensors; gives those of *ends*.

    Args:
        opened: the network.
        known: symbolic tensors to put in the place of the network's own.
        ends: nodes.
        call: see `topwork.replay.replay`.
    """
    import keras

    goals = [opened.tensors[end][0] for end in ends]
    found = {id(old): new for old, new in zip(opened.at(known), known.values())}
    if known.get((0, 0)) is opened.tensors[0][0] and call is plain:
        return goals  # it stands there already
    if any(id(goal) not in found for goal in goals):
        found = replay(keras.Model(opened.tensors[0][0], goals), found, call)
    return [found[id(goal)] for goal in goals]


@ours()
def halves(
    what: "str | keras.Model", place: Place | None = None, backbone: Backbone | None = None
) -> tuple["keras.Model", "keras.Model"]:
    """Cut a network in two plain Keras models, trunk and top, so that ``top(trunk(x))`` is the network.

    Args:
        what: a cut such as ``"resnet50@conv4_block6_out"``: the trunk takes uint8 RGB pixels
            ``[batch, side, side, 3]``, scaling inside, and the top ends at the cut's end; or a functional
            ``keras.Model``: nothing is added, the trunk takes the model's own inputs.
        place: where to cut a ``keras.Model``: a layer's name or a number of layers.
        backbone: options (weights, size) for the backbone that the cut names.

    Returns:
        Trunk and top. Where several tensors are alive (at a number), the trunk gives a list and the top takes one.

    Raises:
        CutError: the place does not exist or is no cut.
        BackboneError: a subclassed model, or one with several inputs or outputs.

    Example:
        >>> import topwork as tw
        >>> small = tw.Backbone("mobilenet_v2_035", weights="random", size=64)
        >>> trunk, top = tw.halves("mobilenet_v2_035@block_12_add", backbone=small)
        >>> trunk.output.shape, top.output.shape
        ((None, 4, 4, 32), (None, 1280))
    """
    if not isinstance(what, str):
        opened = open_model(what)
        frontier, end = opened.graph.resolve(place if place is not None else "pool"), opened.graph.output
    else:
        term = Cut.parse(what).only
        chosen = backbone or Backbone(term.backbone)
        opened = open_backbone(chosen, pretrained.weights_file(chosen))
        frontier, end = opened.graph.resolve(term.place, term.end), opened.graph.end(term.end)
    return trunk(opened, frontier), top(opened, frontier, end)


def rebuild(model: "keras.Model", call: Call) -> "keras.Model":
    """The same model, flat, with *call* in place of each operation's own call; untouched layers are shared."""
    import keras

    starts = [keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name) for tensor in model.inputs]
    known = {id(tensor): start for tensor, start in zip(model.inputs, starts)}
    output = replay(model, known, call)[id(model.outputs[0])]
    return keras.Model(_single(starts), output, name=model.name)


def _check(model: "keras.Model", name: str, ours: set[str]) -> None:
    if functional(model) is None:
        raise BackboneError(
            f"cannot cut {name!r}, a {type(model).__name__}: its graph is hidden in Python code. "
            "Expected a functional or Sequential keras.Model that has been built."
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise BackboneError(
            f"cannot cut {name!r}: it has {len(model.inputs)} inputs and {len(model.outputs)} outputs, "
            "one of each was expected."
        )
    ours = ours if len(model.outputs[0].shape) == 4 else ours - {"pool"}
    taken = [path for path in _paths(model) if path[-1] in ours]
    if taken:
        word, path = min(taken)[-1], "".join(f".get_layer({layer!r})" for layer in min(taken))
        raise BackboneError(
            f"cannot cut {name!r}: its layer {word!r} has a name that topwork needs. "
            f"Rename it: model{path}.name = 'my_{word}'."
        )


def _paths(model: "keras.Model", outer: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The name of each layer but the inputs, behind the names of the nested models that hold it."""
    for layer in model.layers:
        if functional(layer) is not None:
            yield from _paths(layer, (*outer, layer.name))
        elif type(layer).__name__ != "InputLayer":
            yield *outer, layer.name


def _check_input(shape: tuple[int | None, ...], given: tuple[int | None, ...], name: str) -> None:
    if len(shape) != len(given) or any(a != b for a, b in zip(shape[1:], given[1:]) if a is not None):
        turned = len(shape) == 4 and shape[1] == 3
        first = "Its channels come first: build it with data_format='channels_last'. " if turned else ""
        raise BackboneError(
            f"cannot give pixels of shape {given[1:]} to {name!r}: it takes {tuple(shape[1:])}. {first}"
            f"Expected a network for square RGB pictures, and its side as backbones.{name}.size."
        )


def _read(flat: "keras.Model", name: str, network: "keras.Model") -> Opened:
    """Read a flat model's nodes, and put the average over a map at its end."""
    import keras

    last = flat.outputs[0]
    if len(last.shape) == 4:
        flat = keras.Model(flat.inputs, keras.layers.GlobalAveragePooling2D(name="pool", dtype=last.dtype)(last))
    steps = [n for depth in sorted(flat._nodes_by_depth, reverse=True) for n in flat._nodes_by_depth[depth]]
    steps.sort(key=lambda n: not n.is_input)
    where = {id(t): (i, k) for i, n in enumerate(steps) for k, t in enumerate(n.output_tensors)}
    layers = {id(layer): i for i, layer in enumerate(flat_layers(network))}
    nodes = tuple(_node(n, where, 0 if n.is_input else layers.get(id(n.operation))) for n in steps)
    graph = Graph(name, _distinct(nodes), where[id(last)][0], where[id(flat.outputs[0])][0])
    return Opened(graph, tuple(n.operation for n in steps), tuple(tuple(n.output_tensors) for n in steps))


def _node(node: Any, where: dict[int, Where], layer: int | None) -> Node:
    operation, shapes = node.operation, tuple(tuple(t.shape[1:]) for t in node.output_tensors)
    weights = getattr(operation, "weights", [])
    kernels = sum(prod(w.shape) for w in weights if len(w.shape) > 1)
    return Node(
        name="input" if node.is_input else operation.name,
        kind=type(operation).__name__,
        inputs=tuple(where[id(t)] for t in node.input_tensors),
        shapes=shapes,
        dtype=node.output_tensors[0].dtype,
        layer=layer,
        parameters=sum(prod(w.shape) for w in weights),
        multiply_adds=prod(d or 1 for d in shapes[0][:-1]) * kernels,
    )


def _distinct(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Name the second use of a shared layer ``name:1``, and so on; its weights are counted once."""
    seen: dict[str, int] = {}
    result = []
    for node in nodes:
        times = seen.get(node.name, 0)
        seen[node.name] = times + 1
        result.append(replace(node, name=f"{node.name}:{times}", parameters=0) if times else node)
    return tuple(result)


def _single(tensors: list[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else tensors
