"""Compare two runs on the same test pictures: is one run better, or can chance explain the difference?

Both runs classified the same pictures, so the tests are paired: pictures that are hard for both runs cancel out. A
paired test therefore detects smaller differences than a comparison of the two runs' intervals. The runs' answers are
not computed again. They are read from the ``predictions.csv`` of each run. Training a run again with another seed would
also change its scores by chance. A test of two runs cannot measure this change.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np

from topwork.errors import DatasetError, UsageError
from topwork.runs.predictions import Exam, Key
from topwork.runs.scores import Rate
from topwork.scoring import intervals, metrics
from topwork.scoring.intervals import ALPHA, FEW, mcnemar, smallest
from topwork.scoring.metrics import SEED
from topwork.system.advice import either
from topwork.system.messages import some
from topwork.system.records import Record

DRAWS = 2000
MANY = 100
"""With fewer pictures, cross-validations are proposed."""
PROVING = 6
"""The smallest number of pictures on which a difference can be significant; see `mcnemar`."""


@dataclass(frozen=True)
class Sheet:
    """One run's answers, in the order of the compared pictures.

    Args:
        right: whether each answer is right, bool ``[n]``.
        probabilities: float ``[n, columns]``, with one column for each class that both runs have. If either run has
            other classes too, one more column is added: the sum of the probabilities that this run gives to its other
            classes. No compared picture belongs to one of the other classes.
    """

    right: np.ndarray
    probabilities: np.ndarray


@runtime_checkable
class HasPath(Protocol):
    """A run or a cross-validation."""

    @property
    def path(self) -> Path:
        """The folder of the run or cross-validation."""
        ...


Side = Literal["first", "second"]
Score = Literal["accuracy", "loss", "auc"]
Shared = Literal["both", "only_first", "only_second"]
Counted = Literal["both", "only_first", "only_second", "neither"]
Reason = Literal["other_class", "trained", "elsewhere", "relabelled", "repeated"]


@dataclass(frozen=True, kw_only=True)
class Comparison(Record):
    """The scores of two runs on the pictures that they share, and their differences.

    Args:
        first, second: the folders of the runs.
        classes: the classes that both runs have, and the classes that only one run has.
        pictures: the number of compared pictures.
        scores: the scores of each run. ``auc`` is ``None`` if it is not defined; see `topwork.scoring.metrics.auc`.
        differences: the second run's score minus the first run's, with the 95 % interval of a paired bootstrap.
        better: for each score, the run that is better; ``None`` if the difference is not significant.
        p: the p-value of the difference in accuracy.
        counts: the number of pictures that both runs, only one run, or neither run answered correctly.
        significant_from: see `topwork.scoring.intervals.smallest`.
        not_compared: how many pictures in the test part of each run are not compared, for each reason. The reasons are
            ``other_class`` (only one run has the picture's class), ``trained`` (the other run was trained on the
            picture), ``elsewhere`` (the other run has no answer for the picture), ``relabelled`` (the picture has
            another label in the other run), and ``repeated`` (an identical picture is compared).
        intervals: the level of the intervals, and the methods that give the intervals and the p-value.
        text: the result in sentences.
    """

    first: str
    second: str
    classes: dict[Shared, list[str]]
    pictures: int
    scores: dict[Side, dict[Score, float | None]]
    differences: dict[Score, Rate | None]
    better: dict[Score, Side | None]
    p: float
    counts: dict[Counted, int]
    significant_from: float | None
    not_compared: dict[Side, dict[Reason, int]]
    intervals: dict[str, str]
    text: list[str]

    def __repr__(self) -> str:
        return f"<Comparison: {' '.join(self.text)}>"


def compare(first: str | Path | HasPath, second: str | Path | HasPath) -> Comparison:
    """Compare two finished runs on the test pictures that they share.

    Pictures are matched by content, and identical pictures count once. A picture is not compared if either run was
    trained on it, or if its labels differ. A cross-validation counts as one run that tested every picture once.

    If the runs have different classes, a picture is compared only if both runs have its class. A run may answer with a
    class that only this run has. Such answers, and the probabilities of such classes, count against the run.

    For accuracy, `mcnemar` decides whether the difference is significant. A difference in loss or AUC is significant if
    its interval does not contain 0. Each score is tested separately, at the 5 % level.

    Args:
        first: a run, a cross-validation, or the folder of one of these.
        second: the run to compare with *first*, in the same form.

    Raises:
        UsageError: *first* and *second* are the same run.
        RunError: a folder is not a run, a run has not finished, or its answers do not match its pictures.
        DatasetError: a run has no test part. Or the two runs share fewer than two classes, or no test picture.

    Example:
        >>> found = compare("runs/flowers", "runs/deeper")  # doctest: +SKIP
        >>> found.differences["accuracy"], found.p  # doctest: +SKIP
        (Rate(value=0.02, low=-0.01, high=0.05), 0.27)
    """
    paths = [Path(run if isinstance(run, str | Path) else run.path) for run in (first, second)]
    if paths[0].resolve() == paths[1].resolve():
        raise UsageError(f"cannot compare {str(paths[0])!r} with itself: name two different runs.")
    a, b = map(Exam.at, paths)
    classes = _classes(a, b)
    both = classes["both"]
    labels, sheets = _paired(a, b, both)
    counts = _counts(sheets)
    p = mcnemar(counts["only_first"], counts["only_second"])
    scores, differences = _measured(labels, sheets)
    better: dict[Score, Side | None] = dict.fromkeys(differences)
    if len(labels) >= PROVING:
        for name, rate in differences.items():
            if rate and (p < ALPHA if name == "accuracy" else rate.low > 0 or rate.high < 0):
                better[name] = "second" if (rate.value > 0) != (name == "loss") else "first"

    method = f"paired bootstrap, {DRAWS:,} draws, seed {SEED}"
    if len(labels) < FEW:
        method = "few pictures: Bonett and Price's (accuracy), Student's t (loss), Newcombe's (auc)"
    found = Comparison(
        first=a.path,
        second=b.path,
        classes=classes,
        pictures=len(labels),
        scores=scores,
        differences=differences,
        better=better,
        p=p,
        counts=counts,
        significant_from=smallest(counts["only_first"] + counts["only_second"], len(labels)),
        not_compared={"first": _not_compared(a, b, both), "second": _not_compared(b, a, both)},
        intervals={"level": "95 %", "p": "mcnemar", "differences": method},
        text=[],
    )
    return replace(found, text=_text(found))


def _classes(a: Exam, b: Exam) -> dict[Shared, list[str]]:
    """Return the classes that both runs have, in the first run's order, and the classes that only one run has.

    Raises:
        DatasetError: the runs have fewer than two classes in common.
    """
    both = [label for label in a.classes if label in set(b.classes)]
    only = [[label for label in exam.classes if label not in set(both)] for exam in (a, b)]
    if len(both) < 2:
        had, has = (some([repr(label) for label in exam.classes]) for exam in (a, b))
        raise DatasetError(
            f"the runs have {'one class' if both else 'no class'} in common: the classes of {a.path!r} are {had}, "
            f"those of {b.path!r} are {has}. Compare runs that have at least two classes in common."
        )
    return {"both": both, "only_first": only[0], "only_second": only[1]}


def _paired(a: Exam, b: Exam, classes: Sequence[str]) -> tuple[np.ndarray, tuple[Sheet, Sheet]]:
    """Return labels, int ``[n]``, and both runs' answers for the pictures that they share, sorted by content."""
    place = {label: number for number, label in enumerate(classes)}
    first, second = a.by_key(), b.by_key()
    keys = sorted(
        key
        for key in first.keys() & second.keys()
        if first[key].row.label == second[key].row.label
        and first[key].row.label in place
        and not a.knows(key)
        and not b.knows(key)
    )
    alike = len(a.classes) == len(b.classes) == len(classes)
    if not keys:
        of = "" if alike else " of a class that both have"
        if any(first[key].row.label != second[key].row.label for key in first.keys() & second.keys()):
            of = " with the same label"
        raise DatasetError(
            f"the runs {a.path!r} and {b.path!r} have no test picture{of} in common: a paired test needs the same "
            "pictures. Train both on the same data, with the same split, draw and seed."
        )
    labels = np.array([place[first[key].row.label] for key in keys])
    sheets = []
    for found, own in ((first, a.classes), (second, b.classes)):
        given = np.array([found[key].probabilities for key in keys])
        column = {label: number for number, label in enumerate(own)}
        shared = [column[label] for label in classes]
        probabilities = given[:, shared]
        if not alike:
            probabilities = np.column_stack([probabilities, np.delete(given, shared, 1).sum(1)])
        sheets.append(Sheet(np.array([found[key].right for key in keys]), probabilities))
    return labels, (sheets[0], sheets[1])


def _counts(sheets: tuple[Sheet, Sheet]) -> dict[Counted, int]:
    a, b = (sheet.right for sheet in sheets)
    split: dict[Counted, np.ndarray] = {"both": a & b, "only_first": a & ~b, "only_second": ~a & b, "neither": ~a & ~b}
    return {name: int(these.sum()) for name, these in split.items()}


def _measured(
    labels: np.ndarray, sheets: tuple[Sheet, Sheet]
) -> tuple[dict[Side, dict[Score, float | None]], dict[Score, Rate | None]]:
    """Return both runs' scores, and their differences with intervals from a paired bootstrap or `_of_few`."""
    drawn = metrics.redraw(len(labels), DRAWS)
    each: list[dict[Score, float | None]] = []
    redrawn: list[dict[Score, np.ndarray]] = []
    for sheet in sheets:
        losses = metrics.losses(labels, sheet.probabilities)
        auc = metrics.auc(labels, sheet.probabilities)
        each.append({"accuracy": float(sheet.right.mean()), "loss": float(losses.mean()), "auc": auc})
        redrawn.append(
            {
                "accuracy": drawn @ sheet.right.astype(float) / len(labels),
                "loss": drawn @ losses / len(labels),
                "auc": metrics.drawn_auc(labels, sheet.probabilities, drawn),
            }
        )

    (a, b), (of_a, of_b) = each, redrawn
    differences: dict[Score, Rate | None] = {}
    for name, value in a.items():
        other = b[name]
        if value is None or other is None:
            differences[name] = None
        else:
            differences[name] = metrics.between(other - value, of_b[name] - of_a[name])
    if len(labels) < FEW:
        differences |= _of_few(labels, sheets, (of_a["auc"], of_b["auc"]))
    return {"first": a, "second": b}, differences


def _of_few(
    labels: np.ndarray, sheets: tuple[Sheet, Sheet], drawn: tuple[np.ndarray, np.ndarray]
) -> dict[Score, Rate | None]:
    """Return the differences with intervals that are valid for few pictures.

    *drawn* has the AUC of each run in each draw of the bootstrap, ``[draws]``.
    """
    counts = _counts(sheets)
    each = [metrics.losses(labels, sheet.probabilities) for sheet in sheets]
    right = [float(sheet.right.mean()) for sheet in sheets]
    accuracy = intervals.paired(counts["only_first"], counts["only_second"], len(labels))
    loss = intervals.mean(each[1] - each[0], -metrics.WORST, metrics.WORST)
    found: dict[Score, tuple[float, intervals.Ends]] = {
        "accuracy": (right[1] - right[0], accuracy),
        "loss": (float((each[1] - each[0]).mean()), loss),
    }
    areas = [metrics.auc(labels, sheet.probabilities) for sheet in sheets]
    if areas[0] is not None and areas[1] is not None:
        pairs = zip(areas, drawn, sheets)
        wide = [
            metrics.few_auc(labels, metrics.between(area, draws), sheet.probabilities.shape[1])
            for area, draws, sheet in pairs
            if area is not None
        ]
        ends = [(rate.low, rate.high) for rate in wide]
        found["auc"] = areas[1] - areas[0], intervals.difference(areas[0], ends[0], areas[1], ends[1])
    rates: dict[Score, Rate | None] = {"auc": None}
    for name, (value, (low, high)) in found.items():
        rates[name] = Rate(value, min(low, value), max(high, value))
    return rates


def _not_compared(own: Exam, other: Exam, classes: Sequence[str]) -> dict[Reason, int]:
    """Return for each reason how many rows in the test part of *own* are not compared."""
    others, shared, seen = other.by_key(), set(classes), set[Key]()
    found: dict[Reason, int] = dict.fromkeys(get_args(Reason), 0)
    for key, label in ((answer.key, answer.row.label) for answer in own.answers):
        if label not in shared or (key in others and others[key].row.label not in shared):
            found["other_class"] += 1
        elif other.knows(key):
            found["trained"] += 1
        elif key not in others:
            found["elsewhere"] += 1
        elif others[key].row.label != label:
            found["relabelled"] += 1
        elif key in seen:
            found["repeated"] += 1
        seen.add(key)
    return found


def _text(found: Comparison) -> list[str]:
    """Return the outcome in sentences."""
    sentences = []
    own = {"first": found.classes["only_first"], "second": found.classes["only_second"]}
    only = [
        f"only the {run} run has {some([repr(label) for label in labels])}" for run, labels in own.items() if labels
    ]
    if only:
        sentences.append(
            f"The runs have different classes: {', '.join(only)}. Compared are test pictures of the "
            f"{len(found.classes['both']):,} classes that both have; an answer, or probability, that a run gives to "
            "another class counts against it."
        )

    for run, gone in found.not_compared.items():
        other = "second" if run == "first" else "first"
        reasons: dict[Reason, str] = {
            "other_class": "of a class that only one run has",
            "trained": f"that the {other} run was trained on",
            "elsewhere": f"that the {other} run was not tested on",
            "relabelled": f"with another label in the {other} run",
            "repeated": "equal to another one",
        }
        each = ", ".join(f"{count:,} {reasons[name]}" for name, count in gone.items() if count)
        if each:
            sentences.append(f"Of the {run} run's test pictures {sum(gone.values()):,} are not compared: {each}.")

    return [*sentences, *_on_scores(found)]


def _on_scores(found: Comparison) -> list[str]:
    """Return one sentence for each of accuracy, loss and AUC."""
    better, least, rate = found.better["accuracy"], found.significant_from, found.differences["accuracy"]
    assert rate
    test = "McNemar's exact test, " + ("p < 0.001" if found.p < 0.001 else f"p = {found.p:.3f}")
    if better:
        accuracy = f"The {better} run is more accurate, by {abs(rate.value):.3f} ({test})."
    else:
        seen = "no difference could be told from chance"
        if least:
            seen = f"a difference of less than {least:.3f} could be chance"
        n = found.pictures
        accuracy = f"The difference in accuracy is not significant ({test}): on these {n:,} test pictures {seen}."
        if rate.low > 0 or rate.high < 0:
            accuracy += " Its interval leaves 0 out: the exact test is the stricter of the two, and decides."

    sentences = [accuracy]
    words: dict[Score, tuple[str, str]] = {
        "loss": ("has the lower loss, so its probabilities fit better", "loss"),
        "auc": ("has the higher AUC", "AUC"),
    }
    for key, (won, name) in words.items():
        if found.differences[key]:
            better = found.better[key]
            sentences.append(f"The {better} run {won}." if better else f"The difference in {name} is not significant.")
    if not found.better["accuracy"]:
        folds = either("topwork.cross_validate", "'topwork train --folds'")
        more = f", but cross-validations of both ({folds}) would test more pictures" if found.pictures < MANY else ""
        sentences.append(f"So it cannot be told which run answers more pictures right{more}.")
    return sentences
