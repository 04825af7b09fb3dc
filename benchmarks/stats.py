"""Statistics over many runs: medians with their range, and accuracies and their differences with intervals."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from topwork.runs.scores import Rate
from topwork.scoring.metrics import share

Answers = Mapping[str, bool]
"""The answers of one run: for each test picture, whether the answer was right."""

DRAWS = 10_000
SEED = 0


def answered(run: Path) -> dict[str, bool]:
    """Read the answers for the test part from a run folder."""
    with (run / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return {row["path"]: row["label"] == row["predicted"] for row in csv.DictReader(file)}


@dataclass(frozen=True)
class Spread:
    """The median, smallest and largest of several measurements; ``nan`` if there are none.

    >>> f"{Spread.of([3.0, 1.0, 2.0]):.1f}"
    '2.0 (1.0–3.0)'
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Return the spread of the values, ignoring ``nan``."""
        known = [value for value in values if value == value]
        return cls(median(known), min(known), max(known)) if known else cls(*[float("nan")] * 3)

    def __format__(self, form: str) -> str:
        if self.median != self.median:
            return "–"
        return f"{self.median:{form}} ({self.low:{form}}–{self.high:{form}})"


def accuracy(runs: Sequence[Answers]) -> Rate:
    """Return the share of right answers, with Wilson's 95 % interval.

    The number of trials for the interval is the number of *different* pictures. More seeds test the same pictures
    again, and so do not narrow the interval.

    >>> found = accuracy([{"a": True, "b": True}, {"a": True, "b": False}])
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.75, 0.198, 0.973)
    """
    right = [answer for run in runs for answer in run.values()]
    pictures = {picture for run in runs for picture in run}
    return share(sum(right) / len(right) * len(pictures), len(pictures))  # type: ignore[arg-type]


def difference(a: Sequence[Answers], b: Sequence[Answers]) -> Rate:
    """Return the accuracy of *a* minus the accuracy of *b*, with a paired bootstrap 95 % interval.

    Each run of *a* is paired with the run of *b* on the same test pictures. The bootstrap draws pictures with
    replacement, each with all answers of both sides in every run (Efron and Tibshirani 1993, chapter 13: the percentile
    interval), so that runs that share pictures are not treated as independent.

    Args:
        a: the answers of each run; b: the answers of the runs on the same parts, in the same order.

    Raises:
        ValueError: the two runs of a pair tested different pictures.
    """
    gains, counts = _by_picture(a, b)
    value = gains.sum() / counts.sum()
    draw = np.random.default_rng(SEED)
    drawn = (draw.integers(len(gains), size=len(gains)) for _ in range(DRAWS))
    low, high = np.percentile([gains[rows].sum() / counts[rows].sum() for rows in drawn], [2.5, 97.5])
    return Rate(float(value), float(low), float(high))


def _by_picture(a: Sequence[Answers], b: Sequence[Answers]) -> tuple[np.ndarray, np.ndarray]:
    """Return two arrays with one number per picture.

    The first is how often *a* was right minus how often *b* was right; the second is in how many pairs of runs the
    picture was tested.
    """
    gains: dict[str, int] = defaultdict(int)
    counts: dict[str, int] = defaultdict(int)
    for one, other in zip(a, b, strict=True):
        if one.keys() != other.keys():
            raise ValueError(f"two runs tested different pictures: {sorted(one.keys() ^ other.keys())[:3]}")
        for picture in one:
            gains[picture] += one[picture] - other[picture]
            counts[picture] += 1
    return np.array(list(gains.values()), float), np.array(list(counts.values()), float)
