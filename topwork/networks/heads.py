"""Heads: the new layers that end in the classes' logits.

The last layer starts at zero, as when Vision Transformers are fine-tuned (Dosovitskiy et al. 2021, section 3.2). With
more features than pictures, random values would leave logits that no training picture ever corrects: on 360 photos and
1,280 features they cost 3.5 points of accuracy (docs/log.md, 2026-11-23).
"""

from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topwork.errors import BackboneError, RecipeError, nearest
from topwork.networks import layer_names
from topwork.networks.backbones import builder
from topwork.networks.replay import flat_layers, functional
from topwork.recipes.settings import Head

if TYPE_CHECKING:
    import keras

Shape = tuple[int, ...]


def build(head: Head, ends: Sequence[Shape], outputs: int, seed: int) -> "keras.Model":
    """Build a head: what the backbones end in, logits ``[batch, outputs]`` out.

    Args:
        head: which layers; its pooling applies to maps alone.
        ends: the shape of one picture at the end of each term of the cut, a map or a vector; the head has an input for
            each, float32.
        outputs: how many logits: one a class, or a single one for two classes.
        seed: of the initial values below the last layer, and of Dropout.

    Raises:
        RecipeError: Keras has no such activation or initializer.
        BackboneError: a head of your own that does not fit.
    """
    import keras

    if head.file:
        return _own(Path(head.file), ends, outputs)
    starts = [keras.Input(shape, name=name) for shape, name in zip(ends, _numbered("end", len(ends)))]
    words = _numbered(f"head_{head.pooling}_pool", len(ends))
    pooled = [_pooling(head.pooling, word)(x) if len(x.shape) == 4 else x for x, word in zip(starts, words)]
    x = keras.layers.Concatenate(name="head_join")(pooled) if len(pooled) > 1 else pooled[0]
    for layer in _layers(head, outputs, seed):
        x = layer(x)
    return keras.Model(starts if len(starts) > 1 else starts[0], x, name="head")


def _layers(head: Head, outputs: int, seed: int) -> list[Any]:
    from keras import layers

    found: list[Any] = []
    for number, units in enumerate(head.units if head.kind == "mlp" else (), 1):
        if head.batch_norm and head.batch_norm_at == "every":
            found.append(layers.BatchNormalization(name=f"head_batch_norm_{number}"))
        values, name = _initializer(head.kernel_initializer, seed + number), f"head_dense_{number}"
        found.append(layers.Dense(units, _activation(head.activation), kernel_initializer=values, name=name))
    if head.batch_norm:
        found.append(layers.BatchNormalization(name="head_batch_norm"))
    if head.dropout:
        found.append(layers.Dropout(head.dropout, seed=seed, name="head_dropout"))
    return [*found, layers.Dense(outputs, kernel_initializer="zeros", name="logits")]


def _activation(name: str) -> str:
    from keras import activations

    known = sorted(vars(activations).keys() - {"get", "serialize", "deserialize"})
    known = [word for word in known if not word.startswith("_") and _takes_one(getattr(activations, word))]
    if name not in known:
        hint = nearest(name, known) or "."
        raise RecipeError(f"no activation {name!r}{hint} Keras has: {', '.join(known)}.", "head.activation")
    return name


def _takes_one(function: Any) -> bool:
    """Whether it can be called on a tensor alone."""
    if not callable(function):
        return False
    needed = [
        p for p in signature(function).parameters.values() if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    ]
    return len(needed) == 1


def _initializer(name: str, seed: int) -> Any:
    from keras import initializers

    drawn = ("glorot", "he", "lecun", "random", "truncated", "variance", "orthogonal")
    known = sorted(word for word in vars(initializers) if word.islower() and word.startswith(drawn))
    if name not in known:
        hint = nearest(name, known) or "."
        raise RecipeError(f"no initializer {name!r}{hint} Keras has: {', '.join(known)}.", "head.kernel_initializer")
    kind = type(initializers.get(name))
    return kind(seed=seed)


def _pooling(kind: str, name: str) -> Any:
    from keras import layers

    if kind == "flatten":
        return layers.Flatten(name=name.removesuffix("_pool"))
    return (layers.GlobalMaxPooling2D if kind == "max" else layers.GlobalAveragePooling2D)(name=name)


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}_{number}" for number in range(1, count + 1)]


def _own(path: Path, ends: Sequence[Shape], outputs: int) -> "keras.Model":
    """A head of one's own, checked against what it joins.

    Raises:
        BackboneError: as of `opened`, or it takes other shapes.
    """
    model = opened(path, outputs)
    given, takes = [(None, *shape) for shape in ends], [tuple(tensor.shape) for tensor in model.inputs]
    if not _fits(takes, given):
        raise BackboneError(f"the head {str(path)!r} takes {takes}, and the backbones end in {given}.")
    layer_names.tell_apart(model)
    layer_names.rename([*model.layers, *layer_names.operations(model)], "head_")  # they must differ from the backbone's
    return model


def opened(path: Path, outputs: int) -> "keras.Model":
    """A head of one's own, checked as far as that goes without what it joins.

    Raises:
        BackboneError: Keras cannot load it, it is subclassed, it gives another shape, or it ends in a softmax.
    """
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
    if _is_softmax(flat_layers(model)[-1]):
        raise BackboneError(
            f"the head {str(path)!r} ends in a softmax: expected logits. Leave it away; topwork puts one on."
        )
    return model


def _fits(takes: list[tuple], given: list[tuple]) -> bool:
    same = len(takes) == len(given)
    return same and all(
        len(a) == len(b) and all(x is None or x == y for x, y in zip(a, b)) for a, b in zip(takes, given)
    )


def _is_softmax(layer: Any) -> bool:
    import keras

    activation = getattr(layer, "activation", None)
    return isinstance(layer, keras.layers.Softmax) or activation in (
        keras.activations.softmax,
        keras.activations.sigmoid,
    )
