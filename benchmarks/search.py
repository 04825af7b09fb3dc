"""What a search finds within its time, against the solved head and two fixed recipes; and whether it keeps the time.

Each command starts from cold and is timed as a whole. The fixed recipes train until the same time is over, with the
default network: two phases, as in the articles, and plain Keras with everything opened (`benchmarks.fixed`).
"""

import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from PIL import Image

from benchmarks.draw import draw
from benchmarks.folds import Split, lay_out
from benchmarks.frozen import network_file
from benchmarks.process import run
from benchmarks.stats import Answers, answered
from topwork.data.readers import read
from topwork.data.reading.arrays import read_idx
from topwork.data.sample import digits
from topwork.networks.backbones import catalogue
from topwork.networks.weights import official
from topwork.recipes.settings import Backbone
from topwork.system.messages import say

PLACE = "block6a_project_bn"
"""The place of the default network above which the second of two phases trains."""

TASKS = ("digits", "MNIST", "pictures")
FIXED = Path(__file__).with_name("fixed.py")


@dataclass(frozen=True)
class Plan:
    """What to search.

    Args:
        data: a folder of pictures; by default, drawings.
        mnist: a folder with idx files of MNIST; ``None``: it is not searched.
        minutes: for each of digits, MNIST and pictures.
        seeds: how many splits and seeds.
        fixed: whether the fixed recipes are trained, too, which takes long.
        tasks: which of digits, MNIST and pictures are searched.
        sizes: the sides of the pictures of digits, MNIST and pictures, in pixels; ``None``: the network's.
    """

    data: Path | None = None
    mnist: Path | None = None
    minutes: tuple[float, float, float] = (3, 5, 3)
    seeds: int = 3
    fixed: bool = False
    tasks: tuple[str, ...] = TASKS
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
    sources: dict[str, tuple[Path, tuple[float, float, float]]] = {
        "digits": (digits(scratch / "digits"), (0.8, 0.1, 0.1))
    }
    if plan.mnist:
        sources["MNIST"] = _pictures(plan.mnist, scratch / "MNIST"), (0.64, 0.16, 0.2)
    sources["pictures"] = plan.data or draw(scratch / "drawn", plan.pictures), (0.6, 0.1, 0.3)  # for a narrow interval
    sources = {task: source for task, source in sources.items() if task in plan.tasks}
    limits = dict(zip(TASKS, zip(plan.minutes, plan.sizes)))
    found: Measured = {task: defaultdict(Found) for task in sources}
    for seed, (task, (source, shares)) in product(range(plan.seeds), sources.items()):
        minutes, size = limits[task]
        data = read(source, split=shares, seed=seed, decode=True)
        split = lay_out(data, [str(row.split) for row in data.rows], scratch / f"{task}-{seed}", seed)
        for way, command in ways(plan, minutes, size, split, scratch).items():
            ended = run([sys.executable, *command], TOPWORK_HOME=str(scratch / "home"))
            out = split.folder / way
            is_run = (out / "predictions.csv").exists()
            answers = answered(out) if is_run else json.loads(ended.output.splitlines()[-1])["right"]
            tested = answers if way == "search" else found[task]["search"].answers[-1]  # at most 2,000 of a test part
            found[task][way].seconds.append(ended.seconds)
            found[task][way].answers.append({path: right for path, right in answers.items() if path in tested})
            say(f"{task}, {way}, seed {seed}: {sum(answers.values()) / len(answers):.3f}, {ended.seconds:.0f} s")
    return found


def ways(plan: Plan, minutes: float, size: int | None, split: Split, scratch: Path) -> dict[str, list[str]]:
    """Return the commands to compare, each of which writes its run to a folder of its name."""
    name = official.DEFAULT
    weights = ["--weights", plan.weights] if plan.weights else []
    sized = ["--size", str(size)] if size else []
    train = ["-m", "topwork", "train", str(split.csv), *weights, *sized, "--set", f"training.seed={split.seed}"]
    search = [*train, "--minutes", str(minutes), "--out", str(split.folder / "search")]
    if plan.weights == "random":
        search += ["--cut", f"{name}@pool", "--cut", f"{name}@block6d_add"]
    head = [*train, "--cut", f"{name}@pool", "--out", str(split.folder / "head")]
    ways = {"search": search, "head": head}
    if plan.fixed:
        backbone = Backbone(name, plan.weights or "imagenet", size)
        file = network_file(backbone, scratch)
        common = ["--seconds", str(60 * minutes), "--size", str(catalogue.size(backbone)), "--seed", str(split.seed)]
        phases = ["--name", name, "--weights", backbone.weights, "--place", PLACE]
        phases += ["--out", str(split.folder / "two phases")]
        ways["two phases"] = [str(FIXED), str(split.folder), "two-phases", *common, *phases]
        ways["all opened"] = [str(FIXED), str(split.folder), "all-opened", *common, "--network", file]
    return ways


def _pictures(mnist: Path, folder: Path) -> Path:
    """Write the pictures of idx files into a folder per digit, so that Keras' own function reads the same data."""
    data = read_idx(str(mnist))
    assert data.pixels is not None
    for number, (row, pixels) in enumerate(zip(data.rows, data.pixels)):
        path = folder / row.label / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder
