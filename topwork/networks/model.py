"""The model that a run trains: the backbones above its cuts and the head; all phases share its layers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from topwork.cut import Term
from topwork.data.pictures import Fit
from topwork.networks import heads
from topwork.networks.halves import above
from topwork.networks.heads import MOMENTUM, Values
from topwork.networks.keras_graph import Opened, open_backbone, single
from topwork.networks.layer_names import operations, safe
from topwork.networks.outputs.distance import averaged
from topwork.networks.replay import Call, is_idle, plain, replay
from topwork.networks.trunk import Trunk
from topwork.networks.weights import pretrained
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone, Views
from topwork.system import keras_settings

if TYPE_CHECKING:
    import keras

Input = tuple[str | None, Fit]
"""One input of the complete model: the column of the picture (``None``: the first), and how it is resized."""


@dataclass
class Branch:
    """One backbone, applied to one picture of a row. Terms of a cut with the same backbone and picture share a branch.

    Args:
        backbone: the backbone with its options.
        picture: the column of the picture; ``None``: the first column.
        prefix: is put before the names of the layers, which must differ between the branches of a run.
        terms: the positions in the cut of the terms that share this branch.
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
        head: the head, from `topwork.networks.heads.build`.
        terms: the terms of the run's cuts; the place of a term may differ between phases.
        trunks: the trunks below the earliest cut of all phases, one per term; they never train.
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
        """The inputs of the complete model: one for each combination of picture column, size and resize rule."""
        return list(dict.fromkeys(self._input(branch) for branch in self.branches))

    def above(self, below: Sequence[Trunk]) -> "keras.Model":
        """Make the model that a phase trains.

        Its inputs are the activations of *below* (one trunk per term); its outputs are logits.
        """
        import keras

        inputs, ends = self._reached(below)
        return keras.Model(inputs, self._ended(ends), name="top")

    def above_with_ends(self, below: Sequence[Trunk]) -> "keras.Model":
        """Make a model as in `above`, which also returns the end of each term's backbone, as a vector.

        Its outputs are the logits, and then one vector for each term.
        """
        import keras

        inputs, ends = self._reached(below)
        vectors = [averaged(ends[i], f"topwork_mean_{i}") for i in range(len(self.trunks))]
        return keras.Model(inputs, [self._ended(ends), *vectors], name="top")

    def _reached(self, below: Sequence[Trunk]) -> tuple[Any, dict[int, Any]]:
        """Return symbolic activations of *below*, and the end of each term that is computed from them."""
        import keras

        from topwork.networks import quick

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
                ends |= zip(branch.terms, above(branch.opened, known, [node for node, _ in goals], quick.caller()))
        return single([x for some in inputs for x in some]), ends

    def above_pools(self) -> "keras.Model":
        """Make the model that a phase trains if all backbones are frozen, and the activations are pooled beforehand.

        Its inputs are vectors, one per term: what the head's pooling layers return, or activations that are no maps.
        """
        import keras

        goals = heads.pooled_ends(self.head)
        inputs = [keras.Input(goal.shape[1:], name=f"topwork_input_{i}") for i, goal in enumerate(goals)]
        known = {id(goal): start for goal, start in zip(goals, inputs)}
        return keras.Model(single(inputs), replay(self.head, known)[id(self.head.outputs[0])], name="top")

    def live(self, below: Sequence[Trunk], views: Views, seed: int) -> "keras.Model":
        """Make the model that a phase with live views trains: as in `above`, but the trunks are part of the model.

        Its inputs are pixels, one input per term. They are augmented in each training step.
        """
        import keras

        from topwork.networks import quick
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
            under = self._layers(branch, below, frozen=True)  # layers, which have a training mode, and bare operations
            frozen = {id(layer) for layer in under if isinstance(layer, keras.Layer)}

            faster = quick.caller()

            def call(operation: Any, args: Any, kwargs: Any, frozen: set[int] = frozen, faster: Call = faster) -> Any:
                if id(operation) in frozen:
                    # A layer that is idle in inference is dropped, because Keras would run it in training mode here.
                    return args[0] if is_idle(operation, args, kwargs) else plain(operation, args, kwargs)
                return faster(operation, args, kwargs)

            goals = [below[i].end for i in branch.terms]
            ends |= zip(branch.terms, above(branch.opened, {(0, 0): augmented[place]}, goals, call))
        return keras.Model(single(inputs), self._ended(ends), name="top")

    def flat(self) -> "keras.Model":
        """Make the complete model, flat and plain, with one input for each of `inputs`.

        It takes uint8 pixels ``[batch, side, side, 3]`` and returns probabilities ``[batch, classes]``.
        """
        pixels = self.pixels()
        return classifier(pixels, self.logits(pixels))

    def pixels(self) -> dict[Input, Any]:
        """Return symbolic pixels for each of `inputs`."""
        if len(self.branches) == 1:  # a single backbone keeps its own input, and is not built again
            return {self.inputs[0]: self.branches[0].opened.tensors[0][0]}
        return starts(self.inputs)

    def logits(self, pixels: Mapping[Input, Any]) -> Any:
        """Return the symbolic logits ``[batch, classes]`` for symbolic *pixels*, one tensor for each of `inputs`."""
        return self.for_classes(self.outputs(self.ends(pixels)))

    def ends(self, pixels: Mapping[Input, Any]) -> list[Any]:
        """Return where the backbone of each term ends, for symbolic *pixels*: vectors or maps."""
        ends: dict[int, Any] = {}
        for branch in self.branches:
            goals = [self.trunks[i].end for i in branch.terms]
            ends |= zip(branch.terms, above(branch.opened, {(0, 0): pixels[self._input(branch)]}, goals))
        return [ends[i] for i in range(len(self.trunks))]

    def outputs(self, ends: Sequence[Any]) -> Any:
        """Return the symbolic outputs of the head: a logit for each class, or a single one for two classes."""
        return self._ended(dict(enumerate(ends)))

    def for_classes(self, outputs: Any, what: str = "logits") -> Any:
        """Return *outputs* with one number for each class: a single logit z becomes (0, z), whose softmax is the same.

        Args:
            outputs: symbolic, ``[batch, ..., outputs]``.
            what: is part of the names of the new layers.
        """
        from keras import layers

        if outputs.shape[-1] > 1:
            return outputs
        zero = layers.Rescaling(0.0, name=f"{self._word}topwork_zero_{what}")(outputs)
        return layers.Concatenate(name=f"{self._word}topwork_{what}")([zero, outputs])

    def begin(self, word: str) -> None:
        """Put *word* before the names of all layers, so that several networks can be parts of one model."""
        for branch in self.branches:
            if "opened" in vars(branch):
                _begin(branch.opened.operations, word)
            branch.prefix = word + branch.prefix
        _begin([*self.head.layers, *operations(self.head)], word)
        self._word = word + self._word

    def freeze(self, below: Sequence[Trunk], batch_norm: str) -> None:
        """Make only layers above *below* trainable; a backbone's batch-norm only if *batch_norm* is ``"train"``."""
        import keras

        for branch in self.branches:
            if "opened" not in vars(branch):
                continue  # only the head has been trained so far
            above_it = {id(layer) for layer in self._layers(branch, below)}
            for layer in branch.opened.operations:
                is_norm = isinstance(layer, keras.layers.BatchNormalization)
                if isinstance(layer, keras.Layer):
                    layer.trainable = id(layer) in above_it and (not is_norm or batch_norm == "train")
                    if is_norm and layer.trainable:
                        layer.momentum = min(layer.momentum, MOMENTUM)

    def trained(self) -> list[Any]:
        """List the layers whose weights may have changed: those above the earliest cut, and the head's."""
        found = [layer for branch in self.branches for layer in self._layers(branch, self.trunks)]
        return found + [layer for layer in self.head.layers if layer.weights]

    def values(self) -> Values:
        """Return a copy of the weights of `trained`."""
        return {layer.name: layer.get_weights() for layer in self.trained()}

    def load(self, values: Values) -> None:
        """Set the weights from `values`, by order and not by name, as other versions of topwork used other names."""
        for layer, arrays in zip(self.trained(), values.values(), strict=True):
            layer.set_weights(arrays)

    def divide(self, temperature: float) -> bool:
        """Divide the logits by a number, in the weights of the last layer; ``False`` if it is no dense layer."""
        layer = heads.last_dense(self.head)
        if layer is None:
            return False
        layer.set_weights([values / temperature for values in layer.get_weights()])
        return True

    def _input(self, branch: Branch) -> Input:
        return branch.picture, self.trunks[branch.terms[0]].fit

    def _ended(self, ends: dict[int, Any]) -> Any:
        starts = {id(start): ends[i] for i, start in enumerate(self.head.inputs)}
        return replay(self.head, starts)[id(self.head.outputs[0])]

    def _layers(self, branch: Branch, below: Sequence[Trunk], frozen: bool = False) -> list[Any]:
        """List a branch's layers that are above *below* and have weights; if *frozen*, all its operations below."""
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
    """Make the complete model from symbolic *pixels* and the *logits* computed from them; it ends in a softmax."""
    import keras

    probabilities = keras.layers.Softmax(name="probabilities")(logits)
    return keras.Model(single(list(pixels.values())), probabilities, name="classifier")


def create(recipe: Recipe, trunks: Sequence[Trunk], classes: int) -> Network:
    """Make the network of a new run, with pretrained weights in the backbones and seeded initial values in the head."""
    keras_settings.import_keras()
    ends = [one.graph.nodes[one.end].shapes[0] for one in trunks]
    outputs = 1 if recipe.training.loss == "binary" else classes
    head = heads.build(recipe.head, ends, outputs, recipe.training.seed)
    return Network(head, recipe.phases[-1].terms, trunks)


class Answering(Protocol):
    """The common interface of `topwork.networks.model.Network` and `topwork.networks.fusion.Joined`."""

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
