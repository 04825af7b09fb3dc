"""Write a flat model for LiteRT (formerly TensorFlow Lite), which runs on phones and small computers."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork.networks.outputs.names import DISTANCE
from topwork.shipping.formats import savedmodel
from topwork.shipping.formats.how import How
from topwork.system.keras_settings import muted

if TYPE_CHECKING:
    import keras


IN_FLOAT = ("FULLY_CONNECTED", "SQUARE", "SUM", "SQRT", "MAXIMUM", "DIV", "REDUCE_MAX", "PACK")
"""The operations of the distance; see `topwork.networks.outputs.distance.Measure.symbolic`."""


def write(model: "keras.Model", path: Path, how: How) -> None:
    """Write a file whose signature takes the pixels by name and returns the outputs by name.

    The converter reads a SavedModel: from a Keras model it prints a page of messages. Weights and activations of
    ``int8`` have 8 bits; the input stays uint8 pixels and the outputs float32.

    Raises:
        ExportError: Keras runs on another backend.
    """
    import tensorflow as tf

    with TemporaryDirectory(dir=path.parent) as folder:
        savedmodel.write(model, Path(folder, "model"), how)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(folder, "model")))
        if how.precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if how.precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        with warnings.catch_warnings(), muted():
            warnings.simplefilter("ignore")  # its own interpreter, which counts the values, calls itself deprecated
            path.write_bytes(_in_8_bits(converter, model, how) if how.precision == "int8" else converter.convert())


def _in_8_bits(converter: Any, model: "keras.Model", how: How) -> bytes:
    """Return the file in 8 bits, with the operations of the distance in float32.

    In 8 bits, no distance would be larger than that of the training picture which is farthest off.
    """
    import tensorflow as tf

    converter.representative_dataset = lambda: _examples(model, how)
    kept = list(IN_FLOAT) if DISTANCE in model.output else []
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=kept)
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=lambda: _examples(model, how), debug_options=options
    )
    return bytes(debugger.get_nondebug_quantized_model())


def _examples(model: "keras.Model", how: How) -> Iterator[dict[str, np.ndarray]]:
    names = [one.name for one in model.inputs]
    for row in zip(*how.pixels):
        yield {name: picture[None] for name, picture in zip(names, row)}
