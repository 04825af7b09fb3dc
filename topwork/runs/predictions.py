"""The predictions of a finished run for its test part (``predictions.csv``), and its mistakes (``wrong.csv``)."""

import csv
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from topwork.data.dataset import Row
from topwork.data.reading.run_files import reading
from topwork.errors import DatasetError, RunError
from topwork.runs.folder import Folder, folds_in
from topwork.system.advice import either, resuming
from topwork.system.records import Record

Key = tuple[str, ...]
"""The digests of a row's pictures."""


@dataclass(frozen=True)
class Answer:
    """A run's prediction for one row.

    The probabilities are an ``array("d")``, so that the predictions for thousands of classes fit in memory.
    """

    row: Row
    right: bool
    probabilities: "array[float]"

    @property
    def key(self) -> Key:
        """The digests of the row's pictures. They are the same in every run that has the row."""
        return tuple(digest for _, digest in self.row.pictures)


@dataclass(frozen=True)
class Exam:
    """A run's predictions for its test part, and the digests of the pictures that it was trained on.

    For a cross-validation: the predictions for all pictures, each by the run that was not trained on it. ``trained`` is
    then empty.
    """

    path: str
    classes: tuple[str, ...]
    answers: tuple[Answer, ...]
    trained: frozenset[str]

    @classmethod
    def of(cls, folder: Folder) -> "Exam":
        """Return the predictions of a finished run.

        Raises:
            RunError: the run has not finished, or its answers do not match its pictures.
            DatasetError: the run has no test part.
        """
        path = str(folder.path)
        if folder.results.accuracy is None:
            example = either("topwork.read(DATA, split=(0.8, 0.1, 0.1))", "--set data.split=[0.8,0.1,0.1]")
            way = f"Train it with some, as in {example}."
            if folder.recipe.data.draw == "auto":  # the data had their own parts
                parts, folds = either("parts of topwork.read", "--parts"), either("topwork.cross_validate", "--folds")
                way = (
                    f"Its data come with parts of their own, and none is named test: name one ({parts} for folders, "
                    f"the column split in a table), or use {folds}."
                )
            raise DatasetError(f"the run {path!r} has no test part: runs are compared on test pictures. {way}")
        data = folder.data()
        classes, given = answers(folder.path / "predictions.csv", data.part("test"))
        trained = frozenset(digest for row in folder.learned for _, digest in row.pictures)
        return cls(path, classes, given, trained)

    @classmethod
    def at(cls, path: Path) -> "Exam":
        """Return the predictions of a finished run or a finished cross-validation.

        Raises:
            RunError, DatasetError: see `of` and `of_folds`.
        """
        if not folds_in(path):
            folder = Folder(path)
            if not folder.is_final:
                return cls.of(folder)
            path = path.parent
        refuse_unfinished(path)
        return cls.of_folds(path)

    @classmethod
    def of_folds(cls, path: Path, folds: Sequence[Folder] = ()) -> "Exam":
        """Return the predictions of a cross-validation: for each picture, the prediction of the run that tested it.

        Args:
            path: the folder of the cross-validation.
            folds: its runs, if they are open already.

        Raises:
            RunError: one of the runs has not finished, or is missing.
        """
        folds = folds or [Folder(fold) for fold in folds_in(path)]
        exams = [cls.of(fold) for fold in folds]
        answers = tuple(each for one in exams for each in one.answers)
        if len(answers) < len(folds[0].data().rows):
            raise RunError(f"the folds of {str(path)!r} do not test all pictures, so a fold is missing: put it back.")
        return cls(str(path), exams[0].classes, answers, frozenset())

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows, in the order of their answers."""
        return tuple(answer.row for answer in self.answers)

    @property
    def probabilities(self) -> np.ndarray:
        """The probabilities, float64 ``[rows, classes]``."""
        return np.array([answer.probabilities for answer in self.answers])

    def by_key(self) -> dict[Key, Answer]:
        """Return the answers by their keys; for equal pictures, only the first answer."""
        return {answer.key: answer for answer in reversed(self.answers)}

    def knows(self, key: Key) -> bool:
        """Return whether the run was trained on one of these pictures."""
        return not self.trained.isdisjoint(key)


def refuse_unfinished(path: Path) -> None:
    """Raise an error if a cross-validation has not finished.

    Raises:
        RunError: the cross-validation has not finished.
    """
    if not (path / "results.json").exists():
        raise RunError(f"the cross-validation {str(path)!r} has not finished. Continue it: {resuming(path, 'Folds')}")


def answers(path: Path, rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[Answer, ...]]:
    """Return the classes and the answers from a ``predictions.csv``.

    A line names its row by the path of the first picture. If several rows have the same first picture, their lines
    must be in the order of *rows*.

    Raises:
        RunError: a line does not match the rows.
    """
    by_path: dict[str, list[Row]] = defaultdict(list)
    for row in reversed(rows):
        by_path[row.path].append(row)
    with reading(path), path.open(newline="", encoding="utf-8") as file:
        table = csv.reader(file)
        classes = tuple(next(table)[3:])
        try:
            known = frozenset(classes)
            return classes, tuple(_answer(cells, by_path, known) for cells in table)
        except (ValueError, IndexError):
            raise RunError(
                f"{str(path)!r}, line {table.line_num}: expected a row of the test part in pictures.csv with its "
                f"label, the label predicted and {len(classes)} probabilities. Was one of the two files changed?"
            ) from None


def _answer(cells: list[str], by_path: dict[str, list[Row]], classes: frozenset[str]) -> Answer:
    path, label, predicted, *numbers = cells
    row, probabilities = by_path[path].pop(), array("d", map(float, numbers))
    fits = row.label == label and {label, predicted} <= classes and len(numbers) == len(classes)
    if not fits or not np.isfinite(probabilities).all():
        raise ValueError
    return Answer(row, predicted == label, probabilities)


@dataclass(frozen=True)
class Mistake(Record):
    """A wrong answer for one row.

    Args:
        path: the row's picture, as in ``pictures.csv``; the first one, if the row has several.
        label, predicted: its true label, and the answer.
        probability: of the answer.
    """

    path: str
    label: str
    predicted: str
    probability: float


def mistakes(rows: Sequence[Row], probabilities: np.ndarray, classes: Sequence[str]) -> list[Mistake]:
    """Return the wrong answers, the surest first.

    Args:
        rows: what was answered.
        probabilities: float ``[rows, classes]``.
        classes: the labels.

    >>> rows = [Row("a.png", "0", "cat"), Row("b.png", "1", "cat"), Row("c.png", "2", "dog")]
    >>> [one.path for one in mistakes(rows, np.array([[0.4, 0.6], [0.1, 0.9], [0.2, 0.8]]), ["cat", "dog"])]
    ['b.png', 'a.png']
    """
    answers = zip(rows, probabilities.argmax(1), probabilities.max(1))
    wrong = [Mistake(row.path, row.label, classes[i], float(p)) for row, i, p in answers if classes[i] != row.label]
    return sorted(wrong, key=lambda one: -one.probability)


def write_mistakes(path: Path, wrong: Sequence[Mistake]) -> None:
    """Write wrong answers as CSV: path, label, predicted label and its probability."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([one.name for one in fields(Mistake)])
        for one in wrong:
            table.writerow([one.path, one.label, one.predicted, f"{one.probability:.6g}"])


def write(path: Path, rows: Sequence[Row], probabilities: np.ndarray, classes: Sequence[str]) -> None:
    """Write predictions as CSV: path, label, predicted label, and the probability of each class."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "predicted", *classes])
        for row, found in zip(rows, probabilities):
            table.writerow([row.path, row.label, classes[found.argmax()], *(f"{p:.6g}" for p in found)])
