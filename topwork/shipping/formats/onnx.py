"""Write a flat model as an ONNX file.

Layers that ONNX lacks are rewritten exactly, and layers that do nothing in inference are omitted.
"""

import logging
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import partial
from importlib.util import find_spec
from io import StringIO
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork.errors import MissingExtra
from topwork.networks.halves import rebuild
from topwork.networks.outputs.names import PROBABILITIES
from topwork.networks.replay import is_idle, scaled
from topwork.shipping.formats.failing import told
from topwork.shipping.formats.frugal import frugally
from topwork.shipping.formats.how import How
from topwork.shipping.formats.known import KEY
from topwork.system import keras_backend

if TYPE_CHECKING:
    import keras


def write(model: "keras.Model", path: Path, how: How) -> None:
    """Write a flat model as ONNX.

    Layers that ONNX lacks are rewritten exactly; layers that do nothing in inference are omitted.

    Args:
        model: a model with a mapping of outputs. Its inputs are named ``pixels``, or ``pixels_1``, ``pixels_2`` and so
            on.
        path: the file to write; every backend's exporter accepts the suffix ``.onnx`` alone.
        how: its precision. ``float16`` and ``int8`` keep uint8 pixels and float32 outputs.

    Raises:
        ExportError: Keras cannot write the model.
        MissingExtra: the package that Keras needs for an export is not installed.
    """
    import onnx

    refuse_lacking()
    plain = rebuild(model, _rewritten)
    blank = [np.zeros((1, *tensor.shape[1:]), tensor.dtype) for tensor in plain.inputs]
    plain(blank if len(blank) > 1 else blank[0])  # Keras exports only a model that was called before
    _export(plain, path)
    file = onnx.load(path)
    graph = file.graph
    renamed = {value.name: name for value, name in zip(graph.output, sorted(plain.output))}  # Keras sorts a mapping
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    for value in graph.output:
        value.name = renamed[value.name]
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"  # exporters use names such as unk__512
    onnx.save(file, path)
    if how.precision == "float16":
        _halve(path)
    elif how.precision == "int8":
        _quantize(path, how.pixels)


def refuse_lacking() -> None:
    """Refuse an export if Keras' backend lacks the package that writes ONNX for it.

    Raises:
        MissingExtra: the package is not installed.
    """
    needed = {"tensorflow": "tf2onnx", "jax": "jax2onnx"}.get(keras_backend.name())  # torch has its own exporter
    if needed and not find_spec(needed):
        what = '"topwork[tensorflow]"' if needed == "tf2onnx" else needed
        raise MissingExtra(
            f"an export on {keras_backend.name()} needs {needed}. Install it with: pip install {what}.{_elsewhere()}"
        )


def describe(path: Path, text: str) -> None:
    """Write metadata into a file, in place of those that it has."""
    import onnx

    file = onnx.load(path)
    del file.metadata_props[:]
    entry = file.metadata_props.add()
    entry.key, entry.value = KEY, text
    onnx.save(file, path)


def _halve(path: Path) -> None:
    """Convert the weights of a file and most of its operations to float16."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), path)


def _quantize(path: Path, pixels: Sequence[np.ndarray]) -> None:
    """Quantize a file: weights of 8 bits per channel, and activations of 8 bits in the range that *pixels* show.

    The weights have one bit less (``reduce_range``): on processors without VNNI, sums of products would overflow.
    Without the pre-processing, which folds batch-norm into the convolutions, the answers are ruined. The first
    convolution stays in float32, because its rounding errors pass through all others (docs/log.md, 2026-11-30). So does
    what only the distance and the map need: in 8 bits, no distance would be larger than that of the training picture
    which is farthest off.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Pictures(CalibrationDataReader):
        def __init__(self) -> None:
            names = ["pixels"] if len(pixels) == 1 else [f"pixels_{number}" for number in range(1, len(pixels) + 1)]
            self._rows = iter([{name: one[None] for name, one in zip(names, row)} for row in zip(*pixels)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._rows, None)

    prepared = path.with_name("prepared.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(prepared).graph
        quantize_static(
            str(prepared),
            str(path),
            Pictures(),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=_first(graph) + _beside(graph),
        )
    prepared.unlink()


def _first(graph: Any) -> list[str]:
    """Return the names of the nodes up to the first convolution above each input."""
    below, found = {one.name for one in graph.input}, []
    for node in graph.node:
        if below & set(node.input):
            found.append(node.name)
            below |= set(node.output) if node.op_type != "Conv" else set()
    return found


def _beside(graph: Any) -> list[str]:
    """Return the names of the nodes that the probabilities do not need."""
    needed, found = {PROBABILITIES}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
        else:
            found.append(node.name)
    return found


def _export(model: "keras.Model", path: Path) -> None:
    """Let Keras write the file. The messages that its exporters print on failures are hidden: the error has them."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with (
            told(f"ONNX on {keras_backend.name()}", path, _elsewhere()),
            warnings.catch_warnings(),
            redirect_stdout(StringIO()),  # torch prints
        ):
            warnings.simplefilter("ignore")  # Keras' exporter still uses np.object
            frugally(partial(model.export, path, format="onnx", verbose=False))
    finally:
        logger.setLevel(level)


def _elsewhere() -> str:
    told = f" Or export with KERAS_BACKEND={keras_backend.DEFAULT}: any backend reads the run."
    return "" if keras_backend.name() == keras_backend.DEFAULT else told


def _rewritten(operation: Any, args: Any, kwargs: Any) -> Any:
    """Call an operation; or, if ONNX lacks it, an equivalent operation that ONNX has. Skip it if it does nothing."""
    import keras
    from keras import layers

    if is_idle(operation, args, kwargs):
        return args[0]
    if isinstance(operation, layers.Normalization):
        mean, variance = (np.ravel(keras.ops.convert_to_numpy(v)) for v in (operation.mean, operation.variance))
        scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
        return layers.Rescaling(scale.tolist(), (-mean * scale).tolist(), name=operation.name)(*args)
    if isinstance(operation, layers.BatchNormalization) and operation.axis in (-1, len(args[0].shape) - 1):
        return scaled(operation, operation.name)(args[0])  # the exporter would compute the two numbers in seconds
    if isinstance(operation, layers.Conv2D) and operation.groups > 1:
        return _grouped(operation)(*args)
    if isinstance(operation, layers.Activation) and operation.activation is keras.activations.gelu:

        class Gelu(layers.Layer):  # one layer, because the names of single operations would clash with existing names
            def call(self, x: Any) -> Any:  # the definition of Hendrycks and Gimpel (2016)
                return 0.5 * x * (1 + keras.ops.erf(x / sqrt(2)))

        return Gelu(name=operation.name)(*args)
    return operation(*args, **kwargs)


def _grouped(conv: Any) -> Any:
    """Return a layer that computes a grouped convolution as one convolution per group.

    TensorFlow runs grouped convolutions through XLA, which tf2onnx cannot convert. If there are as many groups as
    channels, the layer is a depthwise convolution; in its kernel, the last two axes are swapped.
    """
    import keras

    if conv.groups == conv.filters and conv.kernel.shape[2] == 1:
        made = keras.layers.DepthwiseConv2D(
            conv.kernel_size,
            conv.strides,
            conv.padding,
            dilation_rate=conv.dilation_rate,
            activation=conv.activation,
            use_bias=conv.use_bias,
            name=conv.name,
        )
        kernel, *bias = conv.get_weights()
        made.build((None, None, None, conv.filters))
        made.set_weights([np.swapaxes(kernel, 2, 3), *bias])
        return made

    class Grouped(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            pairs = zip(keras.ops.split(x, conv.groups, -1), keras.ops.split(conv.kernel, conv.groups, -1))
            how = {"strides": conv.strides, "padding": conv.padding, "dilation_rate": conv.dilation_rate}
            joined = keras.ops.concatenate([keras.ops.conv(part, kernel, **how) for part, kernel in pairs], -1)
            return conv.activation(joined + conv.bias if conv.use_bias else joined)

    return Grouped(name=conv.name)
