"""The process beside: opens a backbone, converts its trunk, runs it once per picture, fills the store.

``python -m topwork.store.engines.worker JOB`` reads its requests from the file JOB, pickled as `Extraction` has them,
and the pixels of arrays from ``pixels.npy`` beside it. It writes one event (JSON) a line: ``converted``, ``plan``,
``progress``, ``filled``, ``error``. It runs Keras on its OpenVINO backend and loads no TensorFlow, so it is under way
while the process that started it still imports its own. When that process dies, however it does, the worker's input
ends and it stops; what it committed stays.
"""

import json
import os
import pickle
import sys
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from topwork.errors import TopworkError, of_machine
from topwork.networks import trunk
from topwork.networks.trunk import Trunk
from topwork.networks.weights import pretrained
from topwork.recipes.settings import Backbone
from topwork.store.fill import fill
from topwork.store.request import Request
from topwork.store.runtimes.base import Runtime
from topwork.system import keras_settings
from topwork.system.advice import at_command_line
from topwork.system.files import Hold, room
from topwork.system.keras_settings import ours

BACKEND = ("openvino",)
"""Keras' backend here, whatever it is elsewhere."""

SPARE = 1_000_000
"""Bytes allowed for what a converted trunk holds beside its weights: its graph as XML."""


def main() -> int:
    """Do the job in the file named on the command line; the exit status is the error's."""
    keras_settings.own_process = True
    Thread(target=_end_with_parent, daemon=True).start()
    job = Path(sys.argv[1])
    is_command, jobs, requests = pickle.loads(job.read_bytes())
    try:
        with at_command_line(is_command), ours(BACKEND):
            for number in list(requests):
                _do(requests.pop(number), job.with_name("pixels.npy"), jobs)  # of a million pictures they count
                _say(event="filled", number=number)
    except TopworkError as error:
        return _failed(error)
    except BrokenPipeError:
        return 130
    except (OSError, MemoryError) as error:
        return _failed(of_machine(error))
    return 0


def _end_with_parent() -> None:
    """The parent holds the other end of this process's input and writes nothing: it ends when the parent does."""
    os.read(0, 1)
    os._exit(130)


def _failed(error: TopworkError) -> int:
    _say(event="error", kind=type(error).__name__, message=str(error))
    return error.exit_status


def _do(request: Request, pixels: Path, jobs: int) -> None:
    _learn_graph(request.backbone)
    if not request.data.rows:
        return
    if pixels.exists():
        request = replace(request, data=replace(request.data, pixels=np.load(pixels, mmap_mode="r")))
    with request.store() as store:
        fill(request, store, lambda: _runtime(request.trunk, jobs), partial(_say, exact=request.exact), jobs)


def _learn_graph(backbone: Backbone) -> None:
    if trunk.kept_graph(backbone) is None:
        trunk.keep_graph(backbone, _open(backbone).graph)


def _runtime(below: Trunk, jobs: int) -> Runtime:
    from topwork.store.runtimes.base import Pixels
    from topwork.store.runtimes.openvino import OpenVINO, convert

    if below.is_pixels:
        return Pixels()
    hold = Hold(below.converted.parent)
    if not below.converted.exists():
        from topwork.networks.halves import trunk as trunk_of

        start = time.perf_counter()
        room(below.converted, 4 * sum(node.parameters for node in below.graph.nodes) + SPARE, "the converted trunk")
        convert(trunk_of(_open(below.backbone), below.frontier), below.converted)
        _say(event="converted", seconds=time.perf_counter() - start)
    start = time.perf_counter()
    runtime = OpenVINO(below.converted, below.backbone.precision, jobs)
    with suppress(OSError):
        os.utime(below.converted.parent)  # when it was last used
    hold.release()
    _say(event="compiled", seconds=time.perf_counter() - start)
    return runtime


_opened: dict[Backbone, Any] = {}


def _open(backbone: Backbone) -> Any:
    keras_settings.import_keras()
    from topwork.networks.keras_graph import open_backbone

    key = Backbone(**{**backbone.__dict__, "precision": "float32"})
    if key not in _opened:
        _opened[key] = open_backbone(backbone, pretrained.weights_file(backbone))
    return _opened[key]


def _say(**event: Any) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(main())
