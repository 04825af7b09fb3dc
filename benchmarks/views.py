"""Compare augmentation in topwork, stored or live, with the same augmentation as Keras layers in the plain script.

Times and accuracies come from the same commands: every side runs on each fold of each seed. The times do not
include the conversion of the trunk, because topwork keeps the converted trunk.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.commands import Outcome, Task, in_epochs, script, trained
from benchmarks.draw import draw
from benchmarks.folds import Split, splits
from benchmarks.frozen import weights
from topwork.data.readers import read
from topwork.networks.backbones import catalogue
from topwork.system.messages import say

PLAIN, NONE = "plain script, augmentation as Keras layers", "topwork, no augmentation"
STORED, LIVE = "topwork, {} stored views", "topwork, live views"


@dataclass(frozen=True)
class Plan:
    """What to compare, as in `benchmarks.frozen.Plan`; *views*: the number of views of each training picture."""

    data: Path | None = None
    weights: str = "random"
    backbone: str = "mobilenet_v2_035"
    size: int | None = None
    pictures: int = 500
    seeds: int = 1
    folds: int = 5
    views: int = 4
    epochs: int = 25

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, folds=2, size=self.size or 96, epochs=2)


Measured = dict[str, list[Outcome]]
"""For each side, one outcome for each fold of each seed."""


def measure(plan: Plan, scratch: Path) -> Measured:
    """Measure. All files are written below *scratch*."""
    data = read(plan.data or draw(scratch / "drawn", plan.pictures), decode=True)
    size = plan.size or catalogue.record(plan.backbone).size
    task = Task(plan.backbone, weights(plan, size), size, plan.epochs)
    found: Measured = {}
    for split in splits(data, plan.seeds, plan.folds, scratch / "splits"):
        for side, command in _sides(plan, task, split, scratch / split.name).items():
            outcome = command()
            found.setdefault(side, []).append(outcome)
            right = sum(outcome.answers.values()) / len(outcome.answers)
            say(f"{split.name}: {side}: {outcome.whole:.1f} s, test accuracy {right:.3f}")
    return found


def _sides(plan: Plan, task: Task, split: Split, scratch: Path) -> dict[str, Callable[[], Outcome]]:
    """Return the command of each side. topwork's commands have a home each, so that none uses what another stored."""
    scratch.mkdir()

    def ours(name: str, *options: str) -> Callable[[], Outcome]:
        return lambda: trained(task, split, scratch / f"home-{name}", scratch / name, *in_epochs(task), *options)

    views = ("--views", str(plan.views))
    return {
        PLAIN: lambda: script("plain.py", task, split, "--augment"),
        STORED.format(plan.views): ours("stored", *views),
        NONE: ours("none"),
        LIVE: ours("live", *views, "--set", "views.mode=live"),
    }
