"""The results of a run, as in ``results.json``: scores with intervals, the epochs kept, and the cost.

Each dataclass is one JSON object, and an attribute is the key of the same name: ``results.test.loss.high`` in Python is
``["test"]["loss"]["high"]`` in the file.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from topwork.runs.journal import Epoch
from topwork.system.records import Record


class FilledCells(TypedDict):
    """The cells of a confusion matrix that are not zero: ``[true, predicted, count]`` each, positions from 0."""

    shape: list[int]
    counts: list[list[int]]


Confusion = list[list[int]] | FilledCells
"""Counts, with true classes as rows and predicted ones as columns; beyond 100 classes only the filled cells."""

Average = Literal["precision", "recall", "f1"]


@dataclass(frozen=True)
class Rate(Record):
    """A value with its 95 % interval, which contains it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassScores(Record):
    """Scores of one class; ``None`` if there is no picture to compute one from."""

    precision: Rate | None
    recall: Rate | None
    f1: Rate | None
    support: int


@dataclass(frozen=True)
class MemberScores(Record):
    """Scores of one member of a join alone, on the pictures of the join's test; *run* is its folder."""

    run: str
    accuracy: Rate
    loss: Rate


@dataclass(frozen=True, kw_only=True)
class Scores(Record):
    """All scores of the predictions of one part.

    Args:
        pictures: how many were measured.
        accuracy: share of right answers.
        loss: unweighted cross-entropy, in nats.
        auc: area under the ROC curve (`topwork.scoring.metrics.auc`); ``None`` where all pictures are of one class.
        top_k: how often the true class is among the k likeliest, for k = 3 and 5, or the number of classes less one
            where that is smaller (nothing for two classes).
        macro: means over the classes that occur; one that is never predicted adds precision 0.
        classes: by label.
        confusion: counts.
        intervals: the method of each interval.
        members: of a join, the scores of each member.
    """

    pictures: int
    accuracy: Rate
    loss: Rate
    auc: Rate | None
    top_k: dict[str, Rate]
    macro: dict[Average, Rate]
    classes: dict[str, ClassScores]
    confusion: Confusion
    intervals: dict[str, str]
    members: list[MemberScores] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object, without ``members`` if there are none."""
        return {name: value for name, value in super().as_json().items() if name != "members" or value}


@dataclass(frozen=True, kw_only=True)
class AsStored(Record):
    """How bfloat16 trunks and float16 activations, used in training, differ from the exported model.

    Args:
        backbone: of the first trunk; precision: that it ran in; dtype: of its activations in the store.
        accuracy: of the test part, from the activations as they are stored.
        largest_difference, top1_agreement, disagreements: see `topwork.scoring.metrics.Agreement`.
    """

    backbone: str
    precision: str
    dtype: str | None
    accuracy: float
    largest_difference: float
    top1_agreement: float
    disagreements: int


@dataclass(frozen=True, kw_only=True)
class JoinResults(Record):
    """What was joined, and what the rule learned.

    Args:
        rule: of the join; members: the folders of its runs.
        weights: how much each member counts.
        val_pictures: how many the rule was fitted on.
        val_loss: of the rule (by its name), of the plain ``mean``, and of each of the ``members``; ``None`` without
            validation pictures.
    """

    rule: str
    members: list[str]
    weights: list[float]
    val_pictures: int
    val_loss: dict[str, float | list[float]] | None


@dataclass(frozen=True, kw_only=True)
class Results(Record):
    """The results of a run.

    Args:
        accuracy: of the test part; ``None`` without one.
        pictures: how many there are, by class and part.
        left_out: how many pictures could not be used.
        notes: sentences on the data and the scores.
        test: all scores of the test part; sample: how many of its pictures were measured, where these are not all.
        phases: the epoch that each phase kept (none of a join).
        as_stored: what the precision of training changes; ``None`` of a join, and without a test part.
        join: of a join, what its rule learned.
        cost: seconds of each part of the work, and in ``total``.
    """

    accuracy: Rate | None
    pictures: dict[str, dict[str, int]] = field(default_factory=dict)
    left_out: int = 0
    notes: list[str] = field(default_factory=list)
    test: Scores | None = None
    sample: int | None = None
    phases: list[Epoch] = field(default_factory=list)
    as_stored: AsStored | None = None
    join: JoinResults | None = None
    cost: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object, without keys that do not apply to this run."""
        has: dict[str, object] = {"test": self.test, "sample": self.test, "phases": self.phases}
        has |= {"as_stored": self.as_stored, "join": self.join}
        return {name: value for name, value in super().as_json().items() if has.get(name, True)}


@dataclass(frozen=True, kw_only=True)
class FoldResults(Record):
    """The common results of the runs of a cross-validation.

    Args:
        accuracy: of all pictures, each of them tested by the run that was not trained on it.
        folds: the accuracy of each run.
        test: all scores of all pictures.
        notes: that this is no better than always answering the largest class, where that is so.
    """

    accuracy: Rate
    folds: list[float]
    test: Scores
    notes: list[str]
