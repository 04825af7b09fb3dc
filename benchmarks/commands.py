"""The commands that are compared, and the figures that each one reports."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.folds import Split
from benchmarks.process import Finished, run, topwork
from benchmarks.stats import Answers, answered
from topwork.networks.backbones import catalogue

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Task:
    """The task of all commands.

    Args:
        backbone: its name; weights: ``"imagenet"`` or a file.
        size: side of the pictures in pixels.
        epochs: how many.
        network: if Keras does not have the backbone, a ``.keras`` file for the scripts that includes the pixel scale.
    """

    backbone: str
    weights: str
    size: int
    epochs: int
    network: str = ""


@dataclass(frozen=True)
class Outcome:
    """The figures of one command, from its cold start to its end.

    Args:
        whole: the seconds of the command by our clock, without the work that is needed only for this comparison.
        seconds: the seconds of the command's own phases, by name.
        largest: the peak memory of the command's largest process, in bytes.
        together: the peak memory of all its processes together, in bytes, sampled; ``None`` if it cannot be measured.
        answers: for each test picture, whether the answer was right.
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


def in_epochs(task: Task) -> tuple[str, ...]:
    """Return the options with which topwork trains the head in epochs, as many as the scripts."""
    return "--epochs", str(task.epochs), "--set", "phase.1.patience=0"


def trained(task: Task, split: Split, home: Path, out: Path, *options: str) -> Outcome:
    """Run ``topwork train`` with its store and trunks in *home* and its run folder at *out*: it solves the head."""
    words = ["--cut", f"{task.backbone}@pool", "--weights", task.weights, "--size", str(task.size)]
    words += ["--set", f"training.seed={split.seed}", *options]
    done = topwork(home, "train", split.csv, *words, "--out", out, "--json")
    told = json.loads(done.output)
    if told["pictures"] != split.data.counts():
        raise ValueError(f"topwork trained on other parts than it was given: {told['pictures']}, {split.data.counts()}")
    right = answered(out)
    _check(right, split, told["accuracy"]["value"])
    return _outcome(done, done.seconds, dict(told.get("cost", {})), right)


def _outcome(done: Finished, whole: float, seconds: dict[str, Any], right: Answers) -> Outcome:
    return Outcome(whole, {k: v or 0.0 for k, v in seconds.items()}, done.largest, done.together, right)


def _check(right: Answers, split: Split, accuracy: float) -> None:
    """Check that the answers are for pictures of the test part, and agree with the accuracy that the side reported.

    Raises:
        ValueError: one of these two is not the case.
    """
    asked = {row.path for row in split.data.part("test")}
    if not right.keys() <= asked or abs(sum(right.values()) / len(right) - accuracy) > 1e-4:
        raise ValueError(f"answers that cannot be: {len(right)} of {len(asked)} pictures, accuracy {accuracy}")
