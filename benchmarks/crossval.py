"""Compare K-fold cross-validation by ``topwork train --folds K``, from cold, with the plain script, once per fold."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.commands import Task, script
from benchmarks.draw import draw
from benchmarks.folds import splits
from benchmarks.frozen import weights
from benchmarks.process import topwork
from topwork.data.readers import read
from topwork.networks.backbones import catalogue
from topwork.system.messages import say


@dataclass(frozen=True)
class Plan:
    """What to compare, as in `benchmarks.frozen.Plan`."""

    data: Path | None = None
    weights: str = "random"
    backbone: str = "mobilenet_v2_035"
    size: int | None = None
    pictures: int = 2000
    folds: int = 5
    epochs: int = 25

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, folds=2, size=self.size or 96, epochs=2)


@dataclass(frozen=True)
class Measured:
    """The seconds of all folds together.

    Args:
        fit: of the scripts' ``fit``; plain: of the complete scripts.
        spent: of topwork's parts: convert, compile, extract and head; whole: of topwork from its cold start to its end.
    """

    fit: float
    plain: float
    spent: dict[str, float]
    whole: float


def measure(plan: Plan, scratch: Path) -> Measured:
    """Measure. All files are written below *scratch*."""
    folder = plan.data or draw(scratch / "drawn", plan.pictures)
    data = read(folder, decode=True)
    size = plan.size or catalogue.record(plan.backbone).size
    task = Task(plan.backbone, weights(plan, size), size, plan.epochs)
    out = scratch / "folds"
    words = ["--cut", f"{plan.backbone}@pool", "--weights", task.weights, "--size", str(size), "--folds"]
    words += [str(plan.folds), "--epochs", str(plan.epochs), "--set", "phase.1.patience=0", "--out", str(out)]
    done = topwork(scratch / "home", "train", folder, *words)
    spent = dict.fromkeys(("convert", "compile", "extract", "head"), 0.0)
    for number in range(1, plan.folds + 1):
        cost = json.loads((out / f"fold-{number}" / "results.json").read_text())["cost"]
        spent = {name: value + cost.get(name, 0.0) for name, value in spent.items()}
    say(f"topwork: {done.seconds:.1f} s, {spent}")
    outcomes = [script("plain.py", task, split) for split in splits(data, 1, plan.folds, scratch / "splits")]
    fit, plain = sum(o.seconds["fit"] for o in outcomes), sum(o.whole for o in outcomes)
    say(f"plain: {plain:.1f} s, fit {fit:.1f}")
    return Measured(fit, plain, spent, done.seconds)
