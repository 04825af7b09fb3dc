"""What single choices of the articles cost, measured on the same folds.

The choices are: the pixel scale; the batch-norm of layers that are trained; and to have no test part, so that the
highest validation accuracy is reported instead. The networks are those with weights on this machine. All runs are made
by ``topwork train``, and differ in one setting.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import digits
from benchmarks.draw import draw
from benchmarks.folds import splits
from benchmarks.stats import Answers, answered
from benchmarks.swap import swapped
from topwork.data.readers import read
from topwork.recipes import library
from topwork.recipes.recipe import Recipe
from topwork.system.messages import say
from topwork.training.run import Run
from topwork.training.train import train

NETWORKS = {"mobilenet_v2_035": "block_12_add", "mobilenet_025": "conv_pw_9_relu"}
"""For each network, the place above which a second phase trains it."""
DIGITS = "mobilenet_025@conv_pw_1_relu"


@dataclass(frozen=True)
class Plan:
    """What to compare, as in `benchmarks.frozen.Plan`; *mnist*: a folder of idx files with digits to use as well."""

    data: Path | None = None
    mnist: Path | None = None
    weights: str = "random"
    size: int | None = None
    pictures: int = 500
    seeds: int = 3
    folds: int = 5
    epochs: int | None = None

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, seeds=1, folds=2, size=self.size or 64, epochs=1)


@dataclass
class Found:
    """The runs of one choice: for each run, its answers and its highest validation accuracy in any epoch."""

    answers: list[Answers] = field(default_factory=list)
    highest: list[float] = field(default_factory=list)

    def add(self, run: Run) -> None:
        """Add the figures of a run."""
        self.answers.append(answered(run.path))
        self.highest.append(max(line.val_accuracy for line in run.journal if line.val_accuracy is not None))


Measured = dict[str, dict[str, Found]]
"""The runs, by question and choice. The first choice of each question is the one that the others are compared with."""


def measure(plan: Plan, scratch: Path) -> Measured:
    """Measure. All files are written below *scratch*."""
    data = read(plan.data or draw(scratch / "drawn", plan.pictures), decode=True)
    asked = [(split.csv, split.seed) for split in splits(data, plan.seeds, plan.folds, scratch / "splits")]
    questions = dict(_of_pictures())
    found = {name: runs_of(ways, asked, plan, scratch / "runs" / name) for name, ways in questions.items()}
    if plan.mnist:
        file = digits.write(scratch / "digits.npz", 10_000, plan.mnist)
        ways, seeds = _of_digits(), [(file, seed) for seed in range(plan.seeds)]
        found["digits"] = runs_of(ways, seeds, plan, scratch / "runs" / "digits")
    return found


def _of_pictures() -> Iterator[tuple[str, dict[str, Recipe]]]:
    for name, place in NETWORKS.items():
        pooled = Recipe.from_mapping({"phase": [{"cut": f"{name}@pool"}]})
        scales = {scale: {f"backbones.{name}.scale": scale} for scale in ("own", "unit", "bgr_unit")}
        yield f"pixels, {name}", {scale: pooled.with_settings(one) for scale, one in scales.items()}
        two = swapped(library.recipe("inception_v3_two_phase"), name, place)
        two = two.with_settings({f"backbones.{name}.size": 224})
        norms = {norm: {"phase.2.batch_norm": norm} for norm in ("frozen", "train")}
        yield f"batch-norm, {name}@{place}", {norm: two.with_settings(one) for norm, one in norms.items()}


def _of_digits() -> dict[str, Recipe]:
    name, _, place = DIGITS.partition("@")
    recipe = swapped(library.recipe("inception_v3_mnist"), name, place)
    ways = [(scale, norm) for norm in ("train", "frozen") for scale in ("unit", "own")]
    return {
        f"{scale}, {norm}": recipe.with_settings({f"backbones.{name}.scale": scale, "phase.1.batch_norm": norm})
        for scale, norm in ways
    }


def runs_of(ways: dict[str, Recipe], asked: list[tuple[Path, int]], plan: Plan, scratch: Path) -> dict[str, Found]:
    """Train each way on each dataset with its seed. Return the runs of each way."""
    found: dict[str, Found] = {way: Found() for way in ways}
    for number, (data, seed) in enumerate(asked):
        for way, recipe in ways.items():
            found[way].add(train(data, recipe=_planned(recipe, plan, seed), out=scratch / f"{way} {number}"))
    for way, runs in found.items():
        right = [sum(answers.values()) / len(answers) for answers in runs.answers]
        say(f"{scratch.name}: {way}: {sum(right) / len(right):.3f}")
    return found


def _planned(recipe: Recipe, plan: Plan, seed: int) -> Recipe:
    settings: dict[str, object] = {"training.seed": seed}
    settings |= {f"backbones.{name}.weights": plan.weights for name in recipe.backbones}
    settings |= {f"backbones.{name}.size": plan.size for name in recipe.backbones if plan.size}
    if plan.epochs:
        iterated = [n for n, phase in enumerate(recipe.phases, 1) if not phase.is_solved]
        settings |= {f"phase.{n}.epochs": plan.epochs for n in iterated}
    return recipe.with_settings(settings)
