"""Compare the articles' scripts with ``topwork train --recipe NAME``, and each recipe with the bound of its speed-up.

Both sides use the article's sizes, batches and epochs, which are in the recipe. The bound of a phase is a ratio: the
time of the plain script's step, divided by the time of a step of only the layers above the cut, on one batch in memory.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import digits
from benchmarks.commands import Outcome
from benchmarks.draw import draw
from benchmarks.folds import lay_out
from benchmarks.frozen import weights_of
from benchmarks.process import Finished, run, topwork
from benchmarks.stats import Answers, answered
from benchmarks.swap import swapped
from topwork.cut import Cut
from topwork.data.dataset import Dataset
from topwork.data.readers import read
from topwork.networks.backbones import catalogue
from topwork.recipes import library
from topwork.recipes.recipe import Recipe
from topwork.system.messages import say


@dataclass(frozen=True)
class Article:
    """One system of an article.

    Args:
        script: the script that its recipe is compared with.
        pictures: how many pictures are drawn.
        classes: how many of the drawn classes are used; fewer than five if the article has fewer.
    """

    script: str
    pictures: int = 400
    classes: int = 5


ARTICLES = {
    "inception_v3_two_phase": Article("two_phase"),
    "inception_v3_partial": Article("partial"),
    "fusion_single_input": Article("fusion"),
    "efficientnet_b0_house": Article("house", 451, 2),
    "inception_v3_retrain": Article("retrain"),
    "inception_v3_retrain_all": Article("retrain"),
    "resnet50_flowers": Article("flowers"),
    "resnet50_flowers_pooled": Article("flowers"),
    "inception_v3_mnist": Article("mnist", 1000),
    "xception_mnist": Article("mnist", 1000),
}
"""The systems, by the name of their recipe.

Of 400 pictures, 10 full batches of 32 are trained on; of 1,000 digits, 10 full batches of 64. 451 is the number of
pictures in the second article.
"""


@dataclass(frozen=True)
class Plan:
    """What to compare.

    Args:
        names: the recipes; if empty, all.
        data: a folder with one folder per class; if ``None``, pictures are drawn.
        mnist: a folder with MNIST's idx files.
        weights: ``"imagenet"`` or ``"random"``.
        pictures: how many pictures are drawn; by default the number in `ARTICLES`.
        size: side of the pictures in pixels; by default the recipe's.
        epochs: the largest number of epochs of a phase; by default the recipe's.
        swap: a smaller network that replaces the article's, if only its weights are available: ``name``; for a fusion,
            ``name + name``; if a phase trains some layers of it, ``name@place``.
        steps: how many epochs are run to time the steps, of which the first is not counted; ten times as many for a
            phase in which the backbone is frozen.
    """

    names: tuple[str, ...] = ()
    data: Path | None = None
    mnist: Path | None = None
    weights: str = "random"
    pictures: int | None = None
    size: int | None = None
    epochs: int | None = None
    swap: str | None = None
    steps: int = 3

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        names = self.names or ("efficientnet_b0_house", "xception_mnist")
        return replace(self, names=names, pictures=self.pictures or 50, size=self.size or 84, epochs=1, steps=2)


@dataclass(frozen=True)
class Side:
    """One side of the comparison for one article: its outcome, and the milliseconds per step of each phase."""

    outcome: Outcome
    steps: list[float]


@dataclass(frozen=True)
class Measured:
    """The figures for one article.

    Args:
        name: the name of the recipe; recipe: the recipe that both sides ran.
        plain, topwork: the two sides. topwork's steps are timed in a second run, in which all activations are stored.
        bounds: for each phase, the milliseconds per step on one batch in memory.
        precisions: for each phase, the precision of the part that trains.
    """

    name: str
    recipe: Recipe
    plain: Side
    topwork: Side
    bounds: list[float]
    precisions: list[str]


def measure(plan: Plan, scratch: Path) -> list[Measured]:
    """Measure. All files are written below *scratch*."""
    run([sys.executable, "-c", "import keras, matplotlib.figure"])  # brings files into memory, compiles bytecode
    return [_article(name, plan, scratch / name) for name in plan.names or ARTICLES]


def recipe_of(name: str, plan: Plan) -> Recipe:
    """Return the recipe that both sides run: without early stopping, and with the changes of the plan."""
    recipe = library.recipe(name)
    if plan.swap:
        recipe = swapped(recipe, *plan.swap.partition("@")[::2])
    phases = [replace(p, epochs=min(p.epochs, plan.epochs or p.epochs), patience=0) for p in recipe.phases]
    weights = {n: weights_of(n, plan.size or b.size, plan.weights) for n, b in recipe.backbones.items()}
    known = {
        n: replace(b, weights=weights[n], size=plan.size or b.size or catalogue.record(n).size)
        for n, b in recipe.backbones.items()
    }
    return replace(recipe, phases=tuple(phases), backbones=known)


def _article(name: str, plan: Plan, scratch: Path) -> Measured:
    scratch.mkdir()
    article, recipe = ARTICLES[name], recipe_of(name, plan)
    data, asked = _data(article, recipe, plan, scratch)
    plain = _plain(article, recipe, asked)
    say(f"{name}, plain script: {plain.outcome.whole:.1f} s, steps {_shown(plain.steps)} ms")
    home, out = scratch / "home", scratch / "run"
    outcome = _trained(name, recipe, data, home, out, plan)
    words = [str(data), str(out), str(scratch / "again"), str(plan.steps)]
    done = run([sys.executable, "-m", "benchmarks.stepping", *words], TOPWORK_HOME=str(home))
    steps = json.loads(done.output.splitlines()[-1])
    ours = Side(outcome, [one["topwork"] for one in steps])
    bounds = [one["bound"] for one in steps]
    say(f"{name}, topwork: {outcome.whole:.1f} s, steps {_shown(ours.steps)} ms, on one batch {_shown(bounds)}")
    return Measured(name, recipe, plain, ours, bounds, [one["precision"] for one in steps])


def _shown(steps: Iterable[float]) -> str:
    return " and ".join(f"{step:.1f}" for step in steps)


def _data(article: Article, recipe: Recipe, plan: Plan, scratch: Path) -> tuple[Path, Path]:
    """Return the data for topwork and the data for the script: the same pictures, in the same parts."""
    count = plan.pictures or article.pictures
    if article.script == "mnist":
        file = digits.write(scratch / "digits.npz", count, plan.mnist)
        return file, file
    folder = plan.data or draw(scratch / "drawn", count, classes=article.classes)
    train, val, test = recipe.data.split
    found = read(folder, split=(train, val, test), draw="stratified", seed=recipe.data.seed, decode=True)
    kept = tuple(row for row in found.rows if row.label in found.classes[: article.classes])
    split = lay_out(Dataset(found.root, kept), [row.split or "" for row in kept], scratch / "split")
    return split.csv, split.folder


def _plain(article: Article, recipe: Recipe, data: Path) -> Side:
    used = [catalogue.record(name) for name in recipe.backbones]
    first, last = (Cut.parse(recipe.phases[i].cut).terms[0] for i in (0, -1))
    words = ["--builders", *(one.builder for one in used), "--modules", *(one.module for one in used)]
    words += ["--weights", *(b.weights for b in recipe.backbones.values())]
    words += ["--sizes", *(str(b.size) for b in recipe.backbones.values())]
    words += ["--epochs", *(str(phase.epochs) for phase in recipe.phases), "--batch", str(recipe.phases[0].batch_size)]
    words += ["--frozen", str(last.place), "--end", str(first.end)]
    alphas = [str(one.alpha) for one in used if one.alpha is not None]
    words += ["--alphas", *alphas] if alphas else []
    done = run([sys.executable, "-m", f"benchmarks.scripts.{article.script}", str(data), *words])
    told = json.loads(done.output.splitlines()[-1])
    seconds: dict[str, Any] = told["seconds"]
    whole = done.seconds - seconds.pop("aside")
    steps = [median(some[1:] or some) for some in told["steps"]]
    return Side(_outcome(done, whole, seconds, told["right"]), steps)


def _trained(name: str, recipe: Recipe, data: Path, home: Path, out: Path, plan: Plan) -> Outcome:
    if plan.swap:
        file = out.with_suffix(".toml")
        file.write_text(recipe.dumps())
        words = ["--recipe", str(file)]
    else:
        words = ["--recipe", name, *_settings(recipe)]
    done = topwork(home, "train", data, *words, "--out", out, "--json")
    cost = json.loads(done.output)["cost"]
    return _outcome(done, done.seconds, cost, answered(out))


def _settings(recipe: Recipe) -> list[str]:
    words = []
    for number, phase in enumerate(recipe.phases, 1):
        words += [f"phase.{number}.epochs={phase.epochs}", f"phase.{number}.patience=0"]
    for name, backbone in recipe.backbones.items():
        words += [f"backbones.{name}.weights={backbone.weights}", f"backbones.{name}.size={backbone.size}"]
    return [word for setting in words for word in ("--set", setting)]


def _outcome(done: Finished, whole: float, seconds: dict[str, Any], right: Answers) -> Outcome:
    return Outcome(whole, {k: v or 0.0 for k, v in seconds.items()}, done.largest, done.together, right)
