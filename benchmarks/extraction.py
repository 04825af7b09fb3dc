"""Compare the speed of extraction with its bound, which is computed from the times of decoding and of the engine.

On a CPU, the same cores decode and compute, so no pass is faster than 1 / (decode time + engine time) pictures per
second, with both times per picture. Both times are measured alone, with topwork's own threads, streams, batch and
precision, in turn with topwork's complete pass. A GPU computes while the CPU decodes, so there the bound is the slower
of decoding and the engine; the engine is then Keras' own ``predict``.
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
from topwork.store.extract import fill_all
from topwork.store.request import Request
from topwork.store.runtimes import base
from topwork.store.runtimes.base import BATCH
from topwork.store.runtimes.openvino import HINT
from topwork.system import gpu, machine
from topwork.system.files import home
from topwork.system.messages import say

READY = 1000
"""The largest number of pictures that are kept decoded, to time the engine alone."""

SIZES = (32, 256)
"""The batch sizes of ``predict``. A short last batch is omitted, because Keras would compile again for it."""


@dataclass(frozen=True)
class Plan:
    """What to measure: pictures (drawn if *data* is ``None``), backbone, and the number of rounds (*repeats*)."""

    data: Path | None = None
    weights: str = "random"
    backbone: str = "efficientnet_b0"
    size: int | None = None
    pictures: int = 1000
    repeats: int = 5
    runtime: str = "openvino"

    def quick(self) -> "Plan":
        """Return a plan of one minute, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=64, repeats=1, size=self.size or 96)


@dataclass(frozen=True)
class Round:
    """Seconds per picture: of decoding alone, of the engine alone, and of topwork's pass from files to the store.

    *overlap*: whether decoding and the engine run at the same time without slowing each other.
    """

    decode: float
    engine: float
    topwork: float
    overlap: bool = False

    @property
    def reached(self) -> float:
        """The speed of topwork as a share of the bound."""
        bound = max(self.decode, self.engine) if self.overlap else self.decode + self.engine
        return bound / self.topwork


@dataclass(frozen=True)
class Measured:
    """The rounds that were measured, with their plan, pictures and precision."""

    plan: Plan
    data: Dataset
    precision: str
    rounds: list[Round]


def measure(plan: Plan, scratch: Path) -> Measured:
    """Measure. All files are written below *scratch*, which is also ``TOPWORK_HOME``."""
    data = read(plan.data or draw(scratch / "drawn-for-extraction", plan.pictures))
    backbone = base.resolved(Backbone(plan.backbone, plan.weights, plan.size, runtime=plan.runtime))
    request = Request(Cut.parse(f"{plan.backbone}@pool").only, backbone, data)
    (request,) = fill_all([request])  # makes weights and converts the trunk; neither is measured here
    paths = [Path(data.root, row.path) for row in data.rows]
    batches = _ready(request, paths)
    engine = _engine(request) if backbone.runtime == "openvino" else _predict(request)
    rounds = []
    for number in range(plan.repeats):
        alone = _decode(request, paths), engine(batches)
        rounds.append(Round(*alone, _extract(request), gpu.at_hand()))
        say(f"round {number + 1} of {plan.repeats}: {rounds[-1].reached:.3f} of the bound")
    return Measured(plan, data, request.backbone.precision, rounds)


def _decode(request: Request, paths: list[Path]) -> float:
    """Return the seconds per picture of decoding, with as many threads as in topwork."""
    fit = request.trunk.fit
    with ThreadPoolExecutor(machine.jobs()) as pool:
        return _timed(pool.map(lambda path: decode(path, fit), paths), len(paths))


def _engine(request: Request) -> Callable[[list[np.ndarray]], float]:
    """Return a function that times the converted trunk on decoded pixels: seconds per picture.

    The trunk is compiled as in topwork.
    """
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
    """Return a function that times Keras' ``predict`` on decoded pixels: seconds per picture, best of `SIZES`."""
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
    """Return the seconds per picture of topwork's own pass, with an empty store, without conversion and compilation."""
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
    """Return full batches of decoded pixels. Pictures that would make a short last batch are omitted."""
    pixels = [decode(path, request.trunk.fit) for path in paths[:READY]]
    return [np.stack(pixels[start : start + BATCH]) for start in range(0, len(pixels) - BATCH + 1, BATCH)]


def _timed(work: Iterable[Any], count: int) -> float:
    start = time.perf_counter()
    for _ in work:
        pass
    return (time.perf_counter() - start) / count
