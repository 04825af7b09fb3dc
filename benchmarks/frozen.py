"""Compare the Keras scripts with ``topwork train`` for a new head on a frozen backbone: same parts, from cold.

Timing: each round runs all commands in turn, so that a drift of the machine's speed affects all of them alike.
Accuracy: topwork (with a filled store; the head solved, and the head in epochs) and the plain script train on every
fold of every seed.
"""

import shutil
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from benchmarks.commands import Outcome, Task, in_epochs, script, trained
from benchmarks.draw import draw
from benchmarks.folds import Split, splits
from benchmarks.process import run
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
ITERATED = "topwork, store filled, head in epochs"
TOPWORK = "topwork"
IMPORT = '`python -c "import keras"`'


@dataclass(frozen=True)
class Plan:
    """What to compare, and how often.

    Args:
        data: a folder with one folder per class; if ``None``, pictures are drawn.
        weights: ``"imagenet"`` or ``"random"``.
        backbone: its name; size: side of the pictures in pixels, by default the backbone's own.
        pictures: how many pictures are drawn.
        seeds, folds: how many are used for the accuracies.
        plain_folds: on how many folds of each seed the plain script trains as well; ``None``: on all.
        repeats: the number of timing rounds.
        epochs: the number of epochs of the scripts, and of topwork's head where it is not solved.
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
        """Return a plan of one or two minutes, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, seeds=1, folds=2, plain_folds=1, repeats=1, size=self.size or 96, epochs=2)


@dataclass(frozen=True)
class Comparison:
    """What was measured: for each round, the outcome of each side; and for each side, the answers by (seed, fold)."""

    plan: Plan
    data: Dataset
    rounds: list[dict[str, Outcome]]
    answers: dict[str, dict[tuple[int, int], Answers]]


def compare(plan: Plan, scratch: Path) -> Comparison:
    """Measure. All files are written below *scratch*, which is also ``TOPWORK_HOME``."""
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
    """Return the path of the backbone as a ``.keras`` file, or ``""`` if Keras has this backbone."""
    if catalogue.record(plan.backbone).builder:
        return ""
    return network_file(Backbone(plan.backbone, plan.weights, size), scratch)


def network_file(backbone: Backbone, scratch: Path) -> str:
    """Return the path of a backbone as a ``.keras`` file. A process of its own makes it, as in `weights_of`."""
    file = scratch / f"{backbone.name}-{catalogue.size(backbone)}.keras"
    if not file.exists():
        with ProcessPoolExecutor(1, get_context("spawn")) as beside:
            beside.submit(write_network, backbone, str(file)).result()
    return str(file)


def write_network(backbone: Backbone, file: str) -> None:
    """Write a backbone, including its pixel scale, as a ``.keras`` file for the scripts."""
    import keras

    side = catalogue.size(backbone)
    pixels = keras.Input((side, side, 3))
    network = builder.build(backbone, pretrained.weights_file(backbone))
    keras.Model(pixels, network(builder.scaled(pixels, builder.scale(backbone)))).save(file)


def weights(plan: Plan, size: int) -> str:
    """Return the weights of the plan's backbone, as `weights_of` does."""
    return weights_of(plan.backbone, size, plan.weights)


def weights_of(name: str, size: int | None, chosen: str) -> str:
    """Return *chosen*; or, if it is ``"random"``, the file of topwork's random weights: both sides load the same bits.

    The random weights are made in another process, so that this process stays small: the measured memory of its child
    processes includes its own.
    """
    if chosen != "random":
        return chosen
    with ProcessPoolExecutor(1, get_context("spawn")) as beside:
        return str(beside.submit(weights_file, Backbone(name, "random", size)).result())


def _warm_up(task: Task, split: Split, scratch: Path) -> None:
    """Run each command once, so that the files of Python and the libraries are in memory, and compiled to bytecode."""
    short = replace(task, epochs=1)
    for name in ("plain.py", "by_hand.py"):
        script(name, short, split)
    trained(short, split, scratch / "warm", _run(scratch), *in_epochs(short))
    shutil.rmtree(scratch / "warm")


def _round(task: Task, split: Split, scratch: Path, name: str) -> dict[str, Outcome]:
    home = _home(scratch)

    def without_store() -> Outcome:
        shutil.rmtree(home / "store")
        return trained(task, split, home, _run(scratch))

    sides = {
        PLAIN: lambda: script("plain.py", task, split),
        FIRST: lambda: trained(task, split, home, _run(scratch)),
        CACHED: lambda: script("plain.py", task, split, "--cache"),
        CONVERTED: without_store,
        BY_HAND: lambda: script("by_hand.py", task, split),
        FILLED: lambda: trained(task, split, home, _run(scratch)),
        IMPORT: _imported,
        ITERATED: lambda: trained(task, split, home, _run(scratch), *in_epochs(task)),
    }
    return {side: _told(f"{name}: {side}", command()) for side, command in sides.items()}


def _imported() -> Outcome:
    """Import Keras with TensorFlow, which every script does first."""
    done = run([sys.executable, "-c", "import keras"])
    return Outcome(done.seconds, {}, done.largest, done.together, {})


def _note(found: Comparison, split: Split) -> None:
    """Keep the answers of the last round; for topwork, those of the first of its three runs."""
    for side in (PLAIN, CACHED, BY_HAND, FIRST, ITERATED):
        named = TOPWORK if side == FIRST else side
        found.answers[named][split.seed, split.fold] = found.rounds[-1][side].answers


def _test(task: Task, split: Split, scratch: Path, found: Comparison) -> None:
    """Train on a fold to get its accuracy, unless a timing round did so already."""
    where = split.seed, split.fold
    if where not in found.answers[TOPWORK]:
        outcome = trained(task, split, _home(scratch), _run(scratch))
        found.answers[TOPWORK][where] = _told(f"{split.name}: topwork", outcome).answers
        outcome = trained(task, split, _home(scratch), _run(scratch), *in_epochs(task))
        found.answers[ITERATED][where] = _told(f"{split.name}: topwork, head in epochs", outcome).answers
    wanted = found.plan.plain_folds is None or split.fold < found.plan.plain_folds
    if wanted and where not in found.answers[PLAIN]:
        found.answers[PLAIN][where] = _told(f"{split.name}: plain", script("plain.py", task, split)).answers


def _told(name: str, outcome: Outcome) -> Outcome:
    right = list(outcome.answers.values())
    accuracy = f", test accuracy {sum(right) / len(right):.3f}" if right else ""
    say(f"{name}: {outcome.whole:.1f} s{accuracy}")
    return outcome


def _home(scratch: Path) -> Path:
    return scratch / "home"


def _run(scratch: Path) -> Path:
    """Return the path for a new run folder."""
    (scratch / "runs").mkdir(exist_ok=True)
    return scratch / "runs" / str(len(list((scratch / "runs").iterdir())))
