"""Heads: the new layers that end in the classes' logits."""

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
        seed: of the initial values and of Dropout.

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

    def dense(units: int, number: int, name: str, activation: str | None = None) -> Any:
        values = initializers.GlorotUniform(seed + number)
        return layers.Dense(units, activation=activation, kernel_initializer=values, name=name)

    found = [_pooling(head.pooling)] if len(shape) == 3 else []
    for number, units in enumerate(head.units if head.kind == "mlp" else (), 1):
        found.append(dense(units, number, f"head_dense_{number}", _activation(head.activation)))
    if head.batch_norm:
        found.append(layers.BatchNormalization(name="head_batch_norm"))
    if head.dropout:
        found.append(layers.Dropout(head.dropout, seed=seed, name="head_dropout"))
    return [*found, dense(classes, 0, "logits")]


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
