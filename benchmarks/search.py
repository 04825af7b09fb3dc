"""What a search finds within its time, against the solved head and two fixed recipes; and whether it keeps the time.

Each command starts from cold and is timed as a whole. The fixed recipes are two phases, as in the articles (the head,
then layers above a place at 1e-5), and everything opened at 1e-4, both with the default network.
"""

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.draw import draw
from benchmarks.process import run
from benchmarks.stats import Answers, answered
from topwork.data.sample import digits
from topwork.networks.weights import official
from topwork.system.messages import say

PLACES = {"two phases": ("block6a_project_bn", 1e-5), "all opened": ("input", 1e-4)}
"""For each fixed recipe, the place above which the default network is trained, and the learning rate."""

EPOCHS = 25
TOLERANCE = 0.1, 20.0
"""A search may exceed its time by this share, or by these seconds, whichever is more."""


@dataclass(frozen=True)
class Plan:
    """What to search.

    Args:
        data: a folder of pictures; by default, drawings.
        mnist: a folder with idx files of MNIST; ``None``: it is not searched.
        minutes: for each of digits, MNIST and pictures.
        seeds: how many splits and seeds.
        fixed: whether the fixed recipes are trained, too, which takes long.
        sizes: the sides of the pictures of digits, MNIST and pictures, in pixels; ``None``: the network's.
    """

    data: Path | None = None
    mnist: Path | None = None
    minutes: tuple[float, float, float] = (3, 5, 3)
    seeds: int = 3
    fixed: bool = False
    sizes: tuple[int | None, int | None, int | None] = (64, 84, None)
    pictures: int = 500
    weights: str | None = None

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, minutes=(0.5, 0.5, 0.5), seeds=1, sizes=(32, 32, 32), pictures=60, weights="random")


@dataclass
class Found:
    """The runs of one way on one dataset: their answers, and how long each command took."""

    answers: list[Answers] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


Measured = dict[str, dict[str, Found]]
"""The runs, by dataset and way."""


def measure(plan: Plan, scratch: Path) -> Measured:
    """Measure. All files are written below *scratch*."""
    digits(scratch / "digits")
    tasks: dict[str, tuple[Path, list[str]]] = {"digits": (scratch / "digits", [])}
    if plan.mnist:
        tasks["MNIST"] = plan.mnist, ["--set", "data.split=[0.64, 0.16, 0.2]"]
    tasks["pictures"] = plan.data or draw(scratch / "drawn", plan.pictures), []
    limits = dict(zip(("digits", "MNIST", "pictures"), zip(plan.minutes, plan.sizes)))
    found: Measured = {}
    for task, (data, split) in tasks.items():
        minutes, size = limits[task]
        common = [str(data), *split, *(["--size", str(size)] if size else [])]
        found[task] = {}
        for way, words in _ways(plan, minutes).items():
            found[task][way] = Found()
            for seed in range(plan.seeds):
                out = scratch / "runs" / f"{task} {way} {seed}"
                seeds = ["--set", f"data.seed={seed}", "--set", f"training.seed={seed}"]
                command = [*common, *words, *seeds, "--out", str(out), "--json"]
                ended = run([sys.executable, "-m", "topwork", "train", *command], TOPWORK_HOME=str(scratch / "home"))
                found[task][way].seconds.append(ended.seconds)
                found[task][way].answers.append(answered(out))
                say(f"{task}, {way}, seed {seed}: {json.loads(ended.output)['accuracy']['value']:.3f}")
    return found


def _ways(plan: Plan, minutes: float) -> dict[str, list[str]]:
    weights = ["--weights", plan.weights] if plan.weights else []
    name = official.DEFAULT
    search = ["--minutes", str(minutes)]
    if plan.weights == "random":
        search += ["--cut", f"{name}@pool", "--cut", f"{name}@block6d_add"]
    ways = {"search": [*search, *weights], "head": ["--cut", f"{name}@pool", *weights]}
    for way, (place, rate) in PLACES.items() if plan.fixed else ():
        opened = ["--cut", f"{name}@{place}", "--epochs", str(EPOCHS), "--learning-rate", str(rate)]
        ways[way] = [*opened, *weights]
    return ways


def kept(seconds: list[float], minutes: float) -> str:
    """Return how many searches ended in time, with `TOLERANCE`.

    >>> kept([60.0, 79.0, 81.0], 1.0)
    '2 of 3'
    """
    limit = 60 * minutes + max(TOLERANCE[0] * 60 * minutes, TOLERANCE[1])
    return f"{sum(each <= limit for each in seconds)} of {len(seconds)}"
