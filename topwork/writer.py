"""A flat model as an ONNX file: layers that ONNX lacks rewritten exactly, tf2onnx kept from taking all memory."""

import json
import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from importlib.util import find_spec
from io import StringIO
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from topwork import backend
from topwork.errors import ExportError, MissingExtra
from topwork.halves import rebuild
from topwork.shipped import KEY

if TYPE_CHECKING:
    import keras


def write_onnx(model: "keras.Model", path: Path, about: dict[str, Any]) -> None:
    """Write a flat model as ONNX with one metadata key; its layers that ONNX lacks are rewritten exactly.

    Args:
        model: inputs ``pixels``, or ``pixels_1`` and so on; one output.
        path: where to.
        about: the metadata, as JSON.
    """
    import onnx

    _check_exporter()
    plain = rebuild(model, _rewritten)
    blank = [np.zeros((1, *tensor.shape[1:]), "uint8") for tensor in plain.inputs]
    plain(blank if len(blank) > 1 else blank[0])  # Keras exports only what was called once
    _export(plain, path)
    file = onnx.load(path)
    _name_output(file.graph, "probabilities")
    entry = file.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(about, ensure_ascii=False)
    onnx.save(file, path)


def _check_exporter() -> None:
    """That the package is there through which Keras exports on its backend; torch brings its own."""
    needed = {"tensorflow": "tf2onnx", "jax": "jax2onnx"}.get(backend.name())
    if needed and not find_spec(needed):
        what = '"topwork[tensorflow]"' if needed == "tf2onnx" else needed
        raise MissingExtra(
            f"'topwork export' on {backend.name()} needs {needed}. Install it with: pip install {what}.{_elsewhere()}"
        )


def _export(model: "keras.Model", path: Path) -> None:
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):  # torch prints the graph that it cannot write
            warnings.simplefilter("ignore")  # Keras' exporter still asks for np.object
            _frugal(partial(model.export, path, format="onnx", verbose=False))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # each backend's exporter has errors of its own
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ExportError(
            f"Keras cannot write the model as ONNX on {backend.name()} ({reason}).{_elsewhere()}"
        ) from error


def _frugal(write: Callable[[], None]) -> None:
    """Let tf2onnx write with a third of the memory that it takes by itself (docs/log.md, 2026-11-25).

    After each of its dozen optimisations, done over and over, it writes all weights anew into messages that never give
    memory back; once, at the end, is enough. And before each it copies the graph, so as to go on without one that
    fails: it is let do that only where one does fail.
    """
    if backend.name() != "tensorflow":
        return write()
    from tf2onnx.graph import Graph

    update = Graph.update_proto

    def at_the_end(graph: Any, *storage: Any) -> None:
        if storage:  # which only the end gives
            update(graph, *storage)

    with patch.object(Graph, "update_proto", at_the_end):
        try:
            with patch.dict(os.environ, TF2ONNX_CATCH_ERRORS="FALSE"):
                return write()
        except (OSError, MemoryError):  # copies would mend neither
            raise
        except Exception:
            return write()


def _elsewhere() -> str:
    told = f" Or export with KERAS_BACKEND={backend.DEFAULT}: any backend reads the run."
    return "" if backend.name() == backend.DEFAULT else told


def _rewritten(operation: Any, args: Any, kwargs: Any) -> Any:
    """Call an operation, or what says the same in words that ONNX has."""
    import keras
    from keras import layers

    if isinstance(operation, layers.Normalization):
        mean, variance = (np.ravel(keras.ops.convert_to_numpy(v)) for v in (operation.mean, operation.variance))
        scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
        return layers.Rescaling(scale.tolist(), (-mean * scale).tolist(), name=operation.name)(*args)
    if isinstance(operation, layers.Conv2D) and 1 < operation.groups == args[0].shape[-1] == operation.filters:
        return _depthwise(operation)(*args)
    if isinstance(operation, layers.Activation) and operation.activation is keras.activations.gelu:
        return _gelu(operation.name)(*args)
    return operation(*args, **kwargs)


def _depthwise(conv: Any) -> Any:
    """A convolution with as many groups as channels is a depthwise one, its kernel's last two axes swapped."""
    from keras import layers

    made = layers.DepthwiseConv2D(
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


def _gelu(name: str) -> Any:
    """Gelu as defined (Hendrycks and Gimpel 2016), as one layer: bare operations would clash with names in use."""
    import keras

    class Gelu(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return 0.5 * x * (1 + keras.ops.erf(x / sqrt(2)))

    return Gelu(name=name)


def _name_output(graph: Any, name: str) -> None:
    old = graph.output[0].name
    for node in graph.node:
        for names in (node.input, node.output):
            for i, found in enumerate(names):
                if found == old:
                    names[i] = name
    graph.output[0].name = name
