"""The commands that are compared, and what each of them tells when it ends."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.folds import Split
from benchmarks.process import Finished, run
from benchmarks.stats import Answers, answered
from topwork.networks.backbones import catalogue

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Task:
    """What all do: a backbone, its weights (``"imagenet"`` or a file), the pictures' side in pixels, the epochs.

    *network* is the backbone as a ``.keras`` file, pixel scale inside, for scripts where Keras has no such network.
    """

    backbone: str
    weights: str
    size: int
    epochs: int
    network: str = ""


@dataclass(frozen=True)
class Outcome:
    """One command, from cold to its end.

    Args:
        whole: seconds by our clock, less what the script did for this comparison alone.
        seconds: of its own phases, by name.
        largest: bytes, peak of its largest process; together: of all its processes, sampled.
        answers: its test pictures, right or not.
    """

    whole: float
    seconds: dict[str, float]
    largest: int
    together: int | None
    answers: Answers


def script(name: str, task: Task, split: Split, *options: str) -> Outcome:
    """Run ``plain.py`` or ``by_hand.py``."""
    entry = catalogue.record(task.backbone)
    words = ["--size", str(task.size), "--epochs", str(task.epochs), "--seed", str(split.seed), *options]
    if task.network:
        words += ["--network", task.network]
    else:
        words += ["--weights", task.weights, "--builder", entry.builder, "--module", entry.module]
        words += ["--alpha", str(entry.alpha)] if entry.alpha is not None else []
    done = run([sys.executable, str(HERE / name), str(split.folder), *words])
    told = json.loads(done.output.splitlines()[-1])
    _check(told["right"], split, told["accuracy"])
    seconds = told["seconds"]
    whole = done.seconds - seconds.pop("aside")
    return _outcome(done, whole, seconds, told["right"])


def topwork(task: Task, split: Split, home: Path, out: Path, *options: str) -> Outcome:
    """Run ``topwork train``, its store and trunks in *home*, its run folder at *out*."""
    words = ["--cut", f"{task.backbone}@pool", "--weights", task.weights, "--size", str(task.size)]
    words += [
        "--epochs",
        str(task.epochs),
        "--set",
        "phase.1.patience=0",
        "--set",
        f"training.seed={split.seed}",
        *options,
    ]
    command = [sys.executable, "-m", "topwork", "train", str(split.csv), *words, "--out", str(out), "--json"]
    done = run(command, TOPWORK_HOME=str(home))
    told = json.loads(done.output)
    if told["pictures"] != split.data.counts():
        raise ValueError(f"topwork trained on other parts than it was given: {told['pictures']}, {split.data.counts()}")
    right = answered(out)
    _check(right, split, told["accuracy"]["value"])
    return _outcome(done, done.seconds, dict(told.get("cost", {})), right)


def _outcome(done: Finished, whole: float, seconds: dict[str, Any], right: Answers) -> Outcome:
    return Outcome(whole, {k: v or 0.0 for k, v in seconds.items()}, done.largest, done.together, right)


def _check(right: Answers, split: Split, accuracy: float) -> None:
    """Refuse answers for other pictures than those of the test part, or that belie the side's own accuracy."""
    asked = {row.path for row in split.data.part("test")}
    if not right.keys() <= asked or abs(sum(right.values()) / len(right) - accuracy) > 1e-4:
        raise ValueError(f"answers that cannot be: {len(right)} of {len(asked)} pictures, accuracy {accuracy}")
