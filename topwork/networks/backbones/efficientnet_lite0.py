"""EfficientNet-Lite0 as a functional Keras network without its classifier.

It is EfficientNet-B0 without squeeze-and-excitation, and with relu6 instead of swish. It was made for phones and is
fast on CPUs. With its classifier it has 4.7 million parameters; with pictures of 224 pixels it has a top-1 accuracy of
75.1 % on ImageNet.

Sources: Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv:1905.11946;
Liu and Tan 2020, "Higher accuracy on vision models with EfficientNet-Lite",
github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import keras

BUILD = 1
"""The version of this code, a part of the store's keys and of each run: raise it if a change here changes the outputs.
"""


class Stage(NamedTuple):
    """A sequence of equal blocks; only the first block may have a stride above 1 and change the number of channels."""

    repeats: int
    kernel: int
    strides: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
NORM = {"momentum": 0.9, "epsilon": 1e-3}


def network(side: int) -> "keras.Model":
    """Build the network with initial values; its layers have the names of the layers of Keras' EfficientNet.

    Two things differ from the network that was trained on ImageNet. Neither changes the output in inference:

    - There is no stochastic depth.
    - Batch-norm has momentum 0.9 instead of 0.99, so that a few hundred steps on other pictures replace the statistics
      of ImageNet.

    Args:
        side: the side of the pictures in pixels; any side works.

    Returns:
        A model that takes float32 ``[batch, side, side, 3]``, pixels scaled to ``(x - 127) / 128``, and returns a map
        ``[batch, side / 32, side / 32, 1280]``, with ``side / 32`` rounded up.

    Example:
        >>> network(224).output.shape
        (None, 7, 7, 1280)
    """
    import keras

    pixels = keras.Input((side, side, 3), name="input_layer")
    x = _convolved(pixels, "stem", 32, kernel=3, strides=2)
    for number, stage in enumerate(STAGES, 1):
        for repeat in range(stage.repeats):
            strides = stage.strides if repeat == 0 else 1
            x = _block(x, f"block{number}{'abcd'[repeat]}_", stage, strides)
    return keras.Model(pixels, _convolved(x, "top", 1280), name="efficientnet_lite0")


def _block(x: Any, name: str, stage: Stage, strides: int) -> Any:
    """Apply a mobile inverted bottleneck (Sandler et al. 2018, arXiv:1801.04381)."""
    from keras import layers

    start, channels = x, x.shape[-1]
    if stage.expansion > 1:
        x = _convolved(x, f"{name}expand", stage.expansion * channels)
    x = layers.DepthwiseConv2D(stage.kernel, strides, "same", use_bias=False, name=f"{name}dwconv")(x)
    x = layers.BatchNormalization(**NORM, name=f"{name}bn")(x)
    x = layers.ReLU(6.0, name=f"{name}activation")(x)
    x = layers.Conv2D(stage.filters, 1, use_bias=False, name=f"{name}project_conv")(x)
    x = layers.BatchNormalization(**NORM, name=f"{name}project_bn")(x)
    return layers.Add(name=f"{name}add")([x, start]) if strides == 1 and channels == stage.filters else x


def _convolved(x: Any, name: str, filters: int, kernel: int = 1, strides: int = 1) -> Any:
    from keras import layers

    x = layers.Conv2D(filters, kernel, strides, "same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(**NORM, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_activation")(x)
