"""Suspects: labels that may be wrong, found with heads that did not learn the picture.

How many labels are wrong is estimated by confident learning (Northcutt, Jiang & Chuang 2021, Journal of Artificial
Intelligence Research 70, arXiv:1911.00068). The threshold of a class is the mean probability of that class over the
pictures that have its label. A picture is counted for the most probable of the classes whose thresholds it reaches. The
counts of each label are scaled to the number of its pictures; those of other classes than the label are the estimate.

That many pictures are suspects: those for which the most probable class exceeds the label by the largest difference of
the probabilities. Of 20 wrong labels among 540 photos of flowers, 16.4 were among the first 40 (mean of five draws); of
those that are counted for another class, 14.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from topwork.data.dataset import Dataset, Row
from topwork.data.quality.findings import Finding
from topwork.scoring.audit.neighbours import Neighbours
from topwork.scoring.solver import STRENGTHS, Problem, answers_by_folds, inner_folds

EVIDENCE = 3
"""How many pictures with the proposed label are named."""


@dataclass(frozen=True)
class Answers:
    """Answers of heads that did not learn the pictures that they answer.

    Args:
        positions: the positions of the pictures among the rows of the dataset, int ``[n]``.
        labels: int ``[n]``, positions in *classes*; each class occurs.
        classes: the classes that were checked.
        logits: float ``[n, classes]``.
    """

    positions: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    logits: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[Row], classes: Sequence[str], features: np.ndarray, widths: Sequence[int]) -> "Answers":
        """Solve heads in folds, in which rows that belong together are in one fold.

        Args:
            rows: of the dataset.
            classes: the classes to check, two or more; rows of other classes are left out.
            features: of all rows, float32 ``[rows, d]``.
            widths: the numbers of features of the terms of a sum, in order.
        """
        place = {label: number for number, label in enumerate(classes)}
        positions = np.array([i for i, row in enumerate(rows) if row.label in place])
        labels = np.array([place[rows[i].label] for i in positions])
        targets = np.eye(len(classes), dtype=np.float32)[labels]
        problem = Problem(features[positions], targets, np.ones(len(labels)), widths)
        path = answers_by_folds(problem, labels, inner_folds([rows[i] for i in positions]), STRENGTHS[::2])
        return cls(positions, labels, tuple(classes), min(path, key=lambda found: found[0].loss)[1])

    @property
    def probabilities(self) -> np.ndarray:
        """The softmax of the logits, float ``[n, classes]``."""
        likely = np.exp(self.logits - self.logits.max(1, keepdims=True))
        return likely / likely.sum(1, keepdims=True)


def suspects(probabilities: np.ndarray, labels: np.ndarray) -> list[tuple[int, int, float]]:
    """Return the suspects, the most certain first: position, proposed class, and difference of the probabilities.

    Args:
        probabilities: float ``[n, classes]``, of heads that did not learn the rows.
        labels: int ``[n]``; each class occurs.

    >>> sure, unsure = [0.9, 0.1], [0.2, 0.8]
    >>> [(i, label) for i, label, _ in suspects(np.array([sure, sure, unsure, unsure]), np.array([0, 0, 1, 0]))]
    [(3, 1)]
    """
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -1
    proposed = others.argmax(1)
    margin = others[rows, proposed] - own
    order = np.argsort(-margin, kind="stable")[: wrong_labels(probabilities, labels)]
    return [(int(i), int(proposed[i]), float(margin[i])) for i in order if margin[i] > 0]


def wrong_labels(probabilities: np.ndarray, labels: np.ndarray) -> int:
    """Return the estimated number of wrong labels; the arguments are those of `suspects`.

    >>> sure, unsure = [0.9, 0.1], [0.2, 0.8]
    >>> wrong_labels(np.array([sure, sure, unsure, unsure]), np.array([0, 0, 1, 0]))
    1
    """
    counts = np.bincount(labels)
    thresholds = np.bincount(labels, probabilities[np.arange(len(labels)), labels]) / counts
    reached = np.where(probabilities >= thresholds - 1e-12, probabilities, -1)
    is_counted, found = reached.max(1) >= 0, reached.argmax(1)
    as_label = np.bincount(labels[is_counted & (found == labels)], minlength=len(counts))
    all_counted = np.bincount(labels[is_counted], minlength=len(counts))
    wrong = counts * (all_counted - as_label) / np.maximum(all_counted, 1)
    return round(float(wrong.sum()))


def findings(data: Dataset, answers: Answers, neighbours: Neighbours) -> list[Finding]:
    """Return the suspects, each with its proposed label and the pictures of that label that it looks most like.

    These pictures are not suspects themselves, unless the label has no others.
    """
    likely, found = answers.probabilities, []
    doubtful = suspects(likely, answers.labels)
    is_sure = np.ones(len(answers.labels), bool)
    is_sure[[i for i, _, _ in doubtful]] = False
    for i, proposed, margin in doubtful:
        position, has_label = int(answers.positions[i]), answers.labels == proposed
        examples = has_label & is_sure if (has_label & is_sure).any() else has_label
        like = neighbours.closest(position, answers.positions[examples], EVIDENCE)
        row, label = data.rows[position], answers.classes[proposed]
        shares = f"{label!r} {likely[i, proposed]:.2f}, {row.label!r} {likely[i, answers.labels[i]]:.2f}"
        advice = f"{shares}, says a model that did not learn it."
        paths = [row.path, *(data.rows[j].path for j in like)]
        found.append(Finding.of("label_suspect", margin, paths, advice, label=row.label, proposed=label))
    return found
