"""The worker process opens a backbone, converts its trunk, runs the trunk once per picture, and fills the store.

It gets the path of a file with the pickled requests of an `Extraction`. If the dataset consists of arrays, their pixels
are in a file of the same name that ends in ``.npy``.

The worker reports events (`topwork.system.processes`): ``converted``, ``compiled``, ``plan``, ``progress``, ``filled``.
It runs Keras on its OpenVINO backend and does not load TensorFlow, so it can start to work while the process that
started it is still importing packages. If the worker is stopped, the activations that it committed stay in the store.
"""

import os
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

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
from topwork.system.processes import Report, serve

BACKEND = ("openvino",)
"""The backend of Keras in this process."""

SPARE = 1_000_000
"""Bytes of disk space to reserve for the graph (XML) of a converted trunk, in addition to its weights."""


def _work(file: str, report: Report) -> None:
    def tell(**event: Any) -> None:
        report(event)

    job = Path(file)
    pixels = job.with_suffix(".npy")
    is_command, jobs, requests = pickle.loads(job.read_bytes())
    with at_command_line(is_command), ours(BACKEND):
        for number in list(requests):
            request: Request = requests.pop(number)  # freed afterwards: a million pictures take much memory
            if trunk.kept_graph(request.backbone) is None:
                trunk.keep_graph(request.backbone, _open(request.backbone).graph)
            if request.data.rows:
                if pixels.exists():
                    request = replace(request, data=replace(request.data, pixels=np.load(pixels, mmap_mode="r")))
                with request.store() as store:
                    runtime = partial(_runtime, request.trunk, jobs, tell)
                    fill(request, store, runtime, partial(tell, exact=request.exact), jobs)
            tell(event="filled", number=number)


def _runtime(below: Trunk, jobs: int, tell: Callable[..., None]) -> Runtime:
    from topwork.store.runtimes.base import Pixels
    from topwork.store.runtimes.openvino import convert

    if below.is_pixels:
        return Pixels()
    hold = Hold(below.converted.parent)
    if not below.converted.exists():
        from topwork.networks.halves import trunk as trunk_of

        start = time.perf_counter()
        room(below.converted, 4 * sum(node.parameters for node in below.graph.nodes) + SPARE, "the converted trunk")
        convert(trunk_of(_open(below.backbone), below.frontier), below.converted)
        tell(event="converted", seconds=time.perf_counter() - start)
    start = time.perf_counter()
    runtime = _compiled(below.converted, below.backbone.precision, jobs)
    with suppress(OSError):
        os.utime(below.converted.parent)  # records when it was last used
    hold.release()
    tell(event="compiled", seconds=time.perf_counter() - start)
    return runtime


@lru_cache(maxsize=2)  # a trunk in two precisions
def _compiled(path: Path, precision: str, jobs: int) -> Runtime:
    from topwork.store.runtimes.openvino import OpenVINO

    return OpenVINO(path, precision, jobs)


_opened: dict[Backbone, Any] = {}


def _open(backbone: Backbone) -> Any:
    keras_settings.import_keras()
    from topwork.networks.keras_graph import open_backbone

    key = Backbone(**{**backbone.__dict__, "precision": "float32"})
    if key not in _opened:
        _opened[key] = open_backbone(backbone, pretrained.weights_file(backbone))
    return _opened[key]


if __name__ == "__main__":
    keras_settings.own_process = True
    serve(_work)
