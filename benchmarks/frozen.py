"""A frozen backbone under a new head: the Keras scripts against ``topwork train``, on the same parts, from cold.

Timing: rounds of all six commands, one after another, so that a machine whose speed drifts harms none of them.
Accuracy: every fold of every seed through topwork (store filled) and the plain script.
"""

import shutil
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from benchmarks.commands import Outcome, Task, script, topwork
from benchmarks.draw import draw
from benchmarks.folds import Split, splits
from benchmarks.stats import Answers
from topwork.data.dataset import Dataset
from topwork.data.readers import read
from topwork.networks.backbones import builder, catalogue
from topwork.networks.weights import pretrained
from topwork.networks.weights.random_weights import weights_file
from topwork.recipes.settings import Backbone
from topwork.system.messages import say

PLAIN, CACHED, BY_HAND = "(a) plain", "(a') plain, `.cache()`", "(c) by hand, `predict` once"
FIRST, CONVERTED, FILLED = "topwork, very first run", "topwork, trunk converted", "topwork, store filled"
TOPWORK = "topwork"


@dataclass(frozen=True)
class Plan:
    """What to compare, and how often.

    Args:
        data: a folder with a folder a class; ``None``: pictures are drawn.
        weights: ``"imagenet"`` or ``"random"``.
        backbone: its name; size: side of the pictures in pixels, by default the backbone's own.
        pictures: how many are drawn.
        seeds, folds: of the accuracies; plain_folds: how many folds of each seed the plain script trains too.
        repeats: rounds of timing.
        epochs: on both sides.
    """

    data: Path | None = None
    weights: str = "random"
    backbone: str = "mobilenet_v2_035"
    size: int | None = None
    pictures: int = 2000
    seeds: int = 3
    folds: int = 5
    plain_folds: int | None = None
    repeats: int = 3
    epochs: int = 25

    def quick(self) -> "Plan":
        """The same in a minute or two: to see that it works, not to measure."""
        return replace(self, pictures=60, seeds=1, folds=2, plain_folds=1, repeats=1, size=self.size or 96, epochs=2)


@dataclass(frozen=True)
class Comparison:
    """What was measured: rounds of outcomes by side, and by side the answers for each (seed, fold)."""

    plan: Plan
    data: Dataset
    rounds: list[dict[str, Outcome]]
    answers: dict[str, dict[tuple[int, int], Answers]]


def compare(plan: Plan, scratch: Path) -> Comparison:
    """Measure; everything that is written goes below *scratch*, which is ``TOPWORK_HOME`` as well."""
    data = read(plan.data or draw(scratch / "drawn", plan.pictures), decode=True)
    size = plan.size or catalogue.record(plan.backbone).size
    task = Task(plan.backbone, weights(plan, size), size, plan.epochs, _network(plan, size, scratch))
    chosen = splits(data, plan.seeds, plan.folds, scratch / "splits")
    _warm_up(task, chosen[0], scratch)
    found = Comparison(plan, data, [], defaultdict(dict))
    for number in range(plan.repeats):
        split = chosen[number % len(chosen)]
        shutil.rmtree(_home(scratch), ignore_errors=True)
        found.rounds.append(_round(task, split, scratch, f"round {number + 1} of {plan.repeats}"))
        _note(found, split)
    for split in chosen:
        _test(task, split, scratch, found)
    return found


def _network(plan: Plan, size: int, scratch: Path) -> str:
    """The backbone as a ``.keras`` file where Keras has no such network; made beside, as `weights_of` does."""
    if catalogue.record(plan.backbone).builder:
        return ""
    file = str(scratch / f"{plan.backbone}.keras")
    with ProcessPoolExecutor(1, get_context("spawn")) as beside:
        beside.submit(write_network, Backbone(plan.backbone, plan.weights, size), file).result()
    return file


def write_network(backbone: Backbone, file: str) -> None:
    """Write a backbone, its pixel scale inside, as a Keras file for scripts."""
    import keras

    side = catalogue.size(backbone)
    pixels = keras.Input((side, side, 3))
    network = builder.build(backbone, pretrained.weights_file(backbone))
    keras.Model(pixels, network(builder.scaled(pixels, builder.scale(backbone)))).save(file)


def weights(plan: Plan, size: int) -> str:
    """The weights of a plan's backbone, see `weights_of`."""
    return weights_of(plan.backbone, size, plan.weights)


def weights_of(name: str, size: int | None, chosen: str) -> str:
    """``"imagenet"``, or the file of topwork's random weights, so that both sides load the same bits.

    They are made in a process of their own: this one stays small, as it is part of what its children's memory counts.
    """
    if chosen != "random":
        return chosen
    with ProcessPoolExecutor(1, get_context("spawn")) as beside:
        return str(beside.submit(weights_file, Backbone(name, "random", size)).result())


def _warm_up(task: Task, split: Split, scratch: Path) -> None:
    """Bring Python's and the libraries' files into memory, and compile their bytecode."""
    short = replace(task, epochs=1)
    for name in ("plain.py", "by_hand.py"):
        script(name, short, split)
    topwork(short, split, scratch / "warm", _run(scratch))
    shutil.rmtree(scratch / "warm")


def _round(task: Task, split: Split, scratch: Path, name: str) -> dict[str, Outcome]:
    home = _home(scratch)

    def without_store() -> Outcome:
        shutil.rmtree(home / "store")
        return topwork(task, split, home, _run(scratch))

    sides = {
        PLAIN: lambda: script("plain.py", task, split),
        FIRST: lambda: topwork(task, split, home, _run(scratch)),
        CACHED: lambda: script("plain.py", task, split, "--cache"),
        CONVERTED: without_store,
        BY_HAND: lambda: script("by_hand.py", task, split),
        FILLED: lambda: topwork(task, split, home, _run(scratch)),
    }
    return {side: _told(f"{name}: {side}", command()) for side, command in sides.items()}


def _note(found: Comparison, split: Split) -> None:
    """Keep the answers of the last round; of topwork's three runs the first counts."""
    for side in (PLAIN, CACHED, BY_HAND, FIRST):
        named = TOPWORK if side == FIRST else side
        found.answers[named][split.seed, split.fold] = found.rounds[-1][side].answers


def _test(task: Task, split: Split, scratch: Path, found: Comparison) -> None:
    """Train on a fold for its accuracy, where no round of timing did."""
    where = split.seed, split.fold
    if where not in found.answers[TOPWORK]:
        outcome = topwork(task, split, _home(scratch), _run(scratch))
        found.answers[TOPWORK][where] = _told(f"{split.name}: topwork", outcome).answers
    wanted = found.plan.plain_folds is None or split.fold < found.plan.plain_folds
    if wanted and where not in found.answers[PLAIN]:
        found.answers[PLAIN][where] = _told(f"{split.name}: plain", script("plain.py", task, split)).answers


def _told(name: str, outcome: Outcome) -> Outcome:
    accuracy = sum(outcome.answers.values()) / len(outcome.answers)
    say(f"{name}: {outcome.whole:.1f} s, test accuracy {accuracy:.3f}")
    return outcome


def _home(scratch: Path) -> Path:
    return scratch / "home"


def _run(scratch: Path) -> Path:
    """A path for a new run folder."""
    (scratch / "runs").mkdir(exist_ok=True)
    return scratch / "runs" / str(len(list((scratch / "runs").iterdir())))
