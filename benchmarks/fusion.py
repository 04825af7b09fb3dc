"""Compare two backbones under one head with each backbone alone, on the same folds.

Once the activations of each backbone are stored, their sum needs no further pass through the backbones.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from benchmarks.draw import draw
from benchmarks.folds import splits
from benchmarks.stats import Answers, answered
from topwork.data.readers import read
from topwork.recipes.settings import Backbone, Phase
from topwork.system.messages import say
from topwork.training.train import train


@dataclass(frozen=True)
class Plan:
    """What to compare: each backbone alone, and all of them together."""

    data: Path | None = None
    weights: str = "random"
    backbones: tuple[str, ...] = ("mobilenet_025", "mobilenet_v2_035")
    size: int | None = None
    pictures: int = 500
    seeds: int = 3
    folds: int = 5

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, seeds=1, folds=2, size=self.size or 96)

    @property
    def sum(self) -> str:
        """The cut that has all backbones."""
        return " + ".join(self.singles)

    @property
    def singles(self) -> list[str]:
        """The cuts of the single backbones."""
        return [f"{name}@pool" for name in self.backbones]


@dataclass(frozen=True)
class Measured:
    """For each cut, the answers of each run.

    *extracted*: the seconds that the trunks ran for the sum; 0 if all activations were stored.
    """

    answers: dict[str, list[Answers]]
    extracted: float


def measure(plan: Plan, scratch: Path) -> Measured:
    """Measure. All files are written below *scratch*."""
    data = read(plan.data or draw(scratch / "drawn", plan.pictures), decode=True)
    answers: dict[str, list[Answers]] = {}
    extracted = 0.0
    for split in splits(data, plan.seeds, plan.folds, scratch / "splits"):
        for cut in (*plan.singles, plan.sum):
            used = [Backbone(n, plan.weights, plan.size) for n in plan.backbones if f"{n}@pool" in cut.split(" + ")]
            out = scratch / "runs" / f"{split.name} {cut}"
            run = train(split.csv, phases=[Phase(cut)], backbones=used, seed=split.seed, out=out)
            answers.setdefault(cut, []).append(answered(out))
            extracted += run.results.cost.get("extract", 0.0) if cut == plan.sum else 0.0
    for cut, runs in answers.items():
        say(f"{cut}: {mean(mean(run.values()) for run in runs):.3f}")
    return Measured(answers, extracted)
