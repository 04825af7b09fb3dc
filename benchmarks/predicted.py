"""What the distance and heat maps cost ``topwork predict``, and a folder of pictures against its bound."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from benchmarks.draw import draw
from benchmarks.machine import measured_on
from benchmarks.process import topwork
from benchmarks.report import table
from benchmarks.stats import Spread
from topwork.data.pictures import decode
from topwork.shipping.formats.known import ONNX
from topwork.shipping.predictor import BATCH, Predictor
from topwork.shipping.sessions import opened
from topwork.system.machine import jobs
from topwork.system.messages import say

COLD = 3
"""In each round, one picture is classified from cold so often: these times differ more than what they are to show."""


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Args:
        data: a folder with one folder per class; if ``None``, pictures are drawn.
        pictures: how many are drawn.
        cuts: of the networks.
        weights: ``"imagenet"`` or ``"random"``.
        rounds: how often each is timed, in turn.
    """

    data: Path | None = None
    pictures: int = 500
    cuts: Sequence[str] = ("efficientnet_lite0@pool", "mobilenet_v2_035@pool")
    weights: str = "random"
    rounds: int = 9

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, cuts=["mobilenet_025@pool"], rounds=1)


@dataclass(frozen=True)
class Predicted:
    """What was measured of one network, in seconds.

    Args:
        cut: of the network.
        bare: ``topwork predict`` of one picture from cold, of a file with probabilities alone.
        distance: of a file with the distance and the map.
        heat: the same with ``--heat``.
        decoding, network: a folder of pictures, decoded in one thread per core; and in the network alone, in batches or
            in one thread per core, whichever is quicker.
        whole: the folder in a `Predictor`.
    """

    cut: str
    bare: list[float]
    distance: list[float]
    heat: list[float]
    decoding: list[float]
    network: list[float]
    whole: list[float]


def measure(plan: Plan, scratch: Path) -> list[Predicted]:
    """Measure. All files are written below *scratch*."""
    folder = plan.data or draw(scratch / "drawn", plan.pictures)
    return [_measured(plan, cut, folder, scratch) for cut in plan.cuts]


def _measured(plan: Plan, cut: str, folder: Path, scratch: Path) -> Predicted:
    place, file = scratch / cut.partition("@")[0], scratch / f"{cut.partition('@')[0]}.onnx"
    topwork(scratch / "home", "train", folder, "--cut", cut, "--weights", plan.weights, "--out", place)
    topwork(scratch / "home", "export", place, file)
    bare = _without(file, scratch / f"bare-{file.name}")
    pictures = [str(path) for path in sorted(folder.glob("*/*"))]
    found = Predicted(cut, [], [], [], [], [], [])
    for number in range(plan.rounds + 1):  # the first round is not counted: it brings files into memory
        for again in range(COLD if number else 1):
            heat = ["--heat", scratch / f"heat-{file.stem}-{number}-{again}"]
            commands = [(found.bare, bare, []), (found.distance, file, []), (found.heat, file, heat)]
            for seconds, model, more in commands:
                done = topwork(scratch / "home", "predict", model, pictures[0], *more)
                if number:
                    seconds.append(done.seconds)
        if number:
            _note(found, file, pictures)
            say(f"{cut}, round {number} of {plan.rounds}")
    return found


def _without(file: Path, bare: Path) -> Path:
    """Write the same network with the output ``probabilities`` alone, as files of format 1 were."""
    model = onnx.load(file)
    about = json.loads(next(one.value for one in model.metadata_props if one.key == "topwork"))
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key = "topwork"
    entry.value = json.dumps({"format": 1, **{key: about[key] for key in ("labels", "inputs", "cut", "scores")}})
    others = [one for one in model.graph.output if one.name != "probabilities"]
    for one in others:
        model.graph.output.remove(one)
    onnx.save(model, bare)
    return bare


def _note(found: Predicted, file: Path, pictures: Sequence[str]) -> None:
    predictor = Predictor(file)
    fit = predictor.inputs[0].fit
    list(predictor(pictures[: 2 * BATCH]))
    start = time.perf_counter()
    with ThreadPoolExecutor(jobs()) as pool:
        pixels = np.stack(list(pool.map(lambda path: decode(path, fit), pictures)))
    found.decoding.append(time.perf_counter() - start)
    found.network.append(min(_in_batches(file, pixels), _one_per_thread(file, pixels)))
    start = time.perf_counter()
    for _ in predictor(pictures):
        pass
    found.whole.append(time.perf_counter() - start)


def _in_batches(file: Path, pixels: np.ndarray) -> float:
    """Return the seconds of the network with a session that uses all cores for each batch."""
    session = opened(ONNX, file)
    session.run({"pixels": pixels[:BATCH]})
    start = time.perf_counter()
    for first in range(0, len(pixels), BATCH):
        session.run({"pixels": pixels[first : first + BATCH]})
    return time.perf_counter() - start


def _one_per_thread(file: Path, pixels: np.ndarray) -> float:
    """Return the seconds of the network with a picture in each of as many threads as there are cores."""
    session = opened(ONNX, file, threads=1)
    session.run({"pixels": pixels[:1]})
    start = time.perf_counter()
    with ThreadPoolExecutor(jobs()) as pool:
        for _ in pool.map(lambda one: session.run({"pixels": one[None]}), pixels):
            pass
    return time.perf_counter() - start


def predicted_table(plan: Plan, found: Sequence[Predicted], command: str) -> str:
    """Return the table."""
    rows = []
    for one in found:
        bounds = [a + b for a, b in zip(one.decoding, one.network)]
        rows.append(
            [
                f"`{one.cut}`",
                *(f"{Spread.of(some):.3f}" for some in (one.bare, one.distance, one.heat)),
                f"{Spread.of([heat - bare for heat, bare in zip(one.heat, one.bare)]):.3f}",
                f"{Spread.of(one.decoding):.2f} + {Spread.of(one.network):.2f}",
                f"{Spread.of(one.whole):.2f}",
                f"{Spread.of([bound / whole for bound, whole in zip(bounds, one.whole)]):.2f}",
            ]
        )
    what = f"the photos of {plan.data.name}" if plan.data else f"{plan.pictures:,} drawn photos"
    about = (
        f"Seconds. `topwork predict` of a picture from cold, of three kinds; and all of {what}: decoding in one thread "
        "per core, the network alone (in batches or in one thread per core, the quicker of the two), and both in a "
        "`Predictor`. share: of the bound, the sum of decoding and network."
    )
    heads = ("network", "probabilities", "and distance", "and heat map", "more", "decoding + network", "whole", "share")
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(heads, rows)])
