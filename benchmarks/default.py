"""Compare the default network with the best small one that Keras has: by a linear probe, and by the default command."""

from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.draw import draw
from benchmarks.folds import Split, splits
from benchmarks.recipes import probed
from benchmarks.stats import Answers, accuracy, answered
from topwork.data.readers import read
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone, Phase, Training
from topwork.system.messages import say
from topwork.training.train import train

NETWORKS = ("efficientnet_lite0", "mobilenet_v2_035")


@dataclass(frozen=True)
class Plan:
    """What to compare, as in `benchmarks.fusion.Plan`."""

    data: Path | None = None
    weights: str = "imagenet"
    size: int | None = None
    pictures: int = 500
    seeds: int = 3
    folds: int = 5

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, weights="random", pictures=60, seeds=1, folds=2, size=self.size or 64)

    def recipe(self, name: str, seed: int) -> Recipe:
        """Return the recipe of the default command, with this network."""
        backbone = Backbone(name, self.weights, self.size)
        return Recipe((Phase(f"{name}@pool"),), backbones={name: backbone}, training=Training(seed)).checked()


@dataclass(frozen=True)
class Measured:
    """One network: the answers of the probe and of the command, for each fold of each seed."""

    probed: list[Answers]
    answers: list[Answers]


def measure(plan: Plan, scratch: Path) -> dict[str, Measured]:
    """Measure. All files are written below *scratch*."""
    data = read(plan.data or draw(scratch / "drawn", plan.pictures), decode=True)
    dealt = splits(data, plan.seeds, plan.folds, scratch / "splits")
    found = {}
    for name in NETWORKS:
        answers = [_trained(plan, name, split, scratch / "runs" / name) for split in dealt]
        found[name] = Measured(probed(plan.recipe(name, 0), data, dealt), answers)
        rates = [accuracy(runs).value for runs in (found[name].probed, answers)]
        say(f"{name}: a probe {rates[0]:.3f}, the command {rates[1]:.3f}")
    return found


def _trained(plan: Plan, name: str, split: Split, scratch: Path) -> Answers:
    return answered(train(split.csv, recipe=plan.recipe(name, split.seed), out=scratch / split.name).path)
