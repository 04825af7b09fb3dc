"""The summary of a run: everything that its report shows, as one object, which is also ``report.json``."""

from dataclasses import dataclass, field
from typing import Any

from topwork.data.quality.findings import Finding
from topwork.runs.journal import Epoch
from topwork.runs.scores import Rate, Scores
from topwork.scoring.calibration.unknown import Unknown
from topwork.system.records import Record

FORMAT = 1
"""The format of ``report.json``."""


@dataclass(frozen=True)
class Proposal(Record):
    """What to do next.

    Args:
        what: a sentence.
        command: for it.
        evidence: why.
        then: what to do between both commands; empty if there is one.
        second: the second command.
        section: the section of the page that shows it; empty if none does.
    """

    what: str
    command: str
    evidence: str
    then: str = ""
    second: str = ""
    section: str = ""


@dataclass(frozen=True)
class Shown(Record):
    """One answer.

    Args:
        path: the file, as in ``pictures.csv``.
        label, predicted: its true label, and the answer.
        probability: of the answer.
        of_label: the probability of the true label.
    """

    path: str
    label: str
    predicted: str
    probability: float
    of_label: float


@dataclass(frozen=True)
class Cell(Record):
    """A filled cell of the confusion matrix, and some of its answers.

    Of a wrong cell, the surest answers come first; of a right one, the least sure.
    """

    label: str
    predicted: str
    count: int
    answers: list[Shown]

    @property
    def is_right(self) -> bool:
        """Whether the answers are right."""
        return self.label == self.predicted


@dataclass(frozen=True)
class Bin(Record):
    """The answers with a probability between *low* and *high*: their number, mean probability and accuracy."""

    low: float
    high: float
    pictures: int
    probability: float
    accuracy: Rate


@dataclass(frozen=True)
class Coverage(Record):
    """The accuracy if only the surest answers are given: their share, the least probability, and their accuracy."""

    share: float
    threshold: float
    accuracy: Rate


@dataclass(frozen=True)
class Slice(Record):
    """The accuracy on some of the pictures.

    Args:
        by: what divides the pictures, as in ``"brightness"``.
        value: which of them these are, as in ``"darkest third"``.
        pictures: their number.
        accuracy: with an interval that is corrected for the number of slices (Bonferroni).
        differs: whether the accuracy of all pictures is outside that interval.
    """

    by: str
    value: str
    pictures: int
    accuracy: Rate
    differs: bool


@dataclass(frozen=True)
class Weights(Record):
    """Pretrained weights of a run: the network, which weights, and their licence."""

    backbone: str
    weights: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class Summary(Record):
    """A run in one object.

    Args:
        name: the name of the run's folder.
        run: the folder.
        verdict: two sentences: how accurate, and compared with what.
        mixed_up: a sentence on the two classes that are confused most; empty without mistakes.
        proposals: at most three.
        pictures: the number of pictures by class and part.
        learned: the number of pictures that were learned from; 0 for a cross-validation, whose folds differ.
        skipped: path -> reason.
        notes: sentences on data and scores.
        findings: of the audit; ``None``: no audit was made.
        scores: on the test part; ``None`` without a test part.
        folds: for a cross-validation, the accuracy of each fold.
        classes: the classes of the confusion matrix; of many, those with the most mistakes.
        confusion: its filled cells.
        wrong: the number of mistakes.
        doubted: how many of them are on pictures whose label may be wrong.
        mistakes: the surest mistakes.
        unsure: the least sure right answers.
        calibration: the answers by probability.
        mean_probability: of the answers.
        calibration_error: the mean difference between probability and accuracy over the answers.
        coverage: the accuracy if only the surest answers are given.
        slices: the accuracy on parts of the test pictures.
        curve: the learning curve; ``None``: it was not measured.
        epochs: all lines of the journal.
        kept: the epoch that each phase kept.
        cost: seconds of the parts of the work.
        disk_bytes: the size of the activations in the store; ``None`` if it is not known.
        passes_saved: how many times a picture did not have to go through the frozen layers again.
        command: repeats the run.
        recipe: the recipe, as TOML.
        versions: of the packages.
        weights: the pretrained weights.
        exports: the files that the run was exported to.
        unknown: how often pictures of other classes are noticed.
        heat: what the heat maps show; empty if there are none.
        lacking: why there is no ``audit``, ``curve``, ``unknown`` or ``heat`` (the heat maps).
        format: of this object.
    """

    name: str
    run: str
    verdict: list[str]
    proposals: list[Proposal]
    pictures: dict[str, dict[str, int]]
    learned: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    mixed_up: str = ""
    findings: list[Finding] | None = None
    scores: Scores | None = None
    folds: list[float] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    confusion: list[Cell] = field(default_factory=list)
    wrong: int = 0
    doubted: int = 0
    mistakes: list[Shown] = field(default_factory=list)
    unsure: list[Shown] = field(default_factory=list)
    calibration: list[Bin] = field(default_factory=list)
    mean_probability: float | None = None
    calibration_error: float | None = None
    coverage: list[Coverage] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    curve: dict[str, Any] | None = None
    epochs: list[Epoch] = field(default_factory=list)
    kept: list[Epoch] = field(default_factory=list)
    cost: dict[str, float] = field(default_factory=dict)
    disk_bytes: int | None = None
    passes_saved: int = 0
    command: str = ""
    recipe: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    weights: list[Weights] = field(default_factory=list)
    exports: list[dict[str, Any]] = field(default_factory=list)
    unknown: Unknown | None = None
    heat: str = ""
    lacking: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT
