"""Faster training of some layers with TensorFlow on a CPU; the results are the same except for float rounding.

Milliseconds of a forward and a backward pass of 32 maps in float32, on two cores with AVX-512, before and after:

============================================  ====  ====
depthwise, 5 x 5, 1,152 channels, 2 x 2        6.1   1.6
depthwise, 5 x 5, 672 channels, 14 x 14       29.1  18.5
depthwise, 5 x 5, 144 channels, 56 x 56 by 2  34.3  20.1
1 x 1, 192 to 1,152 channels, 2 x 2            2.6   1.7
1 x 1, 192 to 1,152 channels, 7 x 7            8.1   8.2
batch-norm, 1,152 channels, 2 x 2              1.5   1.0
batch-norm, 672 channels, 14 x 14             25.2   7.5
batch-norm, 144 channels, 56 x 56             97.8  23.2
============================================  ====  ====
"""

from collections.abc import Callable
from typing import Any

import keras

from topwork.networks.replay import Call, plain
from topwork.system import gpu, keras_backend

Compute = Callable[[Any, Any, bool], Any]
"""Takes a layer, its input, and whether batch-norm uses the statistics of the batch; returns the layer's output."""


def caller() -> Call:
    """Return a *call* for `topwork.networks.replay.replay` that runs slow layers as `Quick`, with the same results."""
    quick: dict[int, Quick] = {}  # a layer may be called several times
    is_useful = keras_backend.name() == "tensorflow" and not gpu.at_hand()

    def call(operation: Any, args: Any, kwargs: Any) -> Any:
        is_plain = len(args) == 1 and all(value is None for value in kwargs.values())  # batch-norm: mask=None
        compute = _faster(operation, args[0]) if is_useful and is_plain else None
        if compute is None:
            return plain(operation, args, kwargs)
        return quick.setdefault(id(operation), Quick(operation, compute))(args[0])

    return call


def _faster(layer: Any, x: Any) -> Compute | None:
    """Return a function that computes a layer faster than the layer itself, or ``None`` if no such function exists."""
    kind = type(layer)
    known = keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.BatchNormalization
    if kind not in known or layer.activity_regularizer or len(x.shape) != 4 or None in x.shape[1:]:
        return None
    if kind is keras.layers.BatchNormalization:
        is_usual = layer.axis in (-1, 3) and layer.scale and layer.center
        return batch_norm if is_usual and not layer.renorm and not layer.synchronized else None
    if layer.data_format != "channels_last" or set(layer.dilation_rate) != {1}:
        return None
    if kind is keras.layers.DepthwiseConv2D:
        return depthwise if max(layer.kernel_size) > min(3, *x.shape[1:3]) else None
    return pointwise if {*layer.kernel_size, *layer.strides, layer.groups} == {1} else None


class Quick(keras.layers.Layer):
    """A layer that is computed by another function.

    Args:
        layer: the layer; its weights are used. Its name and ``trainable`` do not change.
        compute: the function.
    """

    def __init__(self, layer: Any, compute: Compute) -> None:
        super().__init__(name=f"topwork_quick_{layer.name}", dtype=layer.dtype_policy)
        self.layer, self.compute = layer, compute

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Build the layer if it is not built."""
        if not self.layer.built:
            self.layer.build(shape)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return the output of the layer."""
        return keras.ops.cast(self.compute(self.layer, x, bool(training)), self.compute_dtype)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the output shape of the layer."""
        return self.layer.compute_output_shape(shape)


def pointwise(layer: Any, x: Any, training: bool = False) -> Any:  # noqa: ARG001
    """Multiply matrices: a convolution of 1 x 1 does no more, and oneDNN's first changes the order of the weights."""
    kernel = keras.ops.convert_to_tensor(layer.kernel)  # in the precision of the running layer
    kernel = keras.ops.reshape(kernel, kernel.shape[2:])
    flat = keras.ops.matmul(keras.ops.reshape(x, (-1, x.shape[-1])), kernel)
    return _ended(layer, keras.ops.reshape(flat, (-1, *x.shape[1:3], kernel.shape[-1])))


def depthwise(layer: Any, x: Any, training: bool = False) -> Any:  # noqa: ARG001
    """Convolve as usual, but compute the kernel's gradient with TensorFlow's own code.

    oneDNN's code for it is fast only for kernels up to 3 wide on maps that are not smaller than the kernel. TensorFlow
    leaves the work to its own code if the padding is given as numbers, even if they are those that ``same`` stands for.
    """
    import tensorflow as tf

    name, strides = layer.padding.upper(), [1, *layer.strides, 1]
    padding = [[0, 0], *_padding(layer, x), [0, 0]]

    @tf.custom_gradient
    def convolved(x: Any, kernel: Any) -> Any:
        def gradients(dy: Any) -> Any:
            dx = tf.nn.depthwise_conv2d_backprop_input(tf.shape(x), kernel, dy, strides, name)
            return dx, tf.nn.depthwise_conv2d_backprop_filter(x, kernel.shape, dy, strides, padding)

        return tf.nn.depthwise_conv2d(x, kernel, strides, name), gradients

    return _ended(layer, convolved(x, tf.convert_to_tensor(layer.kernel)))


def batch_norm(layer: Any, x: Any, training: bool) -> Any:
    """Normalize in one operation of TensorFlow, where Keras uses about ten; as Keras does, in float32."""
    import tensorflow as tf

    if not (training and layer.trainable):
        return layer(x, training=False)
    gamma, beta = keras.ops.cast(layer.gamma, "float32"), keras.ops.cast(layer.beta, "float32")
    x = keras.ops.cast(x, "float32")
    y, mean, variance = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=layer.epsilon)
    count = tf.cast(tf.size(x) // x.shape[-1], "float32")
    variance *= (count - 1) / count  # TensorFlow divides by count - 1, Keras by count
    for moving, new in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + new * (1 - layer.momentum))
    return y


def _ended(layer: Any, x: Any) -> Any:
    return layer.activation(x + layer.bias if layer.use_bias else x)


def _padding(layer: Any, x: Any) -> list[list[int]]:
    """Return how many zeros TensorFlow puts before and after the rows, and before and after the columns."""
    around = []
    for side, kernel, stride in zip(x.shape[1:3], layer.kernel_size, layer.strides, strict=True):
        missing = max((-(-side // stride) - 1) * stride + kernel - side, 0) if layer.padding == "same" else 0
        around.append([missing // 2, missing - missing // 2])  # if the number is odd, the end gets more
    return around
