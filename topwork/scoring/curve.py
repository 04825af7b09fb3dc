"""The learning curve: would more pictures help?

A linear head is solved on growing shares of the training part, and each is measured on all other pictures. The
activations are computed once, and a head takes a fraction of a second, so that the answer is nearly free.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from topwork.data import splits
from topwork.data.dataset import Dataset, LeftOut, Row
from topwork.data.readers import read
from topwork.errors import DatasetError
from topwork.runs.scores import Rate
from topwork.scoring import intervals
from topwork.scoring.drawing import Pencil
from topwork.scoring.solver import Problem, by_folds, inner_folds
from topwork.store.examples import StoredActivations, features
from topwork.store.extract import asked, fill_all, requested
from topwork.store.request import Request
from topwork.system.keras_settings import ours
from topwork.system.messages import Bar, counted, with_progress

SHARES = (0.1, 0.25, 0.5, 1.0)
"""The shares of the training part that heads are solved on."""

DRAWS = 3
"""How many times each share is drawn."""

LONG = 2_000_000
"""With more numbers than this in the training features, a bar is shown."""

RULE_OF_THREE = 3.0
"""If none of n pictures changed, the 95 % limit of the share that may change is this number divided by n."""


@dataclass(frozen=True)
class Share:
    """The accuracy with a share of the training part.

    Args:
        share: the share.
        pictures: the number of training pictures, on average over the draws.
        accuracy: the mean accuracy over the draws, with Wilson's 95 % interval for the number of measured pictures.
        draws: the accuracy of each draw.
    """

    share: float
    pictures: int
    accuracy: Rate
    draws: tuple[float, ...]

    def __repr__(self) -> str:
        return f"<Share: {self.pictures:,} training pictures, accuracy {self.accuracy}>"


@dataclass(frozen=True)
class Curve:
    """A learning curve.

    Args:
        cut: the cut whose activations were used.
        shares: the accuracy per share, from the smallest.
        measured: the number of pictures on which the accuracy was measured.
        gain: the gain in accuracy from half of the training part to all of it, with a 95 % interval over the pictures.
        left_out: the pictures that were skipped, because they cannot be read.
    """

    cut: str
    shares: tuple[Share, ...]
    measured: int
    gain: Rate
    left_out: tuple[LeftOut, ...] = ()

    def __repr__(self) -> str:
        return f"<Curve: {self.cut}. {self.text}>"

    @property
    def text(self) -> str:
        """One sentence: would more pictures help?"""
        half, whole = self.shares[-2].pictures, self.shares[-1].pictures
        which = f"from {half:,} to {counted(whole, 'training picture')}, the accuracy"
        gain, low, high = self.gain.value, self.gain.low, self.gain.high
        if low > 0:
            return f"More pictures would help: {which} rose by {gain:.3f} ({low:.3f} to {high:.3f})."
        changed = f"{which} changed by {gain:+.3f} ({low:+.3f} to {high:+.3f})"
        if high < 0.02:
            return f"More pictures of this kind would hardly help: {changed}."
        return f"{counted(self.measured, 'picture')} cannot tell whether more pictures would help: {changed}."


@ours()
@with_progress
def curve(
    data: Any,
    cut: str | None = None,
    *,
    weights: str = "imagenet",
    size: int | None = None,
    plot: str | Path | None = None,
    seed: int = 0,
    jobs: int | None = None,
    progress: bool = True,  # noqa: ARG001
) -> Curve:
    """Measure how the accuracy grows with the number of training pictures.

    For each of four shares of the training part (a tenth, a quarter, a half, all), three draws are made, in which a
    linear head is solved on the activations at the cut. The accuracy is measured on the validation and the test part
    together. Nothing is chosen by it.

    Args:
        data: a dataset from `topwork.read`, or anything that it accepts.
        cut: the cut whose activations are used. By default, ``pool`` of the default network.
        weights, size: used for all backbones; see `topwork.Backbone`.
        plot: a PNG file to draw the curve in.
        seed: the seed for drawing the shares.
        jobs: the number of processors to use.
        progress: whether to show progress bars and messages.

    Raises:
        UnknownBackbone, CutError: there is no backbone or place with that name.
        WeightsError: weights are not on this machine and cannot be downloaded.
        DatasetError: there is no picture outside the training part, or a class has fewer than two in it.

    Example:
        >>> import topwork as tw
        >>> found = tw.curve("flowers/")  # doctest: +SKIP
        >>> found.shares[-1].accuracy, found.text  # doctest: +SKIP
    """
    parsed, backbones = asked(cut, weights, size)
    rows = data if isinstance(data, Dataset) else read(data)
    return measured(rows, fill_all(requested(rows, parsed, backbones), jobs), Path(plot) if plot else None, seed)


def measured(rows: Dataset, requests: Sequence[Request], plot: Path | None = None, seed: int = 0) -> Curve:
    """Measure the curve; see `curve`.

    Args:
        rows: the dataset.
        requests: one per term of the cut; their activations are stored.
        plot: a PNG file to draw the curve in.
        seed: the seed for drawing the shares.
    """
    with StoredActivations(requests) as stored:
        rows = rows.without(stored.failures())
        train = rows.part("train")
        others = [*rows.part("val"), *rows.part("test")]
        _refuse(train, others, rows.classes)
        values, tested, widths = features(stored, train), features(stored, others), stored.widths()
    with Pencil() if plot else nullcontext() as pencil:
        cut = " + ".join(str(one.term) for one in requests)
        found = _measured(cut, rows, values, tested, widths, seed)
        if plot and pencil:
            pencil.draw("charts.learning_curve", plot, [asdict(one) for one in found.shares], found.cut)
    return found


def _measured(
    cut: str, rows: Dataset, values: np.ndarray, tested: np.ndarray, widths: Sequence[int], seed: int
) -> Curve:
    """Solve a head for each draw of each share.

    *values* are the features of the training part, *tested* those of all other pictures, *widths* the numbers of
    features of the terms.
    """
    train, others = rows.part("train"), [*rows.part("val"), *rows.part("test")]
    place = {label: number for number, label in enumerate(rows.classes)}
    labels, answers = (np.array([place[row.label] for row in some]) for some in (train, others))
    right: dict[float, list[np.ndarray]] = {share: [] for share in SHARES}
    sizes: dict[float, list[int]] = {share: [] for share in SHARES}
    bar, total, done = Bar("curve"), DRAWS * (len(SHARES) - 1) + 1, 0
    with bar if values.size > LONG else nullcontext():
        for share in SHARES:
            for number in range(DRAWS if share < 1 else 1):  # all draws of the complete part are equal
                bar.update(done, total, "solving")
                done += 1
                taken = drawn(train, share, f"{seed} {number}")
                targets = np.eye(len(place), dtype=np.float32)[labels[taken]]
                problem = Problem(values[taken], targets, np.ones(len(taken)), widths)
                folds = inner_folds([train[i] for i in taken])
                l2 = min(by_folds(problem, labels[taken], folds), key=lambda trial: trial.loss).l2
                head = problem.head(problem.solve(l2), batch_norm=True)
                right[share].append(head.logits(tested).argmax(1) == answers)
                sizes[share].append(len(taken))
    points = []
    for share, some in right.items():
        mean = float(np.mean(some))
        rate = Rate(mean, *intervals.wilson(mean, len(others)))
        points.append(Share(share, round(np.mean(sizes[share])), rate, tuple(float(one.mean()) for one in some)))
    return Curve(cut, tuple(points), len(others), _gain(right[0.5], right[1.0]), rows.left_out)


def drawn(rows: Sequence[Row], share: float, seed: str) -> np.ndarray:
    """Return the positions of a share of the rows, drawn class by class; rows that belong together stay together.

    A smaller share of the same seed is part of a larger one. Each class keeps at least two rows that are independent.

    >>> rows = [Row(f"{i}.png", str(i), "ab"[i % 2]) for i in range(40)]
    >>> len(drawn(rows, 0.1, "0")), set(drawn(rows, 0.1, "0")) <= set(drawn(rows, 0.25, "0"))
    (4, True)
    """
    by_label: dict[str, list[splits.Unit]] = {}
    units = splits.units_of(tuple(rows))
    for unit in sorted(units, key=lambda unit: sha256(f"{seed} {rows[unit[0]].content}".encode()).digest()):
        by_label.setdefault(rows[unit[0]].label, []).append(unit)
    taken = [unit for some in by_label.values() for unit in some[: max(2, ceil(share * len(some)))]]
    return np.sort(np.concatenate(taken))


def _gain(half: Sequence[np.ndarray], whole: Sequence[np.ndarray]) -> Rate:
    """Return the gain in accuracy, with an interval over the pictures (paired, normal).

    If no answer changed, the variance is zero. Of *n* pictures, up to ``3 / n`` may then still change (Hanley &
    Lippman-Hand 1983, JAMA).
    """
    each = np.mean(whole, 0) - np.mean(half, 0)
    mean, error = float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))
    around = max(intervals.Z * error, RULE_OF_THREE / len(each))
    return Rate(mean, mean - around, mean + around)


def _refuse(train: Sequence[Row], others: Sequence[Row], classes: Sequence[str]) -> None:
    if len(others) < 2:
        raise DatasetError(
            f"{counted(len(others), 'picture')} outside the training part: the accuracy is measured on these, and at "
            "least 2 were expected."
        )
    if len(classes) < 2:
        raise DatasetError("a curve needs at least two classes among the pictures that can be read: add pictures.")
    for label in classes:
        has = sum(row.label == label for row in train)
        if has < 2:
            raise DatasetError(f"the class {label!r} has {counted(has, 'picture')} in the training part: expected 2.")
