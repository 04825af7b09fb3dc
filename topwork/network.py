"""What a run trains: the backbone above its cuts, and the head, as one set of layers that all phases share."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork import heads, lean, pretrained
from topwork.cut import POOL, Cut, Place
from topwork.folder import Folder
from topwork.graph import Graph, Price
from topwork.halves import Opened, above, open_backbone
from topwork.recipe import Backbone, Recipe
from topwork.replay import replay
from topwork.trunk import Trunk, keep_graph, kept_graph, resolve

if TYPE_CHECKING:
    import keras

Values = dict[str, list[np.ndarray]]
"""A network's weights: each layer's arrays by the layer's name."""


@dataclass
class Network:
    """The layers of one run.

    Args:
        head: from `topwork.heads.build`.
        trunk: below the earliest cut of any phase; nothing there ever trains.
    """

    head: "keras.Model"
    trunk: Trunk

    @cached_property
    def opened(self) -> Opened:
        """The backbone with its pretrained weights; built when first asked for."""
        backbone = self.trunk.backbone
        return open_backbone(backbone, pretrained.weights_file(backbone))

    def above(self, below: Trunk) -> "keras.Model":
        """The model that one phase trains: activations of *below* in, logits out."""
        import keras

        inputs = [keras.Input(tensor.shape, dtype=tensor.dtype) for tensor in below.tensors]
        at_end = below.frontier.tensors == ((below.end, 0),)
        end = inputs[0] if at_end else above(self.opened, below.frontier, below.end, inputs)
        return keras.Model(inputs if len(inputs) > 1 else inputs[0], self._ended(end), name="top")

    def flat(self) -> "keras.Model":
        """One flat plain model: uint8 pixels ``[batch, side, side, 3]`` in, probabilities ``[batch, classes]`` out."""
        import keras

        pixels = self.opened.tensors[0][0]
        logits = self._ended(self.opened.tensors[self.trunk.end][0])
        return keras.Model(pixels, keras.layers.Softmax(name="probabilities")(logits), name="classifier")

    def trained(self) -> list[Any]:
        """The layers that may differ from the pretrained ones: those above the earliest cut, and the head's."""
        head = [layer for layer in self.head.layers if layer.weights]
        return head if self.trunk.frontier.tensors == ((self.trunk.end, 0),) else self._backbone_layers() + head

    def values(self) -> Values:
        """A copy of the weights of `trained`."""
        return {layer.name: layer.get_weights() for layer in self.trained()}

    def load(self, values: Values) -> None:
        """Put back what `values` gave."""
        for layer in self.trained():
            layer.set_weights(values[layer.name])

    def _ended(self, end: Any) -> Any:
        return replay(self.head, {id(self.head.inputs[0]): end})[id(self.head.outputs[0])]

    def _backbone_layers(self) -> list[Any]:
        below = self.trunk.frontier.below
        needed = self.opened.graph.ancestors[self.trunk.end] & ~below
        nodes = enumerate(zip(self.opened.graph.nodes, self.opened.operations))
        return [layer for i, (node, layer) in nodes if needed >> i & 1 and node.parameters]


def freeze(model: "keras.Model", batch_norm: str) -> None:
    """Let a phase's model train: its backbone's batch-norm if *batch_norm* is ``"train"``, the head's always."""
    import keras

    for layer in model.layers:
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = not is_norm or batch_norm == "train" or layer.name.startswith("head_")


def graph_of(backbone: Backbone) -> Graph:
    """A backbone's graph: kept from earlier, or read from Keras now and kept."""
    graph = kept_graph(backbone)
    if graph is None:
        lean.import_keras()
        graph = open_backbone(backbone, None).graph  # it is the same whatever the weights
        keep_graph(backbone, graph)
    return graph


def create(recipe: Recipe, below: Trunk, classes: int) -> Network:
    """The layers of a new run, with pretrained weights below and seeded initial ones in the head."""
    import keras

    keras.utils.set_random_seed(recipe.training.seed)
    shape = below.graph.nodes[below.end].shapes[0]
    return Network(heads.build(recipe.head, shape, classes, recipe.training.seed), below)


def restore(folder: Folder) -> Network:
    """The layers of a finished run with their trained weights.

    Raises:
        RunError: the run has not finished.
    """
    values, recipe = folder.weights(), folder.recipe
    term = Cut.parse(recipe.phases[-1].cut).only
    backbone = recipe.backbones[term.backbone]
    network = create(recipe, resolve(term, backbone, graph_of(backbone)), len(folder.data().classes))
    network.load(values)
    return network


def cuts(name: str, *, backbone: Backbone | None = None, end: Place = POOL) -> list[Price]:
    """The price list of a backbone: every place with one tensor, from the input to the end.

    Example:
        >>> import topwork as tw
        >>> for place in tw.cuts("mobilenet_v2"):  # doctest: +SKIP
        ...     print(place.name, place.shape, place.kilobytes, place.multiply_adds, place.trainable)
    """
    return graph_of(backbone or Backbone(name, weights="random")).prices(end)
