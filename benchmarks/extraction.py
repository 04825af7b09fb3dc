"""Extraction against its bound: decoding and the engine, each measured alone, one after the other.

On cores that decode and compute in turns, no pass is faster than 1 / (decode time + engine time) a picture. Both are
measured with topwork's own threads, streams, batch and precision, and interleaved with topwork's whole pass. On a GPU,
which computes while the cores decode, the bound is the slower of the two; the engine is then Keras' own ``predict``.
"""

import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.draw import draw
from topwork.cut import Cut
from topwork.data.dataset import Dataset
from topwork.data.pictures import decode
from topwork.data.readers import read
from topwork.networks.halves import trunk
from topwork.networks.keras_graph import open_backbone
from topwork.networks.weights import pretrained
from topwork.recipes.settings import Backbone
from topwork.store.engines.local import Extraction
from topwork.store.request import Request
from topwork.store.runtimes import base
from topwork.store.runtimes.base import BATCH
from topwork.store.runtimes.openvino import HINT
from topwork.system import gpu, machine
from topwork.system.files import home
from topwork.system.messages import say

READY = 1000
"""Pictures that are held as pixels for the engine alone, at most."""

SIZES = (32, 256)
"""Pictures a batch of ``predict``; a last one that is short would be compiled anew, and is left away."""


@dataclass(frozen=True)
class Plan:
    """What to measure: pictures (drawn where *data* is ``None``), backbone, and how many rounds."""

    data: Path | None = None
    weights: str = "random"
    backbone: str = "efficientnet_b0"
    size: int | None = None
    pictures: int = 1000
    repeats: int = 5
    runtime: str = "openvino"

    def quick(self) -> "Plan":
        """The same in a minute: to see that it works, not to measure."""
        return replace(self, pictures=64, repeats=1, size=self.size or 96)


@dataclass(frozen=True)
class Round:
    """Seconds a picture of decoding alone, of the engine alone, and of topwork's pass from files to the store.

    *overlap*: the first two take no time from each other.
    """

    decode: float
    engine: float
    topwork: float
    overlap: bool = False

    @property
    def reached(self) -> float:
        """The share of the bound that topwork reaches."""
        bound = max(self.decode, self.engine) if self.overlap else self.decode + self.engine
        return bound / self.topwork


@dataclass(frozen=True)
class Measured:
    """What was measured, on which pictures, in which precision."""

    plan: Plan
    data: Dataset
    precision: str
    rounds: list[Round]


def measure(plan: Plan, scratch: Path) -> Measured:
    """Measure; everything that is written goes below *scratch*, which is ``TOPWORK_HOME`` as well."""
    data = read(plan.data or draw(scratch / "drawn-for-extraction", plan.pictures))
    backbone = base.resolved(Backbone(plan.backbone, plan.weights, plan.size, runtime=plan.runtime))
    request = Request(Cut.parse(f"{plan.backbone}@pool").only, backbone, data)
    _extract(request)  # makes weights and converts the trunk, neither of which is measured here
    paths = [Path(data.root, row.path) for row in data.rows]
    batches = _ready(request, paths)
    engine = _engine(request) if backbone.runtime == "openvino" else _predict(request)
    rounds = []
    for number in range(plan.repeats):
        alone = _decode(request, paths), engine(batches)
        rounds.append(Round(*alone, _extract(request), gpu.at_hand()))
        say(f"round {number + 1} of {plan.repeats}: {rounds[-1].reached:.3f} of the bound")
    return Measured(plan, data, backbone.precision, rounds)


def _decode(request: Request, paths: list[Path]) -> float:
    """Seconds a picture of decoding in as many threads as topwork decodes in."""
    fit = request.trunk.fit
    with ThreadPoolExecutor(machine.jobs()) as pool:
        return _timed(pool.map(lambda path: decode(path, fit), paths), len(paths))


def _engine(request: Request) -> Callable[[list[np.ndarray]], float]:
    """Seconds a picture of the converted trunk on ready pixels, compiled as topwork compiles it."""
    import openvino

    jobs, core = machine.jobs(), openvino.Core()
    model = core.read_model(request.trunk.converted)
    model.reshape([BATCH, *request.trunk.fit.size, 3])
    options: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": HINT[request.backbone.precision]}
    options |= {"NUM_STREAMS": jobs, "INFERENCE_NUM_THREADS": jobs}
    queue = openvino.AsyncInferQueue(core.compile_model(model, "CPU", options), 2 * jobs)

    def run(batches: list[np.ndarray]) -> float:
        start = time.perf_counter()
        for batch in batches:
            queue.start_async({0: batch}, share_inputs=True)
        queue.wait_all()
        return (time.perf_counter() - start) / (BATCH * len(batches))

    run(2 * jobs * [np.zeros((BATCH, *request.trunk.fit.size, 3), np.uint8)])
    return run


def _predict(request: Request) -> Callable[[list[np.ndarray]], float]:
    """Seconds a picture of Keras' ``predict`` on ready pixels, at the best of `SIZES`."""
    opened = open_backbone(request.backbone, pretrained.weights_file(request.backbone))
    model = trunk(opened, request.trunk.frontier)

    def run(batches: list[np.ndarray]) -> float:
        found = []
        for size in SIZES:
            pixels = np.concatenate(batches)
            pixels = pixels[: max(1, len(pixels) // size) * size]
            model.predict(pixels[:size], batch_size=size, verbose=0)  # compiles
            found.append(_timed((model.predict(pixels, batch_size=size, verbose=0) for _ in range(1)), len(pixels)))
        told = ", ".join(f"{1 / seconds:.0f} pictures/s in batches of {size}" for size, seconds in zip(SIZES, found))
        say(f"predict: {told}")
        return min(found)

    return run


def _extract(request: Request) -> float:
    """Seconds a picture of topwork's own pass, from an empty store; conversion and compilation are not in it."""
    shutil.rmtree(home() / "store", ignore_errors=True)
    seen: dict[str, Any] = {}

    def report(event: str, **about: Any) -> None:
        if event == "progress":
            seen.update(about)

    with Extraction([request], report) as extraction:
        extraction.wait(0)
    if seen["done"] != len({row.digest for row in request.data.rows}):
        raise ValueError(f"only {seen['done']} of {len(request.data.rows)} pictures were extracted")
    return seen["seconds"] / seen["done"]


def _ready(request: Request, paths: list[Path]) -> list[np.ndarray]:
    """Batches of decoded pixels; pictures that do not fill a last batch are left away."""
    pixels = [decode(path, request.trunk.fit) for path in paths[:READY]]
    return [np.stack(pixels[start : start + BATCH]) for start in range(0, len(pixels) - BATCH + 1, BATCH)]


def _timed(work: Iterable[Any], count: int) -> float:
    start = time.perf_counter()
    for _ in work:
        pass
    return (time.perf_counter() - start) / count
