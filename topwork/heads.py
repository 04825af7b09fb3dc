"""Heads: the new layers that end in the classes' logits.

The last layer starts at zero, as when Vision Transformers are fine-tuned (Dosovitskiy et al. 2021, section 3.2). With
more features than pictures, random values would leave logits that no training picture ever corrects: on 360 photos and
1,280 features they cost 2.7 points of accuracy (docs/log.md, 2026-11-23).
"""

from typing import TYPE_CHECKING, Any

from topwork.errors import RecipeError, nearest
from topwork.recipe import Head

if TYPE_CHECKING:
    import keras


def build(head: Head, shape: tuple[int, ...], classes: int, seed: int) -> "keras.Model":
    """Build a head: the backbone's end in (float ``[batch, *shape]``, map or vector), logits ``[batch, classes]`` out.

    Args:
        head: which layers; its pooling applies to maps alone.
        shape: of one picture at the backbone's end.
        classes: how many logits.
        seed: of the initial values below the last layer, and of Dropout.

    Raises:
        RecipeError: Keras has no such activation.
    """
    import keras

    start = keras.Input(shape, name="end")
    x = start
    for layer in _layers(head, shape, classes, seed):
        x = layer(x)
    return keras.Model(start, x, name="head")


def _layers(head: Head, shape: tuple[int, ...], classes: int, seed: int) -> list[Any]:
    from keras import initializers, layers

    def dense(units: int, number: int) -> Any:
        values = initializers.GlorotUniform(seed + number)
        name, activation = f"head_dense_{number}", _activation(head.activation)
        return layers.Dense(units, activation=activation, kernel_initializer=values, name=name)

    found = [_pooling(head.pooling)] if len(shape) == 3 else []
    for number, units in enumerate(head.units if head.kind == "mlp" else (), 1):
        found.append(dense(units, number))
    if head.batch_norm:
        found.append(layers.BatchNormalization(name="head_batch_norm"))
    if head.dropout:
        found.append(layers.Dropout(head.dropout, seed=seed, name="head_dropout"))
    return [*found, layers.Dense(classes, kernel_initializer="zeros", name="logits")]


def _activation(name: str) -> str:
    from keras import activations

    known = sorted(vars(activations).keys() - {"get", "serialize", "deserialize"})
    known = [word for word in known if callable(getattr(activations, word)) and not word.startswith("_")]
    if name not in known:
        raise RecipeError(f"no activation {name!r}{nearest(name, known) or '.'} Keras has: {', '.join(known)}.")
    return name


def _pooling(kind: str) -> Any:
    from keras import layers

    if kind == "flatten":
        return layers.Flatten(name="head_flatten")
    return (layers.GlobalMaxPooling2D if kind == "max" else layers.GlobalAveragePooling2D)(name=f"head_{kind}_pool")
