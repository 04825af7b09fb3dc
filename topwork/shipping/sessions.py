"""Open an exported file with the runtime of its format, and nothing else."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from topwork.errors import ExportError
from topwork.networks.outputs.names import OUTPUTS, PROBABILITIES
from topwork.shipping.formats.known import KEY, Format, refuse_lacking
from topwork.shipping.page import contents
from topwork.system.keras_settings import muted
from topwork.system.machine import jobs


class Session(Protocol):
    """What answers: an exported file, or a model in memory."""

    names: Sequence[str]
    """The names of the inputs."""

    def run(self, pixels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs by name for pixels by the names of the inputs.

        They are those of `topwork.networks.outputs.complete.complete`; an earlier file has the probabilities alone.
        """
        ...


def opened(found: Format, path: Path, threads: int | None = None) -> Session:
    """Open a file.

    Args:
        found: its format.
        path: the file.
        threads: in which the network computes; by default, one for each processor. TensorFlow and Keras have one pool
            of threads for a process, and ignore it.

    Raises:
        MissingExtra: the runtime is not installed.
        ExportError: the runtime cannot load the file.
    """
    refuse_lacking(found, to_read=True)
    try:
        with muted() if found.name in _LOUD else nullcontext():
            return _SESSIONS[found.name](path, threads or jobs())
    except (PermissionError, MemoryError):
        raise
    except Exception as error:  # the runtimes' errors have no common base class except Exception
        reason = str(error).split("failed:")[-1].strip().rstrip(".") or type(error).__name__
        raise ExportError(
            f"{found.reads[0]} cannot load {str(path)!r} ({reason}): expected a file that topwork exported."
        ) from None


def onnx_runtime() -> Any:
    """Return the module ``onnxruntime``. It reports nothing to its makers, as builds from 1.32 may do otherwise."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime


class _Onnx:
    def __init__(self, path: Path, threads: int) -> None:
        self._begin(str(path), threads)
        self.metadata: str | None = self._session.get_modelmeta().custom_metadata_map.get(KEY)

    def _begin(self, model: str | bytes, threads: int) -> None:
        onnxruntime = onnx_runtime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.names = [one.name for one in self._session.get_inputs()]
        self._outputs = [one.name for one in self._session.get_outputs()]

    def run(self, pixels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(pixels))))


class _Page(_Onnx):
    """The ONNX file that is in a page."""

    def __init__(self, path: Path, threads: int) -> None:
        page = path.read_bytes()
        self.metadata = contents.about(page)
        self._begin(contents.model(page), threads)


class _OpenVino:
    def __init__(self, path: Path, threads: int) -> None:
        import openvino

        # its default on processors with bfloat16 would be bfloat16
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": str(threads)}
        self._model = openvino.Core().compile_model(str(path), "CPU", settings)
        self.names = [one.any_name for one in self._model.inputs]

    def run(self, pixels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = self._model(dict(pixels))
        return {one.any_name: np.array(found[one]) for one in self._model.outputs}


class _SavedModel:
    def __init__(self, path: Path, _: int) -> None:
        import tensorflow as tf

        self._tf, self._kept = tf, tf.saved_model.load(str(path))
        self._call = self._kept.signatures["serving_default"]
        self.names = list(self._call.structured_input_signature[1])

    def run(self, pixels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = self._call(**{name: self._tf.constant(values) for name, values in pixels.items()})
        return {name: values.numpy() for name, values in found.items()}


class _GraphDef:
    def __init__(self, path: Path, _: int) -> None:
        import tensorflow as tf

        graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
        self.names = [node.name for node in graph.node if node.op == "Placeholder"]
        whole = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
        starts = [whole.graph.get_tensor_by_name(f"{name}:0") for name in self.names]
        there = {node.name for node in graph.node}
        ends = {name: whole.graph.get_tensor_by_name(f"{name}:0") for name in OUTPUTS if name in there}
        self._tf, self._call = tf, whole.prune(starts, ends)

    def run(self, pixels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = self._call(*(self._tf.constant(pixels[name]) for name in self.names))
        return {name: values.numpy() for name, values in found.items()}


class _LiteRT:
    def __init__(self, path: Path, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._call = self._interpreter.get_signature_runner()
        self.names = list(self._call.get_input_details())

    def run(self, pixels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self._call(**pixels)


class _Keras:
    def __init__(self, path: Path, _: int) -> None:
        from topwork.system import keras_settings

        keras_settings.import_keras()
        import keras

        self._model = keras.models.load_model(path, compile=False)
        self.names = [one.name for one in self._model.inputs]

    def run(self, pixels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = [pixels[name] for name in self.names]
        found = self._model.predict_on_batch(given if len(given) > 1 else given[0])
        each = found if isinstance(found, dict) else {PROBABILITIES: found}  # a file without a distance or a map
        return {name: np.asarray(values, np.float32) for name, values in each.items()}


_LOUD = ("savedmodel", "graphdef", "litert", "keras")
"""The formats whose runtimes write lines to stderr when they start."""

_SESSIONS: dict[str, Any] = {
    "onnx": _Onnx,
    "openvino": _OpenVino,
    "savedmodel": _SavedModel,
    "graphdef": _GraphDef,
    "litert": _LiteRT,
    "keras": _Keras,
    "page": _Page,
}
