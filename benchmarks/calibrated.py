"""How well probabilities are calibrated, in a cross-validation, with and without the temperature of each fold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.draw import draw
from benchmarks.machine import measured_on
from benchmarks.process import topwork
from benchmarks.report import table
from topwork.networks.fusion import softmax
from topwork.runs.folder import Folder, folds_in
from topwork.runs.predictions import Exam
from topwork.scoring.metrics import losses
from topwork.scoring.report.answers import Answered
from topwork.system.messages import say

SOLVED, ITERATED = "solved", "in epochs"


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Args:
        data: a folder with one folder per class; if ``None``, pictures are drawn.
        pictures: how many are drawn.
        backbones: the networks, cut at ``pool``.
        weights: ``"imagenet"`` or ``"random"``.
        folds: how many.
    """

    data: Path | None = None
    pictures: int = 500
    backbones: Sequence[str] = ("efficientnet_lite0", "mobilenet_v2_035", "mobilenet_025")
    weights: str = "random"
    folds: int = 5

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, backbones=["mobilenet_025"], folds=2)


@dataclass(frozen=True)
class Measured:
    """What a cross-validation gave.

    Args:
        what: the network, and how the head was trained.
        temperatures: of the folds.
        loss, error: the test loss and the expected calibration error of all folds together, without and with the
            temperature.
    """

    what: str
    temperatures: list[float]
    loss: tuple[float, float]
    error: tuple[float, float]


def measure(plan: Plan, scratch: Path) -> list[Measured]:
    """Measure. All files are written below *scratch*."""
    folder = plan.data or draw(scratch / "drawn", plan.pictures)
    found = []
    for backbone in plan.backbones:
        for head, options in {SOLVED: [], ITERATED: ["--epochs", "25"]}.items():
            out = scratch / f"{backbone}-{head}".replace(" ", "-")
            words = ["train", folder, "--cut", f"{backbone}@pool", "--weights", plan.weights, *options]
            topwork(scratch / "home", *words, "--folds", plan.folds, "--no-final", "--out", out)
            found.append(_measured(f"`{backbone}@pool`, head {head}", out))
            say(f"{found[-1].what}: calibration error {found[-1].error[0]:.3f}, {found[-1].error[1]:.3f}")
    return found


def _measured(what: str, path: Path) -> Measured:
    """Undo the temperature of each fold, and measure both."""
    temperatures, before, after, rows = [], [], [], []
    classes: Sequence[str] = ()
    for fold in map(Folder, folds_in(path)):
        exam = Exam.of(fold)
        temperatures.append(fold.results.temperature)
        after.append(exam.probabilities)
        logits = np.log(np.maximum(exam.probabilities, np.finfo(float).tiny))
        before.append(softmax(logits * temperatures[-1]))
        rows += exam.rows
        classes = exam.classes
    sides = [Answered(rows, np.concatenate(some), classes) for some in (before, after)]
    loss = [float(losses(side.labels, side.probabilities).mean()) for side in sides]
    error = [side.calibration()[1] for side in sides]
    return Measured(what, temperatures, (loss[0], loss[1]), (error[0], error[1]))


def calibrated_table(plan: Plan, found: Sequence[Measured], command: str) -> str:
    """Return the table."""
    rows = [
        [
            one.what,
            " ".join(f"{temperature:.2f}" for temperature in one.temperatures),
            *(f"{value:.3f}" for value in (*one.loss, *one.error)),
        ]
        for one in found
    ]
    what = f"the photos of {plan.data.name}" if plan.data else f"{plan.pictures:,} drawn photos"
    about = f"{plan.folds} folds of {what}, {plan.weights} weights; error: expected calibration error of all folds."
    heads = ("network", "temperatures", "loss without", "loss with", "error without", "error with")
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(heads, rows)])
