"""Open an exported file with the runtime of its format, and nothing else."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from topwork.errors import ExportError
from topwork.shipping.formats.known import Format, refuse_lacking
from topwork.system.keras_settings import muted
from topwork.system.machine import jobs


class Session(Protocol):
    """What answers: an exported file, or a model in memory."""

    names: Sequence[str]
    """The names of the inputs."""

    def run(self, pixels: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the probabilities, float32 ``[n, classes]``, for pixels by the names of the inputs."""
        ...


def opened(found: Format, path: Path) -> Session:
    """Open a file.

    Raises:
        MissingExtra: the runtime is not installed.
        ExportError: the runtime cannot load the file.
    """
    refuse_lacking(found, to_read=True)
    try:
        with muted() if found.name in _LOUD else nullcontext():
            return _SESSIONS[found.name](path)
    except (PermissionError, MemoryError):
        raise
    except Exception as error:  # the runtimes' errors have no common base class except Exception
        reason = str(error).split("failed:")[-1].strip().rstrip(".") or type(error).__name__
        raise ExportError(
            f"{found.reads[0]} cannot load {str(path)!r} ({reason}): expected a file that topwork exported."
        ) from None


class _Onnx:
    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = jobs()
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.names = [one.name for one in self._session.get_inputs()]
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map

    def run(self, pixels: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._session.run(["probabilities"], dict(pixels))[0]


class _OpenVino:
    def __init__(self, path: Path) -> None:
        import openvino

        # its default on processors with bfloat16 would be bfloat16
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": str(jobs())}
        self._model = openvino.Core().compile_model(str(path), "CPU", settings)
        self.names = [one.any_name for one in self._model.inputs]

    def run(self, pixels: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.array(self._model(dict(pixels))[0])


class _SavedModel:
    def __init__(self, path: Path) -> None:
        import tensorflow as tf

        self._tf, self._kept = tf, tf.saved_model.load(str(path))
        self._call = self._kept.signatures["serving_default"]
        self.names = list(self._call.structured_input_signature[1])

    def run(self, pixels: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._call(**{name: self._tf.constant(values) for name, values in pixels.items()})[
            "probabilities"
        ].numpy()


class _GraphDef:
    def __init__(self, path: Path) -> None:
        import tensorflow as tf

        graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
        self.names = [node.name for node in graph.node if node.op == "Placeholder"]
        whole = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
        tensors = [whole.graph.get_tensor_by_name(f"{name}:0") for name in self.names]
        self._tf, self._call = tf, whole.prune(tensors, whole.graph.get_tensor_by_name("probabilities:0"))

    def run(self, pixels: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._call(*(self._tf.constant(pixels[name]) for name in self.names)).numpy()


class _LiteRT:
    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(path), num_threads=jobs())
        self._interpreter.allocate_tensors()
        self._call = self._interpreter.get_signature_runner()
        self.names = list(self._call.get_input_details())

    def run(self, pixels: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._call(**pixels)["probabilities"]


class _Keras:
    def __init__(self, path: Path) -> None:
        from topwork.system import keras_settings

        keras_settings.import_keras()
        import keras

        self._model = keras.models.load_model(path, compile=False)
        self.names = [one.name for one in self._model.inputs]

    def run(self, pixels: Mapping[str, np.ndarray]) -> np.ndarray:
        given = [pixels[name] for name in self.names]
        return np.asarray(self._model.predict_on_batch(given if len(given) > 1 else given[0]), np.float32)


_LOUD = ("savedmodel", "graphdef", "litert", "keras")
"""The formats whose runtimes write lines to stderr when they start."""

_SESSIONS: dict[str, Any] = {
    "onnx": _Onnx,
    "openvino": _OpenVino,
    "savedmodel": _SavedModel,
    "graphdef": _GraphDef,
    "litert": _LiteRT,
    "keras": _Keras,
}
