"""Compare an epoch above an early cut: the plain script, and ``topwork train`` with a filled store.

On both sides, two epochs are run and the second is timed, because TensorFlow traces in the first. The time includes
validation; on topwork's side, it also includes the scores of a training sample. The plain script runs twice: once as it
is, and once with all that topwork changes except the cut: batch-norm frozen, the same precision, oneDNN switched on.
"""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.draw import draw
from benchmarks.folds import Split, splits
from benchmarks.frozen import weights
from benchmarks.process import run, topwork
from topwork.data.readers import read
from topwork.networks.backbones import catalogue
from topwork.system import keras_backend
from topwork.system.messages import say

HERE = Path(__file__).parent
EPOCHS = 2


@dataclass(frozen=True)
class Plan:
    """What to compare.

    Args:
        backbone: its name; frozen: how many of its layers are frozen.
        size: side of the pictures in pixels; by default the backbone's own.
        pictures: how many pictures are drawn.
        data: a folder with pictures to use instead of drawn ones.
        weights: ``"imagenet"`` or ``"random"``.
        rounds: how often each side is timed. Each round times all sides in turn, because a machine's speed drifts.
    """

    backbone: str = "inception_v3"
    frozen: int = 249
    size: int | None = None
    pictures: int = 2000
    data: Path | None = None
    weights: str = "random"
    rounds: int = 1

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, size=self.size or 96)


@dataclass(frozen=True)
class Measured:
    """For each side, the seconds of an epoch in each round.

    *pictures* is the number of training pictures; *precision* is the one that topwork chose.
    """

    plan: Plan
    pictures: int
    precision: str
    plain: list[float]
    plain_equal: list[float]
    topwork: list[float]
    topwork_float32: list[float]


def measure(plan: Plan, scratch: Path) -> Measured:
    """Measure. All files are written below *scratch*."""
    data = read(plan.data or draw(scratch / "drawn", plan.pictures), decode=True)
    split = splits(data, 1, 5, scratch / "splits")[0]
    found = Measured(plan, len(split.data.part("train")), "", [], [], [], [])
    for number in range(plan.rounds):
        (scratch / str(number)).mkdir()
        found = _round(found, split, scratch / str(number), scratch / "home")
    return found


def _round(found: Measured, split: Split, scratch: Path, home: Path) -> Measured:
    """Time each side once. In the first round, topwork measures which precision to use, and keeps it in *home*."""
    plan = found.plan
    size = plan.size or catalogue.record(plan.backbone).size
    file = weights(plan, size)
    ours, chosen = _trained(plan, split, file, size, scratch, home, "auto")
    found.topwork.append(ours)
    found.plain.append(_plain(plan, split, file, size))
    wide = ours if chosen == "float32" else _trained(plan, split, file, size, scratch, home, "float32")[0]
    found.topwork_float32.append(wide)
    policy = "float32" if chosen == "float32" else f"mixed_{chosen}"
    equal = ["--precision", policy, "--freeze-batch-norm"]
    found.plain_equal.append(_plain(plan, split, file, size, *equal, **{keras_backend.ONEDNN: keras_backend.onednn()}))
    return replace(found, precision=chosen)


def _plain(plan: Plan, split: Split, file: str, size: int, *options: str, **environment: str) -> float:
    entry = catalogue.record(plan.backbone)
    words = ["--weights", file, "--builder", entry.builder, "--module", entry.module, "--size", str(size)]
    words += ["--frozen", str(plan.frozen), "--epochs", str(EPOCHS), *options]
    done = run([sys.executable, str(HERE / "plain_deep.py"), str(split.folder), *words], **environment)
    seconds = json.loads(done.output.splitlines()[-1])["epochs"][-1]
    say(f"plain {' '.join(options)}: {seconds:.1f} s an epoch")
    return seconds


def _trained(
    plan: Plan, split: Split, file: str, size: int, scratch: Path, home: Path, precision: str
) -> tuple[float, str]:
    out = scratch / f"run-{precision}"
    words = [
        "--cut",
        f"{plan.backbone}@{plan.frozen}",
        "--weights",
        file,
        "--size",
        str(size),
        "--learning-rate",
        "1e-5",
    ]
    words += ["--no-head-first", "--epochs", str(EPOCHS), "--set", f"phase.1.precision={precision}", "--out", str(out)]
    topwork(home, "train", split.csv, *words)
    last = json.loads((out / "journal.jsonl").read_text().splitlines()[-1])
    say(f"topwork, {last['precision']}: {last['seconds']:.1f} s an epoch")
    return last["seconds"], last["precision"]
