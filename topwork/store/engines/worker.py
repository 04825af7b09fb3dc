"""The process beside: opens a backbone, converts its trunk, runs it once per picture, fills the store.

``python -m topwork.store.engines.worker JOB`` reads one job (JSON) and writes one event (JSON) a line: ``converted``,
``plan``, ``progress``, ``filled``, ``error``. It runs Keras on its OpenVINO backend and loads no TensorFlow, so it is
under way while the process that started it still imports its own. When that process dies, however it does, the
worker's input ends and it stops; what it committed stays.
"""

import json
import os
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from topwork.cut import Cut
from topwork.errors import TopworkError, of_machine
from topwork.networks import trunk
from topwork.networks.graph import Graph
from topwork.networks.trunk import Trunk
from topwork.networks.weights import pretrained
from topwork.recipes.settings import Backbone, Views
from topwork.store.fill import fill
from topwork.store.request import Fill, Shot, Wanted, store_of
from topwork.store.runtimes.base import Runtime
from topwork.system import keras_settings
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
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        with ours(BACKEND):
            for wanted in job["fills"]:
                _do(wanted, job)
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


def _do(wanted: dict[str, Any], job: dict[str, Any]) -> None:
    backbone = Backbone(**wanted["backbone"])
    ask = Wanted(Cut.parse(wanted["term"]).only, backbone, (), wanted["exact"])
    below = ask.trunk(_graph(backbone))
    if wanted["shots"]:
        pixels = np.load(job["pixels"], mmap_mode="r") if job["pixels"] else None
        shots = [Shot(*shot) for shot in wanted.pop("shots")]  # of a million pictures they count
        source = Fill(below, shots, job["root"], pixels, Views(**wanted["views"]))
        with store_of(below, len(shots), ask.exact) as store:
            report = partial(_say, exact=ask.exact)
            fill(source, store, lambda: _runtime(below, job["jobs"]), report, job["jobs"])
    _say(event="filled", number=wanted["number"])


def _graph(backbone: Backbone) -> Graph:
    graph = trunk.kept_graph(backbone)
    if graph is None:
        graph = _open(backbone).graph
        trunk.keep_graph(backbone, graph)
    return graph


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
