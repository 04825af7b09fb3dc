"""Heads: the new layers above the backbones, which compute the logits of the classes.

The last layer starts at zero, as in the fine-tuning of Vision Transformers (Dosovitskiy et al. 2021, section 3.2). If
there are more features than pictures, a part of random initial values is not corrected by any training picture. With
360 photos and 1,280 features, this cost 3.5 points of accuracy (docs/log.md, 2026-11-23).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from topwork.errors import BackboneError, RecipeError, nearest
from topwork.networks import layer_names
from topwork.networks.backbones import builder
from topwork.networks.replay import flat_layers, functional
from topwork.recipes.settings import Head

if TYPE_CHECKING:
    import keras

Shape = tuple[int, ...]

Values = dict[str, list[np.ndarray]]
"""The weights of layers: the arrays of each layer, by the name of the layer."""

BATCH_NORM, LOGITS = "head_batch_norm", "logits"
"""The layers of a linear head that have weights."""

EPSILON = 1e-3
"""Added to the variance, as Keras' ``BatchNormalization`` does by default."""

MOMENTUM = 0.9
"""The momentum of batch-norm layers that train.

They must follow their inputs, which change quickly where layers below them train. With Keras' 0.99 and 45 steps per
epoch, a model that was right on nearly all training pictures in training mode was right on 25 % of them in inference
mode (docs/log.md, 2026-11-29).
"""


@dataclass(frozen=True)
class LinearHead:
    """The weights of a head of kind ``"linear"``, and what it computes in inference mode, without Keras.

    Args:
        kernel: of the dense layer, float32 ``[features, outputs]``.
        bias: of the dense layer, float32 ``[outputs]``.
        norm: gamma, beta, mean and variance of the batch-norm, each float32 ``[features]``; ``None``: no batch-norm.
    """

    kernel: np.ndarray
    bias: np.ndarray
    norm: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None = None

    @classmethod
    def new(cls, features: int, outputs: int, batch_norm: bool) -> Self:
        """Return the head before training, with the values that `build` gives it."""
        one, zero = np.ones(features, np.float32), np.zeros(features, np.float32)
        norm = (one, zero, zero, one) if batch_norm else None
        return cls(np.zeros((features, outputs), np.float32), np.zeros(outputs, np.float32), norm)

    @classmethod
    def of(cls, values: Values) -> Self:
        """Return the head from the weights of its Keras layers."""
        kernel, bias = values[LOGITS]
        if BATCH_NORM not in values:
            return cls(kernel, bias)
        gamma, beta, mean, variance = values[BATCH_NORM]
        return cls(kernel, bias, (gamma, beta, mean, variance))

    def values(self) -> Values:
        """Return the weights of the Keras layers."""
        norm = {BATCH_NORM: list(self.norm)} if self.norm else {}
        return {**norm, LOGITS: [self.kernel, self.bias]}

    def divided(self, temperature: float) -> Self:
        """Return the head whose logits are divided by a number."""
        kernel, bias = (np.asarray(values / temperature, np.float32) for values in (self.kernel, self.bias))
        return replace(self, kernel=kernel, bias=bias)

    @property
    def spread(self) -> float | None:
        """How much the features vary between pictures: ``mean(variance) / mean(mean²)`` over the features.

        ``None`` without batch-norm. The statistics are those of the pictures that the head was solved on.
        """
        if not self.norm:
            return None
        _, _, mean, variance = self.norm
        size = float(np.mean(mean.astype(np.float64) ** 2))
        return float(np.mean(variance, dtype=np.float64)) / size if size else None

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return the logits of *features* ``[n, features]``: float32 ``[n, classes]``.

        If the head has a single output z, the logits are (0, z).
        """
        kernel, bias = self.kernel, self.bias
        if self.norm:
            gamma, beta, mean, variance = self.norm
            scale = gamma / np.sqrt(variance + EPSILON)
            bias = bias + (beta - mean * scale) @ kernel
            kernel = scale[:, None] * kernel
        return class_logits(features @ kernel + bias)


def class_logits(outputs: np.ndarray) -> np.ndarray:
    """Return logits ``[rows, classes]``: if a head has a single output z, they are (0, z).

    >>> class_logits(np.array([[2.0]])).tolist()
    [[0.0, 2.0]]
    """
    return np.hstack([np.zeros_like(outputs), outputs]) if outputs.shape[1] == 1 else outputs


def build(head: Head, ends: Sequence[Shape], outputs: int, seed: int) -> "keras.Model":
    """Build a head, which takes the outputs of the backbones and returns logits ``[batch, outputs]``.

    Args:
        head: the settings; pooling applies only to maps.
        ends: the shape, for one picture, of the output of each term of the cut: a map or a vector. The head has one
            float32 input per term.
        outputs: the number of logits: one per class, or a single one for two classes.
        seed: the seed of Dropout and of the initial values below the last layer.

    Raises:
        RecipeError: Keras has no such activation or initializer.
        BackboneError: your own head does not fit.
    """
    import keras
    from keras import layers

    if head.file:
        return _own(Path(head.file), ends, outputs)

    starts, pooled = [], []
    for number, shape in enumerate(ends, 1):
        mark = f"_{number}" if len(ends) > 1 else ""
        x = keras.Input(shape, name=f"end{mark}")
        starts.append(x)
        name = f"head_{head.pooling}_pool{mark}"
        if len(shape) == 3 and head.pooling == "flatten":
            x = layers.Flatten(name=name.removesuffix("_pool"))(x)
        elif len(shape) == 3:
            pooling = layers.GlobalMaxPooling2D if head.pooling == "max" else layers.GlobalAveragePooling2D
            x = pooling(name=name)(x)
        pooled.append(x)
    x = layers.Concatenate(name="head_join")(pooled) if len(pooled) > 1 else pooled[0]

    for number, units in enumerate(head.units if head.kind == "mlp" else (), 1):
        if head.batch_norm and head.batch_norm_at == "every":
            x = layers.BatchNormalization(momentum=MOMENTUM, name=f"head_batch_norm_{number}")(x)
        x = _dense(head, units, number, seed)(x)
    if head.batch_norm:
        x = layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=BATCH_NORM)(x)
    if head.dropout:
        x = layers.Dropout(head.dropout, seed=seed, name="head_dropout")(x)
    x = layers.Dense(outputs, kernel_initializer="zeros", name=LOGITS)(x)
    return keras.Model(starts if len(starts) > 1 else starts[0], x, name="head")


def last_dense(model: "keras.Model") -> "keras.layers.Dense | None":
    """Return the layer that computes the logits of a head, if it is a dense layer without activation."""
    from keras import activations, layers

    layer: Any = model
    while inner := functional(layer):
        layer = inner.layers[-1]
    return layer if isinstance(layer, layers.Dense) and layer.activation is activations.linear else None


def pooled_ends(model: "keras.Model") -> list[Any]:
    """Return, for each input of a head that `build` made, the tensor after its pooling layer, or the input itself."""
    from keras import layers

    pools = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
    after = {id(layer.input): layer.output for layer in model.layers if isinstance(layer, pools)}
    return [after.get(id(start), start) for start in model.inputs]


def _dense(head: Head, units: int, number: int, seed: int) -> "keras.layers.Dense":
    from keras import activations, initializers, layers

    initializer = head.kernel_initializer
    drawn = ("glorot", "he", "lecun", "random", "truncated", "variance", "orthogonal")
    known = sorted(word for word in vars(initializers) if word.islower() and word.startswith(drawn))
    if initializer not in known:
        hint = nearest(initializer, known) or "."
        raise RecipeError(
            f"no initializer {initializer!r}{hint} Keras has: {', '.join(known)}.", "head.kernel_initializer"
        )
    values = type(initializers.get(initializer))(seed=seed + number)

    activation, possible = head.activation, []
    for word, function in sorted(vars(activations).items()):
        if word.startswith("_") or word in ("get", "serialize", "deserialize") or not callable(function):
            continue
        parameters = signature(function).parameters.values()
        if sum(p.default is p.empty and p.kind is not p.VAR_KEYWORD for p in parameters) == 1:  # it takes one tensor
            possible.append(word)
    if activation not in possible:
        hint = nearest(activation, possible) or "."
        raise RecipeError(f"no activation {activation!r}{hint} Keras has: {', '.join(possible)}.", "head.activation")
    return layers.Dense(units, activation, kernel_initializer=values, name=f"head_dense_{number}")


def _own(path: Path, ends: Sequence[Shape], outputs: int) -> "keras.Model":
    """Load your own head and check that it fits the ends of the backbones.

    Raises:
        BackboneError: as in `opened`; or the head takes inputs of other shapes.
    """
    model = opened(path, outputs)
    given = [(None, *shape) for shape in ends]
    takes = [tuple(tensor.shape) for tensor in model.inputs]
    fits = len(takes) == len(given) and all(
        len(a) == len(b) and all(x in (None, y) for x, y in zip(a, b)) for a, b in zip(takes, given)
    )
    if not fits:
        raise BackboneError(
            f"the head {str(path)!r} takes {takes}: expected {given}, the shapes at the ends of the backbones."
        )
    layer_names.tell_apart(model)
    layer_names.rename([*model.layers, *layer_names.operations(model)], "head_")  # not the backbone's names
    return model


def opened(path: Path, outputs: int) -> "keras.Model":
    """Load your own head and check all that does not depend on the backbones.

    Raises:
        BackboneError: Keras cannot load it, it is subclassed, its output has another shape, or it ends in a softmax.
    """
    import keras

    model = builder.load(str(path), "the head")
    if functional(model) is None:
        raise BackboneError(
            f"the head {str(path)!r} is a {type(model).__name__}, whose graph is hidden in Python code: expected a "
            "functional or Sequential keras.Model that has been built."
        )
    if [tuple(tensor.shape) for tensor in model.outputs] != [(None, outputs)]:
        raise BackboneError(
            f"the head {str(path)!r} gives {tuple(model.outputs[0].shape)}: expected one tensor {(None, outputs)}, "
            "a logit for each class."
        )
    last = flat_layers(model)[-1]
    activation = getattr(last, "activation", None)
    probabilities = (keras.activations.softmax, keras.activations.sigmoid)
    if isinstance(last, keras.layers.Softmax) or activation in probabilities:
        raise BackboneError(f"the head {str(path)!r} ends in a softmax: expected logits. Remove it; topwork adds one.")
    return model
