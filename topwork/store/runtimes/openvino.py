"""The runtime ``openvino``: on a CPU, several small requests at a time, in bfloat16 if the processor has it.

`convert` runs the Keras trunk on Keras' own OpenVINO backend, which records the graph instead of computing it:
this takes 0.1 s, where tracing through TensorFlow takes 2 to 5 s, and TensorFlow is not loaded. That backend is chosen
when Keras is imported, so conversion happens in a process of its own (`topwork.store.engines.worker`).
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
    """Write a Keras trunk as OpenVINO IR: uint8 pixels ``[batch, side, side, 3]`` in, one output per tensor.

    Args:
        trunk: a functional ``keras.Model``; Keras must run on its OpenVINO backend.
        path: the ``.xml`` file; its ``.bin`` is in the same folder. Both appear complete.

    Raises:
        BackboneError: the network has an operation that Keras' OpenVINO backend lacks.
    """
    import openvino
    from keras.src.backend.openvino.core import OpenVINOKerasTensor
    from openvino import opset13

    pixels = opset13.parameter([-1, *trunk.inputs[0].shape[1:]], openvino.Type.u8, name="pixels")
    try:
        outputs = trunk(OpenVINOKerasTensor(pixels.output(0)), training=False)
    except (NotImplementedError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        cause = error.__context__ or error  # Keras wraps what a layer raises
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
    """A converted trunk as an ``openvino.Model``.

    Raises:
        RuntimeError: a file is missing or cannot be read; with OpenVINO's message.
    """
    import openvino

    return openvino.Core().read_model(path)


class OpenVINO:
    """A converted trunk, compiled for this processor.

    Args:
        path: the IR that `convert` wrote.
        precision: ``"float32"`` or ``"bfloat16"``.
        jobs: processors to use.
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
