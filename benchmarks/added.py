"""What it costs to add pictures and a class to a run: ``--from`` against training again, here and with the script."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks.commands import Task, script
from benchmarks.draw import draw
from benchmarks.folds import splits
from benchmarks.frozen import weights
from benchmarks.process import topwork
from topwork.data.readers import read
from topwork.networks.backbones import catalogue
from topwork.system.messages import say

FROM, AGAIN, EMPTY, PLAIN = "--from", "again", "empty", "plain"


@dataclass(frozen=True)
class Plan:
    """What to compare, as in `benchmarks.frozen.Plan`; *added* is the number of new pictures of each class."""

    data: Path | None = None
    weights: str = "random"
    backbone: str = "mobilenet_v2_035"
    size: int | None = None
    pictures: int = 500
    added: int = 5
    rounds: int = 3
    epochs: int = 25

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, size=self.size or 96, added=2, rounds=1, epochs=1)


@dataclass(frozen=True)
class Measured:
    """The outcome.

    Args:
        before, after: the numbers of pictures without and with the new ones.
        seconds: for each way, the median of the whole command from cold.
        accuracy: the test accuracy with ``--from``, and of a run that was trained again.
    """

    before: int
    after: int
    seconds: dict[str, float]
    accuracy: dict[str, float]


def measure(plan: Plan, scratch: Path) -> Measured:
    """Measure. All files are written below *scratch*."""
    everything = plan.data or draw(scratch / "drawn", plan.pictures)
    data = read(everything, decode=True)
    size = plan.size or catalogue.record(plan.backbone).size
    task = Task(plan.backbone, weights(plan, size), size, plan.epochs)
    few = _without(everything, data.classes, plan.added, scratch / "few")
    first = scratch / "first"
    _train(task, few, scratch / "home", first)
    (split, *_) = splits(data, 1, 10, scratch / "splits")

    seconds: dict[str, list[float]] = {way: [] for way in (FROM, AGAIN, EMPTY, PLAIN)}
    accuracy: dict[str, float] = {}
    for _ in range(plan.rounds):
        for way in (FROM, AGAIN, EMPTY):
            home, out = scratch / "copy", scratch / "run"
            if way != EMPTY:
                shutil.copytree(scratch / "home", home)
            took = _train(task, everything, home, out, *(["--from", str(first)] if way == FROM else []))
            seconds[way].append(took)
            accuracy[way] = json.loads((out / "results.json").read_text())["accuracy"]["value"]
            shutil.rmtree(home)
            shutil.rmtree(out)
        seconds[PLAIN].append(script("plain.py", task, split).whole)
        say(", ".join(f"{way} {each[-1]:.1f} s" for way, each in seconds.items()))
    told = {way: accuracy[way] for way in (FROM, AGAIN)}
    before = sum(1 for path in few.rglob("*") if path.is_file())
    return Measured(before, len(data.rows), {way: median(each) for way, each in seconds.items()}, told)


def _without(folder: Path, classes: Sequence[str], added: int, out: Path) -> Path:
    """Copy a folder of pictures without its last class, and without *added* pictures of each other class."""
    for label in classes[:-1]:
        (out / label).mkdir(parents=True)
        for path in sorted((folder / label).iterdir())[added:]:
            shutil.copy(path, out / label)
    return out


def _train(task: Task, data: Path, home: Path, out: Path, *words: str) -> float:
    """Return the seconds of ``topwork train`` from its cold start to its end."""
    named = ["--weights", task.weights, "--size", str(task.size)]
    cut = [] if words else ["--cut", f"{task.backbone}@pool", *named]
    return topwork(home, "train", data, *cut, *words, "--out", out).seconds
