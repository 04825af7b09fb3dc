"""What the answers on the test part show: the confusion matrix, mistakes, calibration, and what abstaining gains."""

from collections.abc import Sequence

import numpy as np

from topwork.data.dataset import Row
from topwork.runs.scores import Rate
from topwork.scoring.intervals import wilson
from topwork.scoring.report.summary import Bin, Cell, Coverage, Shown
from topwork.system.messages import counted

CLASSES = 30
"""The confusion matrix shows at most this many classes: those with the most mistakes."""

EACH, ALL = 8, 600
"""A cell shows at most so many of its answers, all cells together about so many; a cell of right answers, half as many
as others."""

MISTAKES, UNSURE = 24, 16
"""How many of the surest mistakes and of the least sure right answers are shown."""

BINS, IN_A_BIN = 10, 10
"""The answers are divided by probability into at most this many bins, of at least so many answers."""

SURE = 0.9
"""An answer with a higher probability is not called unsure."""

SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""The shares of the pictures that are answered."""


class Answered:
    """The answers of a run.

    Args:
        rows: the test pictures.
        probabilities: float ``[rows, classes]``.
        classes: the classes.
    """

    def __init__(self, rows: Sequence[Row], probabilities: np.ndarray, classes: Sequence[str]) -> None:
        self.rows, self.probabilities, self.classes = rows, probabilities, classes
        place = {label: number for number, label in enumerate(classes)}
        self.labels = np.array([place[row.label] for row in rows])
        self.predicted = probabilities.argmax(1)
        self.sure = probabilities.max(1)
        self.right = self.predicted == self.labels

    def shown(self, positions: Sequence[int] | np.ndarray) -> list[Shown]:
        """Return some of the answers, for the report."""
        return [
            Shown(
                self.rows[i].path,
                self.rows[i].label,
                self.classes[self.predicted[i]],
                float(self.sure[i]),
                float(self.probabilities[i, self.labels[i]]),
            )
            for i in positions
        ]

    def mistakes(self) -> list[Shown]:
        """Return the surest mistakes."""
        wrong = np.flatnonzero(~self.right)
        return self.shown(wrong[np.argsort(-self.sure[wrong], kind="stable")][:MISTAKES])

    def wrong_paths(self) -> list[str]:
        """Return the paths of all mistakes."""
        return [row.path for row, is_right in zip(self.rows, self.right) if not is_right]

    def unsure(self) -> list[Shown]:
        """Return the least sure right answers."""
        right = np.flatnonzero(self.right & (self.sure <= SURE))
        return self.shown(right[np.argsort(self.sure[right], kind="stable")][:UNSURE])

    def confusion(self) -> tuple[list[str], list[Cell]]:
        """Return the classes of the confusion matrix, in their order, and its filled cells."""
        count = len(self.classes)
        mistakes = np.bincount(self.labels[~self.right], minlength=count)
        mistakes += np.bincount(self.predicted[~self.right], minlength=count)
        taken = np.sort(np.argsort(-mistakes, kind="stable")[:CLASSES])
        pairs, counts = np.unique(np.stack([self.labels, self.predicted], 1), axis=0, return_counts=True)
        shown = np.isin(pairs, taken).all(1)
        each = max(1, min(EACH, ALL // max(1, int(shown.sum()))))
        cells = []
        for (label, predicted), number in zip(pairs[shown].tolist(), counts[shown].tolist()):
            here = np.flatnonzero((self.labels == label) & (self.predicted == predicted))
            order = np.argsort(self.sure[here] if label == predicted else -self.sure[here], kind="stable")
            some = here[order][: max(1, each // 2) if label == predicted else each]
            cells.append(Cell(self.classes[label], self.classes[predicted], number, self.shown(some)))
        return [self.classes[i] for i in taken], cells

    def mixed_up(self) -> str:
        """Return a sentence on the two classes that are confused most, in either direction."""
        wrong = np.flatnonzero(~self.right)
        if not len(wrong):
            return ""
        pairs = np.sort(np.stack([self.labels[wrong], self.predicted[wrong]], 1), axis=1)
        found, counts = np.unique(pairs, axis=0, return_counts=True)
        one, other = (int(i) for i in found[counts.argmax()])
        mistakes = counted(len(wrong), "mistake")
        ways = []
        for label, answer in ((one, other), (other, one)):
            if number := int((self.labels[wrong] == label)[self.predicted[wrong] == answer].sum()):
                ways.append((number, f"{number:,} of {self.classes[label]!r} answered as {self.classes[answer]!r}"))
        told = ", ".join(text for _, text in sorted(ways, reverse=True))
        pair = f"{self.classes[one]!r} and {self.classes[other]!r}"
        return f"Most mixed up: {pair}, {counts.max():,} of the {mistakes} ({told})."

    def calibration(self) -> tuple[list[Bin], float]:
        """Return the answers by probability, and the expected calibration error.

        Each bin has about as many answers. The error is the mean of the distances between probability and accuracy,
        weighted by the number of answers (Guo et al. 2017, ICML, arXiv:1706.04599).
        """
        order = np.argsort(self.sure, kind="stable")
        bins, error = [], 0.0
        for here in np.array_split(order, max(1, min(BINS, len(order) // IN_A_BIN))):
            sure, accuracy = self.sure[here], float(self.right[here].mean())
            error += len(here) / len(order) * abs(float(sure.mean()) - accuracy)
            rate = Rate(accuracy, *wilson(accuracy, len(here)))
            bins.append(Bin(float(sure.min()), float(sure.max()), len(here), float(sure.mean()), rate))
        return bins, error

    def coverage(self) -> list[Coverage]:
        """Return the accuracy if only the surest answers are given."""
        order = np.argsort(-self.sure, kind="stable")
        found = []
        for share in SHARES:
            some = order[: max(1, round(share * len(order)))]
            accuracy = float(self.right[some].mean())
            rate = Rate(accuracy, *wilson(accuracy, len(some)))
            found.append(Coverage(share, float(self.sure[some].min()), rate))
        return found
