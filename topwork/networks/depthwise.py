"""Depthwise convolutions of maps that are smaller than their kernel, which oneDNN trains slowly.

It has no quick code for the kernel's gradient there. A 5 x 5 layer of 1,152 channels on maps of 2 x 2 took 26 ms
forward and back, and 9 ms where the map was padded beforehand (docs/log.md, 2026-11-28). Pictures of 64 pixels end in
such maps.
"""

from typing import Any

import keras

from topwork.networks.replay import Call, plain
from topwork.system import keras_backend


def caller() -> Call:
    """A *call* for `topwork.networks.replay.replay`: each operation gives the same values, a slow one as `Padded`."""
    padded: dict[int, Padded] = {}  # a layer may be called several times

    def call(operation: Any, args: Any, kwargs: Any) -> Any:
        if not _is_slow(operation, args, kwargs):
            return plain(operation, args, kwargs)
        return padded.setdefault(id(operation), Padded(operation))(args[0])

    return call


def _is_slow(operation: Any, args: Any, kwargs: Any) -> bool:
    return (
        keras_backend.name() == "tensorflow"
        and type(operation) is keras.layers.DepthwiseConv2D
        and len(args) == 1
        and not kwargs
        and operation.padding == "same"
        and operation.data_format == "channels_last"
        and set(operation.dilation_rate) == {1}
        and min(args[0].shape[1:3]) < max(operation.kernel_size)
    )


class Padded(keras.layers.Layer):
    """The same convolution with its padding made beforehand.

    Args:
        layer: the convolution, whose weights are used; it keeps its own name and whether it trains.
    """

    def __init__(self, layer: keras.layers.DepthwiseConv2D) -> None:
        super().__init__(name=f"topwork_padded_{layer.name}", dtype=layer.dtype_policy)
        self.layer = layer

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the convolution's weights, unless it has them."""
        if not self.layer.built:
            self.layer.build(shape)

    def call(self, x: Any) -> Any:
        """Zeros round the map, as TensorFlow's ``same`` has them; then the convolution without padding."""
        layer = self.layer
        sides = zip(x.shape[1:3], layer.kernel_size, layer.strides, strict=True)
        x = keras.ops.pad(x, [(0, 0), *(_around(*each) for each in sides), (0, 0)])
        x = keras.ops.depthwise_conv(x, layer.kernel, layer.strides, "valid", data_format="channels_last")
        return layer.activation(x + layer.bias if layer.use_bias else x)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the convolution."""
        return self.layer.compute_output_shape(shape)


def _around(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """How many zeros go before and behind.

    >>> _around(4, 5, 1), _around(4, 5, 2)
    ((2, 2), (1, 2))
    """
    missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return missing // 2, missing - missing // 2
