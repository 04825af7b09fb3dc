"""What a run trains: the backbones above its cuts, and the head, as one set of layers that all phases share."""

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
"""What one input of the whole model takes: a picture of the row, brought to a size."""


@dataclass
class Branch:
    """One backbone on one picture of a row: terms of a cut that name the same of both share its layers.

    Args:
        backbone: its options.
        picture: the column; ``None``: the first.
        prefix: of its layers' names, which must differ between the branches of a run.
        terms: which terms of the cut, by position.
    """

    backbone: Backbone
    picture: str | None
    prefix: str
    terms: list[int]

    @cached_property
    def opened(self) -> Opened:
        """The backbone with its pretrained weights; built when first asked for."""
        opened = open_backbone(self.backbone, pretrained.weights_file(self.backbone))
        _begin(opened.operations, self.prefix)
        return opened


class Network:
    """The layers of one run.

    Args:
        head: from `topwork.networks.heads.build`.
        terms: of the run's cuts, whose places may differ from phase to phase.
        trunks: below the earliest cut of any phase, one a term; nothing there ever trains.
    """

    def __init__(self, head: "keras.Model", terms: Sequence[Term], trunks: Sequence[Trunk]) -> None:
        self.head, self.trunks = head, tuple(trunks)
        self.branches = _branches(terms, trunks)
        self._word = ""

    @property
    def inputs(self) -> list[Input]:
        """What the whole model takes: one input for each picture of a row, size and rule."""
        return list(dict.fromkeys(self._input(branch) for branch in self.branches))

    def above(self, below: Sequence[Trunk]) -> "keras.Model":
        """The model that one phase trains: activations of *below*, a trunk a term, in; logits out."""
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
        """The same with the trunks inside: pixels in, one input a term, augmented afresh in every training step."""
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
            frozen = {id(layer) for layer in under if isinstance(layer, keras.Layer)}  # operations know no mode

            quick = depthwise.caller()

            def call(operation: Any, args: Any, kwargs: Any, frozen: set[int] = frozen, quick: Call = quick) -> Any:
                if id(operation) in frozen:  # where the whole model trains, Keras lets no layer in it answer instead
                    return args[0] if is_idle(operation, args, kwargs) else plain(operation, args, kwargs)
                return quick(operation, args, kwargs)

            goals = [below[i].end for i in branch.terms]
            ends |= zip(branch.terms, above(branch.opened, {(0, 0): augmented[place]}, goals, call))
        return keras.Model(single(inputs), self._ended(ends), name="top")

    def flat(self) -> "keras.Model":
        """One flat plain model: uint8 pixels ``[batch, side, side, 3]`` in, probabilities ``[batch, classes]`` out.

        It has an input for each of `inputs`.
        """
        if len(self.branches) == 1:  # a single backbone keeps its own input, and is not built again
            pixels = {self.inputs[0]: self.branches[0].opened.tensors[0][0]}
        else:
            pixels = starts(self.inputs)
        return classifier(pixels, self.logits(pixels))

    def logits(self, pixels: Mapping[Input, Any]) -> Any:
        """Logits ``[batch, classes]``, as a symbolic tensor, on those of each of `inputs`."""
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
        """Let all layers' names begin with a word, so that several networks fit into one model."""
        for branch in self.branches:
            if "opened" in vars(branch):
                _begin(branch.opened.operations, word)
            branch.prefix = word + branch.prefix
        _begin([*self.head.layers, *operations(self.head)], word)
        self._word = word + self._word

    def freeze(self, below: Sequence[Trunk], batch_norm: str) -> None:
        """Let train what is above *below*, the backbones' batch-norm only if *batch_norm* is ``"train"``."""
        import keras

        for branch in self.branches:
            if "opened" not in vars(branch):
                continue  # a head alone was trained so far
            above_it = {id(layer) for layer in self._layers(branch, below)}
            for layer in branch.opened.operations:
                is_norm = isinstance(layer, keras.layers.BatchNormalization)
                if isinstance(layer, keras.Layer):
                    layer.trainable = id(layer) in above_it and (not is_norm or batch_norm == "train")

    def trained(self) -> list[Any]:
        """The layers that may differ from the pretrained ones: those above the earliest cut, and the head's."""
        found = [layer for branch in self.branches for layer in self._layers(branch, self.trunks)]
        return found + [layer for layer in self.head.layers if layer.weights]

    def values(self) -> Values:
        """A copy of the weights of `trained`."""
        return {layer.name: layer.get_weights() for layer in self.trained()}

    def load(self, values: Values) -> None:
        """Put back what `values` gave, in its order: topwork may have called the layers otherwise then."""
        for layer, arrays in zip(self.trained(), values.values(), strict=True):
            layer.set_weights(arrays)

    def _input(self, branch: Branch) -> Input:
        return branch.picture, self.trunks[branch.terms[0]].fit

    def _ended(self, ends: dict[int, Any]) -> Any:
        starts = {id(start): ends[i] for i, start in enumerate(self.head.inputs)}
        return replay(self.head, starts)[id(self.head.outputs[0])]

    def _layers(self, branch: Branch, below: Sequence[Trunk], frozen: bool = False) -> list[Any]:
        """The layers with weights of a branch above *below*, or if *frozen* all operations below it."""
        own = [below[i] for i in branch.terms]
        if not frozen and all(one.frontier.tensors == ((one.end, 0),) for one in own):
            return []
        under = needed = 0
        for one in own:
            under, needed = under | one.frontier.below, needed | one.graph.ancestors[one.end]
        wanted = under if frozen else needed & ~under
        nodes = enumerate(zip(branch.opened.graph.nodes, branch.opened.operations))
        return [layer for i, (node, layer) in nodes if wanted >> i & 1 and (frozen or node.parameters)]


def _branches(terms: Sequence[Term], trunks: Sequence[Trunk]) -> list[Branch]:
    """The branches of a run; each prefix makes the layers' names differ, and is empty for a single branch."""
    graphs = {(term.backbone, term.picture): one.graph for term, one in zip(terms, trunks)}
    words = [re.sub(r"\W", "_", f"{name}_{picture}" if picture else name) + "_" for name, picture in graphs]
    layers = [word + node.name for word, graph in zip(words, graphs.values()) for node in graph.nodes]
    if len(graphs) == 1:
        words = [""]
    elif safe(words) != words or len(set(layers)) < len(layers):
        words = [f"branch_{number}_" for number in range(1, len(graphs) + 1)]
    prefixes = dict(zip(graphs, words))

    found: dict[tuple[str, str | None], Branch] = {}
    for i, (term, one) in enumerate(zip(terms, trunks)):
        key = term.backbone, term.picture
        found.setdefault(key, Branch(one.backbone, term.picture, prefixes[key], [])).terms.append(i)
    return list(found.values())


def _begin(operations: Iterable[Any], word: str) -> None:
    for operation in {id(one): one for one in operations}.values() if word else ():
        operation.name = word + operation.name


def starts(inputs: Sequence[Input]) -> dict[Input, Any]:
    """Symbolic pixels uint8 ``[batch, side, side, 3]`` for each input of a whole model."""
    import keras

    names = ["pixels"] if len(inputs) == 1 else [f"pixels_{number}" for number in range(1, len(inputs) + 1)]
    return {key: keras.Input((*key[1].size, 3), dtype="uint8", name=name) for key, name in zip(inputs, names)}


def classifier(pixels: Mapping[Input, Any], logits: Any) -> "keras.Model":
    """The whole model from `starts` to logits, and a softmax on these."""
    import keras

    probabilities = keras.layers.Softmax(name="probabilities")(logits)
    return keras.Model(single(list(pixels.values())), probabilities, name="classifier")


def create(recipe: Recipe, trunks: Sequence[Trunk], classes: int) -> Network:
    """The layers of a new run, with pretrained weights below and seeded initial ones in the head."""
    keras_settings.import_keras()
    ends = [one.graph.nodes[one.end].shapes[0] for one in trunks]
    outputs = 1 if recipe.training.loss == "binary" else classes
    head = heads.build(recipe.head, ends, outputs, recipe.training.seed)
    return Network(head, recipe.phases[-1].terms, trunks)


class Answering(Protocol):
    """A `topwork.networks.model.Network` or a `topwork.networks.fusion.Joined`."""

    @property
    def trunks(self) -> tuple[Trunk, ...]:
        """What is frozen, one a term."""
        ...

    @property
    def inputs(self) -> list[Input]:
        """What the whole model takes."""
        ...

    def flat(self) -> "keras.Model":
        """Pixels in, probabilities out."""
        ...
