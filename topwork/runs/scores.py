"""The results of a run, as in ``results.json``: scores with intervals, the epochs kept, and the cost.

Each dataclass is one JSON object, and its attributes are the keys: ``results.test.loss.high`` in Python is
``["test"]["loss"]["high"]`` in the file.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from topwork.data.notebook import paragraph, table
from topwork.runs.journal import Epoch
from topwork.system.messages import counted
from topwork.system.records import Record


class FilledCells(TypedDict):
    """The cells of a confusion matrix that are not zero, each as ``[true, predicted, count]``; positions start at 0."""

    shape: list[int]
    counts: list[list[int]]


Confusion = list[list[int]] | FilledCells
"""Counts; rows are true classes, columns are predicted classes. For more than 100 classes, only the filled cells."""

CLASSES = 12
"""A notebook shows the scores of at most this many classes."""
HEADS = ("class", "precision", "recall", "F1", "pictures")

Average = Literal["precision", "recall", "f1"]


@dataclass(frozen=True)
class Rate(Record):
    """A value and its 95 % interval; the interval always contains the value."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class ClassScores(Record):
    """Scores of one class; a score is ``None`` if there is no picture to compute it from."""

    precision: Rate | None
    recall: Rate | None
    f1: Rate | None
    support: int


@dataclass(frozen=True)
class MemberScores(Record):
    """Scores of one member of a join on the join's test pictures; ``run`` is the member's folder."""

    run: str
    accuracy: Rate
    loss: Rate


@dataclass(frozen=True, kw_only=True)
class Scores(Record):
    """All scores of the predictions for one part.

    Args:
        pictures: the number of measured pictures.
        accuracy: the share of right answers.
        loss: unweighted cross-entropy, in nats.
        auc: area under the ROC curve (`topwork.scoring.metrics.auc`); ``None`` if all pictures are of one class.
        top_k: the share of pictures with the true class among the k most probable ones, for k = 3 and 5. With few
            classes, k is at most their number minus one; for two classes, ``top_k`` is empty.
        macro: means over the classes that occur; a class that is never predicted counts with precision 0.
        classes: the scores of each class, by label.
        confusion: the confusion matrix, as counts.
        intervals: the method of each interval.
        members: for a join, the scores of each member.
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

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: accuracy {self.accuracy} on {counted(self.pictures, 'picture')}>"

    def _repr_html_(self) -> str:
        rates = {"accuracy": self.accuracy, "loss": self.loss, "AUC": self.auc}
        rates |= {f"top-{k}": rate for k, rate in self.top_k.items()}
        rates |= {f"macro {name}": rate for name, rate in self.macro.items()}
        cells = [[name, rate] for name, rate in rates.items() if rate]
        each = [
            [label, *(one and f"{one.value:.3f}" for one in (c.precision, c.recall, c.f1)), c.support]
            for label, c in list(self.classes.items())[:CLASSES]
        ]
        about = paragraph(f"{counted(self.pictures, 'picture')}, with 95 % intervals")
        return about + table(["score", "value"], cells) + table(HEADS, each)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object, without ``members`` if there are none."""
        return {name: value for name, value in super().as_json().items() if name != "members" or value}


@dataclass(frozen=True, kw_only=True)
class AsStored(Record):
    """How answers from bfloat16 trunks and float16 activations, as used in training, differ from the exported model's.

    Args:
        backbone: the backbone of the first trunk.
        precision: the precision that this trunk ran in.
        dtype: the dtype of its activations in the store.
        accuracy: the accuracy on the test part, computed from the stored activations.
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
    """The members and the rule of a join, and what the rule learned.

    Args:
        rule: the name of the rule.
        members: the folders of the joined runs.
        weights: the weight of each member.
        val_pictures: the number of validation pictures that the rule was fitted on.
        val_loss: the validation losses of the rule (the key is its name), of the plain mean (``mean``), and of each
            member (``members``); ``None`` without validation pictures.
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
        accuracy: the accuracy on the test part; ``None`` if there is no test part.
        pictures: the number of pictures, by class and part.
        left_out: the number of pictures that could not be used.
        notes: sentences about the data and the scores.
        test: all scores on the test part.
        sample: the number of test pictures that were measured; ``None`` if all were.
        phases: the epoch that each phase kept (empty for a join).
        as_stored: how the precision used in training changes the answers; ``None`` for a join or without a test part.
        join: for a join, its members and what its rule learned.
        cost: the seconds that each part of the work took, and their ``total``.
        temperature: the logits of the trained model were divided by it, so that its probabilities say how often it is
            right (`topwork.scoring.calibration.temperature`). The losses in the journal were measured before. It is
            1 if nothing was gained, or if the run is of an earlier version.
        folds: for the run on all pictures of a cross-validation, the number of folds: ``accuracy`` and ``test`` are the
            scores of all folds together, whose models learned from fewer pictures. Else ``None``.
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
    temperature: float = 1.0
    folds: int | None = None

    def __repr__(self) -> str:
        found = f"accuracy {self.accuracy}" if self.accuracy else "no test part"
        return f"<Results: {found}, {counted(len(self.notes), 'note')}>"

    def _repr_html_(self) -> str:
        shown = self.test._repr_html_() if self.test else paragraph("no test part")
        return shown + "".join(map(paragraph, self.notes))

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object, without keys that do not apply to this run."""
        has: dict[str, object] = {"test": self.test, "sample": self.test, "phases": self.phases}
        has |= {"as_stored": self.as_stored, "join": self.join, "folds": self.folds}
        has |= {"temperature": self.temperature != 1}
        return {name: value for name, value in super().as_json().items() if has.get(name, True)}


@dataclass(frozen=True, kw_only=True)
class FoldResults(Record):
    """The combined results of all folds of a cross-validation.

    Args:
        accuracy: the accuracy on all pictures; each picture is tested by the run that was not trained on it.
        folds: the accuracy of each run.
        test: all scores on all pictures.
        notes: a warning if the accuracy is no better than always answering the largest class; else empty.
    """

    accuracy: Rate
    folds: list[float]
    test: Scores
    notes: list[str]

    def __repr__(self) -> str:
        return f"<FoldResults: accuracy {self.accuracy} over {len(self.folds)} folds>"

    def _repr_html_(self) -> str:
        each = paragraph("accuracy of each fold: " + ", ".join(f"{value:.3f}" for value in self.folds))
        return self.test._repr_html_() + each + "".join(map(paragraph, self.notes))
