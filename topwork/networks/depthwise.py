"""Faster training of depthwise convolutions on maps that are smaller than the kernel.

For such maps, oneDNN has no fast code for the kernel's gradient. A forward and a backward pass of a 5 x 5 layer with
1,152 channels on maps of 2 x 2 took 26 ms, and 9 ms when the map was padded first (docs/log.md, 2026-11-28). The last
maps of pictures of 64 pixels are that small.
"""

from typing import Any

import keras

from topwork.networks.replay import Call, plain
from topwork.system import keras_backend


def caller() -> Call:
    """Return a *call* for `topwork.networks.replay.replay` that runs slow layers as `Padded`, with the same results."""
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
    """A depthwise convolution that pads its input first.

    Args:
        layer: the convolution; its weights are used. Its name and ``trainable`` do not change.
    """

    def __init__(self, layer: keras.layers.DepthwiseConv2D) -> None:
        super().__init__(name=f"topwork_padded_{layer.name}", dtype=layer.dtype_policy)
        self.layer = layer

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Build the convolution if it is not built."""
        if not self.layer.built:
            self.layer.build(shape)

    def call(self, x: Any) -> Any:
        """Pad the map with zeros as TensorFlow does for ``same``, then convolve without padding."""
        layer = self.layer
        around = []
        for side, kernel, stride in zip(x.shape[1:3], layer.kernel_size, layer.strides, strict=True):
            missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            around.append((missing // 2, missing - missing // 2))  # if the number is odd, the end gets more
        x = keras.ops.pad(x, [(0, 0), *around, (0, 0)])
        x = keras.ops.depthwise_conv(x, layer.kernel, layer.strides, "valid", data_format="channels_last")
        return layer.activation(x + layer.bias if layer.use_bias else x)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the output shape of the convolution."""
        return self.layer.compute_output_shape(shape)
