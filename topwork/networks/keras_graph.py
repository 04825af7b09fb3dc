"""Read a Keras network into a `topwork.networks.graph.Graph`.

To *open* a network means to flatten it, to put uint8 pixels and their scaling in front, and to read its nodes. This is
done once. `topwork.networks.halves` then makes the models below and above a frontier.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from topwork.errors import BackboneError
from topwork.networks import layer_names
from topwork.networks.backbones import builder, catalogue
from topwork.networks.graph import Graph, Node
from topwork.networks.graph import Tensor as Where
from topwork.networks.replay import flat_layers, functional, replay
from topwork.recipes.settings import Backbone

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    from keras import KerasTensor


@dataclass(frozen=True)
class Opened:
    """A flat network with its graph: ``operations[i]`` computes ``tensors[i]``, and ``graph.nodes[i]`` describes it."""

    graph: Graph
    operations: tuple[Any, ...]
    tensors: tuple[tuple["KerasTensor", ...], ...]

    def at(self, where: Iterable[Where]) -> list["KerasTensor"]:
        """Return the Keras tensors of a frontier."""
        return [self.tensors[node][output] for node, output in where]


def open_backbone(backbone: Backbone, weights: "Path | None") -> Opened:
    """Build a backbone and prepare it for cutting. It then takes uint8 ``[batch, side, side, 3]`` and scales them.

    The places of your own network keep the names that its layers had, although the layers are renamed
    (`layer_names.rename`), so that any exporter accepts their names.

    Raises:
        BackboneError: the network cannot be built or cut, or does not take RGB pixels of that size.
    """
    import keras

    network = builder.build(backbone, weights)
    side = catalogue.size(backbone)
    scale = builder.scale(backbone)
    ours = {"pixels", "scale", "pool"} | ({"flip"} if scale in builder.TURNED else set())
    _check(network, backbone.name, ours)
    shape, given = network.inputs[0].shape[1:], (side, side, 3)
    if len(shape) != 3 or any(a not in (None, b) for a, b in zip(shape, given)):
        turned = len(shape) == 3 and shape[0] == 3
        first = "Its channels come first: build it with data_format='channels_last'. " if turned else ""
        raise BackboneError(
            f"cannot give pixels of shape {given} to {backbone.name!r}: it takes {tuple(shape)}. {first}"
            f"Expected a network for square RGB pictures, and its side as backbones.{backbone.name}.size."
        )
    if backbone.model:
        layer_names.tell_apart(network)
    with builder.fresh_names():
        pixels = keras.Input((side, side, 3), dtype="uint8", name="pixels")
        scaled = builder.scaled(pixels, scale)
        output = replay(network, {id(network.inputs[0]): scaled})[id(network.outputs[0])]
    opened = _read(keras.Model(pixels, output), backbone.name, network)
    if backbone.model:
        layer_names.rename(opened.operations)
    return opened


def open_model(model: "keras.Model") -> Opened:
    """Open your own network with its own input; no scaling of pixels is added.

    Raises:
        BackboneError: the model is subclassed, has several inputs or outputs, or has layers with the same name.
    """
    import keras

    _check(model, model.name, {"input", "pool"})
    if same := layer_names.alike(model):
        raise BackboneError(
            f"cannot cut {model.name!r}: several of its layers are called {same[0]!r}. Give each a different name "
            f"first, as in model.get_layer({same[0]!r}).name = 'another'."
        )
    start = keras.Input(model.inputs[0].shape[1:], dtype=model.inputs[0].dtype, name="input")
    output = replay(model, {id(model.inputs[0]): start})[id(model.outputs[0])]
    return _read(keras.Model(start, output), model.name, model)


def _check(model: "keras.Model", name: str, ours: set[str]) -> None:
    if functional(model) is None:
        raise BackboneError(
            f"cannot cut {name!r}, a {type(model).__name__}: its graph is hidden in Python code. "
            "Expected a functional or Sequential keras.Model that has been built."
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise BackboneError(
            f"cannot cut {name!r}: it has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
            "expected one of each."
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
    """Yield the path of each layer except inputs: the names of the nested models that contain it, then its name."""
    for layer in model.layers:
        if functional(layer) is not None:
            yield from _paths(layer, (*outer, layer.name))
        elif type(layer).__name__ != "InputLayer":
            yield *outer, layer.name


def _read(flat: "keras.Model", name: str, network: "keras.Model") -> Opened:
    """Read the nodes of a flat model; if it ends in a map, an average over the map is added.

    The second use of a shared layer gets the name ``name:1``, the third ``name:2`` and so on. The weights of the layer
    are counted once.
    """
    import keras

    last = flat.outputs[0]
    if len(last.shape) == 4:
        flat = keras.Model(flat.inputs, keras.layers.GlobalAveragePooling2D(name="pool", dtype=last.dtype)(last))
    steps = [n for depth in sorted(flat._nodes_by_depth, reverse=True) for n in flat._nodes_by_depth[depth]]
    steps.sort(key=lambda n: not n.is_input)
    where = {id(t): (i, k) for i, n in enumerate(steps) for k, t in enumerate(n.output_tensors)}
    layers = {id(layer): i for i, layer in enumerate(flat_layers(network))}

    nodes = []
    uses: Counter[str] = Counter()
    for step in steps:
        operation = step.operation
        shapes = tuple(tuple(t.shape[1:]) for t in step.output_tensors)
        word = "input" if step.is_input else operation.name
        again = uses[word]
        uses[word] += 1
        weights = getattr(operation, "weights", [])
        kernels = sum(prod(w.shape) for w in weights if len(w.shape) > 1)
        node = Node(
            name=f"{word}:{again}" if again else word,
            kind=type(operation).__name__,
            inputs=tuple(where[id(t)] for t in step.input_tensors),
            shapes=shapes,
            dtype=step.output_tensors[0].dtype,
            layer=0 if step.is_input else layers.get(id(operation)),
            parameters=0 if again else sum(prod(w.shape) for w in weights),
            macs=prod(d or 1 for d in shapes[0][:-1]) * kernels,
        )
        nodes.append(node)

    graph = Graph(name, tuple(nodes), where[id(last)][0], where[id(flat.outputs[0])][0])
    return Opened(graph, tuple(n.operation for n in steps), tuple(tuple(n.output_tensors) for n in steps))


def single(tensors: list[Any]) -> Any:
    """Return the item of a list with one item, else the list: the form in which Keras takes inputs and outputs."""
    return tensors[0] if len(tensors) == 1 else tensors
