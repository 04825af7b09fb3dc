"""The runtime ``openvino``: it runs several small batches at a time on a CPU, by default in bfloat16 if available.

`convert` runs the Keras trunk on Keras' own OpenVINO backend, which records the graph instead of computing values. This
takes 0.1 s and does not load TensorFlow; tracing through TensorFlow takes 2 to 5 s. The backend is chosen when Keras is
imported, so trunks are converted in a separate process (`topwork.store.engines.worker`).
"""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from topwork.errors import BackboneError
from topwork.store.runtimes.base import BATCH
from topwork.store.runtimes.openvino_layout import sink_transposes
from topwork.system.files import writing, written_whole

HINT = {"float32": "f32", "bfloat16": "bf16"}


def convert(trunk: Any, path: Path) -> None:
    """Write a Keras trunk as OpenVINO IR: input uint8 pixels ``[batch, side, side, 3]``, one output per tensor.

    Args:
        trunk: a functional ``keras.Model``; Keras must run on its OpenVINO backend.
        path: the ``.xml`` file; the ``.bin`` file with the weights is written to the same folder. Neither file is ever
            visible half-written.

    Raises:
        BackboneError: the network has an operation that Keras' OpenVINO backend does not support.
    """
    import openvino
    from keras.src.backend.openvino.core import OpenVINOKerasTensor
    from openvino import opset13

    pixels = opset13.parameter([-1, *trunk.inputs[0].shape[1:]], openvino.Type.u8, name="pixels")
    try:
        outputs = trunk(OpenVINOKerasTensor(pixels.output(0)), training=False)
    except (NotImplementedError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        cause = error.__context__ or error  # Keras wraps the error that a layer raises
        reason = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
        raise BackboneError(f'OpenVINO cannot run {trunk.name!r} ({reason}); set runtime = "keras".') from error
    single = not isinstance(outputs, list | tuple)
    model = openvino.Model([o.output for o in ([outputs] if single else outputs)], [pixels], "trunk")
    sink_transposes(model)
    with writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as aside:
            openvino.save_model(model, aside, compress_to_fp16=False)
            aside.with_suffix(".bin").replace(path.with_suffix(".bin"))


def read(path: Path) -> Any:
    """Return a converted trunk as an ``openvino.Model``.

    Raises:
        RuntimeError: a file is missing or cannot be read; the message is OpenVINO's.
    """
    import openvino

    return openvino.Core().read_model(path)


class OpenVINO:
    """A converted trunk, compiled for this processor.

    Args:
        path: the ``.xml`` file that `convert` wrote.
        precision: ``"float32"`` or ``"bfloat16"``.
        jobs: how many processors to use.
    """

    trial, beside = 8 * BATCH, False

    def __init__(self, path: Path, precision: str, jobs: int) -> None:
        import openvino

        model = read(path)
        sides = [dimension.get_length() for dimension in list(model.input().partial_shape)[1:]]
        model.reshape([BATCH, *sides])
        options = {"INFERENCE_PRECISION_HINT": HINT[precision], "NUM_STREAMS": jobs, "INFERENCE_NUM_THREADS": jobs}
        self._compiled = openvino.Core().compile_model(model, "CPU", options)
        self._depth = 2 * jobs

    def stream(self, batches: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """See `topwork.store.runtimes.base.Runtime`."""
        idle = [self._compiled.create_infer_request() for _ in range(self._depth)]
        busy: deque[tuple[Any, np.ndarray, int]] = deque()
        for batch in batches:
            if not idle:
                yield _take(busy, idle)
            request = idle.pop()
            pixels = batch if len(batch) == BATCH else np.resize(batch, (BATCH, *batch.shape[1:]))
            request.start_async({0: pixels}, share_inputs=True)
            busy.append((request, pixels, len(batch)))  # OpenVINO reads the array until the request is done
        while busy:
            yield _take(busy, idle)


def _take(busy: deque, idle: list) -> list[np.ndarray]:
    request, _, count = busy.popleft()
    request.wait()
    idle.append(request)
    return [np.array(tensor.data[:count]) for tensor in request.output_tensors]
