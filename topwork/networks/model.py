"""The model that a run trains: the backbones above its cuts and the head; all phases share its layers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from topwork.cut import Term
from topwork.data.pictures import Fit
from topwork.networks import heads
from topwork.networks.halves import above
from topwork.networks.keras_graph import Opened, open_backbone, single
from topwork.networks.layer_names import operations, safe
from topwork.networks.replay import Call, is_idle, plain, replay
from topwork.networks.trunk import Trunk
from topwork.networks.weights import pretrained
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone, Views
from topwork.system import keras_settings

if TYPE_CHECKING:
    import keras

Values = dict[str, list[np.ndarray]]
"""A network's weights: each layer's arrays by the layer's name."""

Input = tuple[str | None, Fit]
"""One input of the complete model: the column of the picture (``None``: the first), and how it is resized."""


@dataclass
class Branch:
    """One backbone on one picture of a row. Terms of a cut with the same backbone and picture share its layers.

    Args:
        backbone: its options.
        picture: the column; ``None``: the first.
        prefix: for its layers' names, which must differ between the branches of a run.
        terms: the positions of its terms in the cut.
    """

    backbone: Backbone
    picture: str | None
    prefix: str
    terms: list[int]

    @cached_property
    def opened(self) -> Opened:
        """The backbone with its pretrained weights, built on first use."""
        opened = open_backbone(self.backbone, pretrained.weights_file(self.backbone))
        _begin(opened.operations, self.prefix)
        return opened


class Network:
    """The layers of one run.

    Args:
        head: from `topwork.networks.heads.build`.
        terms: of the run's cuts; their places may differ between phases.
        trunks: below the earliest cut of all phases, one per term; they never train.
    """

    def __init__(self, head: "keras.Model", terms: Sequence[Term], trunks: Sequence[Trunk]) -> None:
        self.head, self.trunks = head, tuple(trunks)
        self._word = ""

        # The branches have prefixes that make the layers' names differ; a single branch has none.
        graphs = {(term.backbone, term.picture): one.graph for term, one in zip(terms, trunks)}
        words = [re.sub(r"\W", "_", f"{name}_{picture}" if picture else name) + "_" for name, picture in graphs]
        layers = [word + node.name for word, graph in zip(words, graphs.values()) for node in graph.nodes]
        if len(graphs) == 1:
            words = [""]
        elif safe(words) != words or len(set(layers)) < len(layers):
            words = [f"branch_{number}_" for number in range(1, len(graphs) + 1)]
        prefixes = dict(zip(graphs, words))

        branches: dict[tuple[str, str | None], Branch] = {}
        for i, (term, one) in enumerate(zip(terms, trunks)):
            key = term.backbone, term.picture
            branches.setdefault(key, Branch(one.backbone, term.picture, prefixes[key], [])).terms.append(i)
        self.branches = list(branches.values())

    @property
    def inputs(self) -> list[Input]:
        """The inputs of the complete model: one per picture of a row, size and resize rule."""
        return list(dict.fromkeys(self._input(branch) for branch in self.branches))

    def above(self, below: Sequence[Trunk]) -> "keras.Model":
        """Make the model that a phase trains: activations of *below*, one trunk per term, in; logits out."""
        import keras

        from topwork.networks import depthwise

        inputs = [
            [keras.Input(t.shape, dtype=t.dtype, name=f"topwork_input_{i}_{k}") for k, t in enumerate(one.tensors)]
            for i, one in enumerate(below)
        ]
        ends: dict[int, Any] = {}
        for branch in self.branches:
            known = {t: x for i in branch.terms for t, x in zip(below[i].frontier.tensors, inputs[i])}
            goals = [(below[i].end, 0) for i in branch.terms]
            if all(goal in known for goal in goals):
                ends |= zip(branch.terms, map(known.__getitem__, goals))
            else:
                ends |= zip(branch.terms, above(branch.opened, known, [node for node, _ in goals], depthwise.caller()))
        return keras.Model(single([x for some in inputs for x in some]), self._ended(ends), name="top")

    def live(self, below: Sequence[Trunk], views: Views, seed: int) -> "keras.Model":
        """Make that model with the trunks inside: pixels in, one input per term, augmented in each training step."""
        import keras

        from topwork.networks import depthwise
        from topwork.networks.augmentation import layers as augmentation

        inputs = [
            keras.Input((*one.fit.size, 3), dtype="uint8", name=f"topwork_input_{i}") for i, one in enumerate(below)
        ]
        some = augmentation(views, seed, below[0].fit.resample)
        augmented: dict[Input, Any] = {}
        ends: dict[int, Any] = {}
        for branch in self.branches:
            start, place = inputs[branch.terms[0]], self._input(branch)
            if place not in augmented:
                x = start
                for layer in some:
                    x = layer(x)
                augmented[place] = x
            under = self._layers(branch, below, frozen=True)
            frozen = {id(layer) for layer in under if isinstance(layer, keras.Layer)}  # operations have no mode

            quick = depthwise.caller()

            def call(operation: Any, args: Any, kwargs: Any, frozen: set[int] = frozen, quick: Call = quick) -> Any:
                if id(operation) in frozen:
                    # One that is idle in inference is dropped: in a model that trains, Keras runs it as in training.
                    return args[0] if is_idle(operation, args, kwargs) else plain(operation, args, kwargs)
                return quick(operation, args, kwargs)

            goals = [below[i].end for i in branch.terms]
            ends |= zip(branch.terms, above(branch.opened, {(0, 0): augmented[place]}, goals, call))
        return keras.Model(single(inputs), self._ended(ends), name="top")

    def flat(self) -> "keras.Model":
        """Make a flat plain model: uint8 pixels ``[batch, side, side, 3]`` in, probabilities ``[batch, classes]`` out.

        It has one input per item of `inputs`.
        """
        if len(self.branches) == 1:  # a single backbone keeps its own input, and is not built again
            pixels = {self.inputs[0]: self.branches[0].opened.tensors[0][0]}
        else:
            pixels = starts(self.inputs)
        return classifier(pixels, self.logits(pixels))

    def logits(self, pixels: Mapping[Input, Any]) -> Any:
        """Return symbolic logits ``[batch, classes]`` from symbolic pixels for each of `inputs`."""
        from keras import layers

        ends: dict[int, Any] = {}
        for branch in self.branches:
            goals = [self.trunks[i].end for i in branch.terms]
            ends |= zip(branch.terms, above(branch.opened, {(0, 0): pixels[self._input(branch)]}, goals))
        logits = self._ended(ends)
        if logits.shape[-1] > 1:
            return logits
        zero = layers.Rescaling(0.0, name=f"{self._word}topwork_zero")(logits)  # softmax of (0, z) is the sigmoid of z
        return layers.Concatenate(name=f"{self._word}topwork_logits")([zero, logits])

    def begin(self, word: str) -> None:
        """Put *word* before all layers' names, so that several networks fit into one model."""
        for branch in self.branches:
            if "opened" in vars(branch):
                _begin(branch.opened.operations, word)
            branch.prefix = word + branch.prefix
        _begin([*self.head.layers, *operations(self.head)], word)
        self._word = word + self._word

    def freeze(self, below: Sequence[Trunk], batch_norm: str) -> None:
        """Let only layers above *below* train; batch-norm of the backbones only if *batch_norm* is ``"train"``."""
        import keras

        for branch in self.branches:
            if "opened" not in vars(branch):
                continue  # only the head has been trained so far
            above_it = {id(layer) for layer in self._layers(branch, below)}
            for layer in branch.opened.operations:
                is_norm = isinstance(layer, keras.layers.BatchNormalization)
                if isinstance(layer, keras.Layer):
                    layer.trainable = id(layer) in above_it and (not is_norm or batch_norm == "train")

    def trained(self) -> list[Any]:
        """List the layers whose weights may have changed: those above the earliest cut, and the head's."""
        found = [layer for branch in self.branches for layer in self._layers(branch, self.trunks)]
        return found + [layer for layer in self.head.layers if layer.weights]

    def values(self) -> Values:
        """Return a copy of the weights of `trained`."""
        return {layer.name: layer.get_weights() for layer in self.trained()}

    def load(self, values: Values) -> None:
        """Set the weights from `values`, by order and not by name: other versions of topwork used other names."""
        for layer, arrays in zip(self.trained(), values.values(), strict=True):
            layer.set_weights(arrays)

    def _input(self, branch: Branch) -> Input:
        return branch.picture, self.trunks[branch.terms[0]].fit

    def _ended(self, ends: dict[int, Any]) -> Any:
        starts = {id(start): ends[i] for i, start in enumerate(self.head.inputs)}
        return replay(self.head, starts)[id(self.head.outputs[0])]

    def _layers(self, branch: Branch, below: Sequence[Trunk], frozen: bool = False) -> list[Any]:
        """List a branch's layers with weights above *below*, or with *frozen* all its operations below."""
        own = [below[i] for i in branch.terms]
        if not frozen and all(one.frontier.tensors == ((one.end, 0),) for one in own):
            return []
        under = needed = 0
        for one in own:
            under, needed = under | one.frontier.below, needed | one.graph.ancestors[one.end]
        wanted = under if frozen else needed & ~under
        nodes = enumerate(zip(branch.opened.graph.nodes, branch.opened.operations))
        return [layer for i, (node, layer) in nodes if wanted >> i & 1 and (frozen or node.parameters)]


def _begin(operations: Iterable[Any], word: str) -> None:
    for operation in {id(one): one for one in operations}.values() if word else ():
        operation.name = word + operation.name


def starts(inputs: Sequence[Input]) -> dict[Input, Any]:
    """Make symbolic pixels, uint8 ``[batch, side, side, 3]``, for each input of a complete model."""
    import keras

    names = ["pixels"] if len(inputs) == 1 else [f"pixels_{number}" for number in range(1, len(inputs) + 1)]
    return {key: keras.Input((*key[1].size, 3), dtype="uint8", name=name) for key, name in zip(inputs, names)}


def classifier(pixels: Mapping[Input, Any], logits: Any) -> "keras.Model":
    """Make the complete model from the symbolic *pixels* to their *logits*, with a softmax at the end."""
    import keras

    probabilities = keras.layers.Softmax(name="probabilities")(logits)
    return keras.Model(single(list(pixels.values())), probabilities, name="classifier")


def create(recipe: Recipe, trunks: Sequence[Trunk], classes: int) -> Network:
    """Make the layers of a new run: pretrained weights in the backbones, seeded initial weights in the head."""
    keras_settings.import_keras()
    ends = [one.graph.nodes[one.end].shapes[0] for one in trunks]
    outputs = 1 if recipe.training.loss == "binary" else classes
    head = heads.build(recipe.head, ends, outputs, recipe.training.seed)
    return Network(head, recipe.phases[-1].terms, trunks)


class Answering(Protocol):
    """A `topwork.networks.model.Network` or a `topwork.networks.fusion.Joined`."""

    @property
    def trunks(self) -> tuple[Trunk, ...]:
        """The frozen part, one trunk per term."""
        ...

    @property
    def inputs(self) -> list[Input]:
        """The inputs of the complete model."""
        ...

    def flat(self) -> "keras.Model":
        """Make the model from pixels to probabilities."""
        ...
