"""Compare each recipe with a linear probe of its own features, on the same folds.

The networks of the recipes are replaced by networks with weights on this machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from benchmarks.draw import draw
from benchmarks.folds import Split, splits
from benchmarks.stats import Answers, answered
from topwork.cut import Cut
from topwork.data.dataset import Dataset
from topwork.data.readers import read
from topwork.recipes import library
from topwork.recipes.recipe import Recipe
from topwork.scoring.choosing.probe import probe
from topwork.store.examples import StoredActivations, features
from topwork.store.extract import fill_all, requested
from topwork.system.messages import say
from topwork.training.train import train

CUTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "inception_v3_retrain": ("mobilenet_v2_035@pool",),
        "inception_v3_two_phase": ("mobilenet_v2_035@pool", "mobilenet_v2_035@block_12_add"),
        "inception_v3_partial": (
            "mobilenet_v2_035@block_13_expand_relu..block_13_expand_relu",
            "mobilenet_v2_035@block_11_add..block_13_expand_relu",
        ),
        "fusion_single_input": ("mobilenet_v2_035@pool + mobilenet_025@pool",),
        "resnet50_flowers_pooled": ("mobilenet_v2_035@pool",),
        "resnet50_flowers": ("mobilenet_025@conv_pw_13_relu..conv_pw_13_relu",),
    }
)
"""For each recipe, the cuts that replace its own, as with ``--set phase.1.cut=...`` for each phase."""


@dataclass(frozen=True)
class Plan:
    """What to compare, as in `benchmarks.fusion.Plan`."""

    names: tuple[str, ...] = ()
    data: Path | None = None
    weights: str = "random"
    size: int | None = None
    pictures: int = 500
    seeds: int = 1
    folds: int = 5

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, folds=2, size=self.size or 64)

    def recipe(self, name: str, seed: int) -> Recipe:
        """Return a recipe with its networks replaced."""
        settings: dict[str, object] = {f"phase.{number}.cut": cut for number, cut in enumerate(CUTS[name], 1)}
        found = library.recipe(name).with_settings(settings | {"training.seed": seed})
        each = {"weights": self.weights, **({"size": self.size} if self.size else {})}
        return found.with_settings({f"backbones.{b}.{k}": v for b in found.backbones for k, v in each.items()})


@dataclass(frozen=True)
class Measured:
    """One recipe: the answers of each run, and of the probe, which was fitted without the test part of the fold."""

    recipe: Recipe
    answers: list[Answers]
    probed: list[Answers]


def measure(plan: Plan, scratch: Path) -> dict[str, Measured]:
    """Measure. All files are written below *scratch*."""
    data = read(plan.data or draw(scratch / "drawn", plan.pictures), decode=True)
    dealt = splits(data, plan.seeds, plan.folds, scratch / "splits")
    found = {}
    for name in plan.names or CUTS:
        answers = [_trained(plan.recipe(name, split.seed), split, scratch / "runs" / name) for split in dealt]
        found[name] = Measured(plan.recipe(name, 0), answers, probed(plan.recipe(name, 0), data, dealt))
        mean = [np.mean([right for run in runs for right in run.values()]) for runs in (answers, found[name].probed)]
        say(f"{name}: {mean[0]:.3f}, a probe {mean[1]:.3f}")
    return found


def _trained(recipe: Recipe, split: Split, scratch: Path) -> Answers:
    return answered(train(split.csv, recipe=recipe, out=scratch / split.name).path)


def probed(recipe: Recipe, data: Dataset, dealt: list[Split]) -> list[Answers]:
    """Return the answers of a probe in each fold. Its features are those that the recipe's first phase trains on."""
    asked = requested(data, Cut.parse(recipe.phases[0].cut), list(recipe.backbones.values()))
    requests = fill_all(asked)
    with StoredActivations(requests) as stored:
        values = features(stored, data.rows, recipe.head.pooling)
    labels = np.array([row.label for row in data.rows])
    said: dict[str, Answers] = {}
    for seed in dict.fromkeys(split.seed for split in dealt):
        folds = [split for split in dealt if split.seed == seed]
        tests = [[i for i, row in enumerate(fold.data.rows) if row.split == "test"] for fold in folds]
        right = probe(values, labels, tests)
        for fold, test in zip(folds, tests, strict=True):
            said[fold.name] = {fold.data.rows[i].path: bool(right[i]) for i in test}
    return [said[split.name] for split in dealt]
