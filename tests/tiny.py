"""A network of 46 layers as a user's own file, for tests that need no particular network: it builds fast.

Its places have names that MobileNetV2 also uses.
"""

from functools import cache

import keras
from keras import layers

from tests.shared import once
from topwork.recipes.settings import Backbone

NAME = "tiny"
SIDE = 32


def tiny(side: int = SIDE, **options) -> Backbone:
    """Return the seeded network as a backbone from a file; at a size other than 32 pixels its name is ``tiny_SIDE``."""
    name = NAME if side == SIDE else f"{NAME}_{side}"
    return Backbone(name, model=file(side), **{"size": side, "precision": "float32", **options})


@cache
def file(side: int = SIDE) -> str:
    """Return the path of the network file; all processes of a test run share it."""
    return str(once(f"{NAME}_{side}.keras", lambda path: network(side).save(path)))


def network(side: int = SIDE) -> keras.Model:
    """Build four blocks with additions between a stem and a last convolution, all with batch-norm."""
    pixels = keras.Input((side, side, 3), name="input")
    x = layers.Rescaling(1 / 127.5, -1, name="rescaling")(pixels)
    x = _conv(x, 8, "Conv1", size=3, strides=2)
    x = _conv(x, 8, "block_1_project", relu=False)
    x = _added(x, 16, 2)
    x = _conv(x, 24, "block_3_expand", strides=2)
    x = _conv(x, 12, "block_3_project", relu=False)
    x = _conv(x, 24, "block_6_expand", strides=2)
    x = _conv(x, 24, "block_7_expand")
    x = _conv(x, 16, "block_7_project", relu=False)
    x = _added(x, 32, 12)
    x = _conv(x, 32, "block_13_expand", strides=2)
    x = _conv(x, 16, "block_13_project", relu=False)
    x = _added(x, 32, 14)
    return keras.Model(pixels, _conv(x, 64, "Conv_1"), name=NAME)


def _added(x, units: int, number: int):
    made = _conv(_conv(x, units, f"block_{number}_expand"), x.shape[-1], f"block_{number}_project", size=3, relu=False)
    return layers.Add(name=f"block_{number}_add")([x, made])


def _conv(x, units: int, name: str, size: int = 1, strides: int = 1, relu: bool = True):
    seeded = keras.initializers.HeNormal(seed=len(name) * 1000 + units)
    x = layers.Conv2D(units, size, strides, "same", use_bias=False, kernel_initializer=seeded, name=name)(x)
    x = layers.BatchNormalization(name=f"{name}_BN")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x
