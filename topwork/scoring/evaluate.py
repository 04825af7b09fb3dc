"""Evaluation: measure a run's model, as it is exported (flat, in float32), on pictures that it was not trained on.

The trunk runs in float32, from the same converted file that filled the store; the top runs in Keras. How far the scores
on the stored activations differ from these is measured when a run ends (`topwork.scoring.results`).
"""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from topwork.data.dataset import PARTS, Dataset
from topwork.data.readers import undrawn
from topwork.data.reading import run_files
from topwork.errors import DatasetError, UsageError
from topwork.networks.heads import LinearHead
from topwork.runs import lockfile, predictions, registry
from topwork.runs.folder import Folder
from topwork.runs.moved_pictures import placed, refuse_lost
from topwork.runs.predictions import Exam, Mistake
from topwork.runs.restore import endings, restore, shipped
from topwork.runs.resume import here
from topwork.runs.scores import FoldResults, Scores
from topwork.scoring.answers import SAMPLE, Answers, Solved, Trained, answered, measured_scores, sampled
from topwork.scoring.drawing import Pencil
from topwork.scoring.results import KEPT, draw_lacking, explained, keep, warned
from topwork.store.engines.local import Extraction
from topwork.store.examples import StoredActivations
from topwork.store.extract import Watch
from topwork.store.request import Request
from topwork.system import keras_settings
from topwork.system.advice import either
from topwork.system.messages import counted, say, some


@dataclass(frozen=True, kw_only=True, repr=False)
class Evaluation(Scores):
    """The scores on some pictures, and which pictures these are.

    Args:
        part: ``"test"``, ``"val"`` or ``"train"`` for a part of the run's own pictures; ``"data"`` for other pictures.
        sample: the number of measured pictures, if only a sample was measured; ``None`` if all were measured.
        trained_on: the number of measured pictures that the run was trained on.
        left_out: the reasons why pictures could not be measured, by path.
        unknown_classes: the classes that the run does not have, with their numbers of pictures. These pictures are not
            measured.
        wrong: the wrong answers, the surest first.
        notes: a warning if the accuracy is no better than always answering the largest class; for the run's own
            pictures, also an explanation if the validation loss is below the training loss.
    """

    part: str
    sample: int | None
    trained_on: int
    left_out: dict[str, str]
    unknown_classes: dict[str, int]
    wrong: list[Mistake]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object, with ``part`` first."""
        return {"part": self.part} | super().as_json()


def evaluate(
    folder: Folder,
    what: "str | Path | tuple | Dataset" = "test",
    data: "str | Path | tuple | Dataset | None" = None,
    csv: Path | None = None,
    out: Path | None = None,
) -> Evaluation:
    """Measure a finished run. If the pictures are the run's own, also draw the plots that the run lacks.

    The confusion matrix and the plot of answers show the test part, so they are drawn only if *what* is ``"test"``.

    Args:
        folder: the run.
        what: a part of the run's own pictures (``"test"``, ``"val"`` or ``"train"``), or other data. Of a
            cross-validation, ``"test"`` gives the scores of its folds together. In other data, pictures of classes
            that the run does not have are not measured. Data with only one class is accepted.
        data: the new place of the run's own pictures, if they were moved. They are found by their content. The run does
            not save this place.
        csv: a new file for the answers, as in a run's ``predictions.csv``.
        out: a new folder for ``predictions.csv``, ``wrong.csv``, ``confusion.png`` and ``predictions.png``.

    Raises:
        DatasetError: the part is empty, or the data has no picture of a class that the run has.
        RunError: the run's pretrained weights have changed, or its pictures are needed and missing.
        UsageError: *data* is given together with other data in *what*; *out* exists already.
    """
    refuse_used(out)
    if folder.is_final and isinstance(what, str) and what == "test":
        return pooled(folder.path.parent, csv, out)
    lockfile.check(folder)
    inside = isinstance(what, str) and what in PARTS
    if data is not None and not inside:
        own_, other = either("data", "--data"), either("what", "DATA")
        raise UsageError(
            f"{own_} gives the new place of the run's own pictures, and {other} gives other pictures to measure: give "
            "only one."
        )
    own = placed(folder, data)
    given, unknown = (own, {}) if inside else _other(folder, what, own.classes)
    rows = own.part(str(what)) if inside else given.rows
    there = f"the {what} part of {str(folder.path)!r}" if inside else _name(what)
    if not rows:
        if inside:
            draw_lacking(folder, own)
        raise DatasetError(f"{there} has no pictures: nothing can be measured.")
    taken = sampled(rows, SAMPLE)
    registry.remember(folder.path)  # it may have been moved
    requests = shipped(endings(folder), given, taken)
    given = here(folder, given, requests, "run.evaluate((X, y)), or evaluate the test part")
    if inside:
        way = either("run.evaluate(data=NEWPLACE)", f"topwork evaluate {folder.path} --data NEWPLACE")
        refuse_lost(folder, given, requests, way)
    measured = replace(given, rows=taken, left_out=() if inside else given.left_out)
    measured, answers = _answers(folder, requests, measured, own.classes, there)
    known = {content for row in folder.learned for _, content in row.pictures}
    seen = sum(not known.isdisjoint(content for _, content in row.pictures) for row in measured.rows)
    if seen and not inside:
        way = either("run.evaluate()", "topwork evaluate RUN")
        say(
            f"The run was trained on {seen:,} of the {counted(len(measured.rows), 'picture')} measured, so these "
            f"scores are optimistic. To measure its test part only: {way}"
        )
    scores = measured_scores(folder, answers, own.classes)
    if inside:
        draw_lacking(folder, given, *((answers, scores) if what == "test" else ()))
    if csv:
        predictions.write(csv, answers.rows, answers.probabilities, own.classes)
    if out:
        out.mkdir()
        with Pencil() as pencil:
            keep(pencil, out, replace(measured, order=own.classes), answers, scores)
    return Evaluation(
        **vars(scores),
        part=str(what) if inside else "data",
        sample=len(taken) if len(taken) < len(rows) else None,
        trained_on=seen,
        left_out={gone.path: gone.reason for gone in measured.left_out},
        unknown_classes=unknown,
        wrong=predictions.mistakes(answers.rows, answers.probabilities, own.classes),
        notes=[*warned(scores), *(explained(folder, own) if inside else [])],
    )


def refuse_used(out: Path | None) -> None:
    """Refuse a folder that exists, or that cannot be made.

    Raises:
        UsageError: one of the two.
    """
    if out and (out.exists() or not out.parent.is_dir()):
        there = "exists already" if out.exists() else f"cannot be made: there is no folder {str(out.parent)!r}"
        raise UsageError(f"{either('out', '--out')} {str(out)!r} {there}. Name a new folder.")


def pooled(path: Path, csv: Path | None = None, out: Path | None = None) -> Evaluation:
    """Return the scores of a cross-validation: each picture was answered by the model that had not learned from it.

    Args:
        path: the folder of the cross-validation.
        csv, out: as in `evaluate`; they are copies.

    Raises:
        RunError: it has not finished.
    """
    refuse_used(out)
    exam = Exam.at(path)
    found = FoldResults.from_json(run_files.table(path / "results.json"))
    if csv:
        shutil.copy(path / "predictions.csv", csv)
    if out:
        out.mkdir()
        for name in KEPT:
            if (path / name).exists():
                shutil.copy(path / name, out / name)
    note = f"{len(found.folds)} folds: each picture was answered by a model that had not learned from it."
    return Evaluation(
        **vars(found.test),
        part="test",
        sample=None,
        trained_on=0,
        left_out={},
        unknown_classes={},
        wrong=predictions.mistakes(exam.rows, exam.probabilities, exam.classes),
        notes=[note, *found.notes],
    )


def _answers(
    folder: Folder, requests: Sequence[Request], data: Dataset, classes: Sequence[str], there: str
) -> tuple[Dataset, Answers]:
    """Return two things: the data, without pictures that could not be read; and the run's answers on it.

    Args:
        there: what an error message calls the data.

    Raises:
        DatasetError: no picture can be read.
    """
    requests = [one.of(data) for one in requests]
    with Watch() as watch, Extraction(requests, watch.report) as extraction:
        model = _trained(folder)
        extraction.wait_all(range(len(requests)))
    with StoredActivations(requests) as stored:
        data = data.without(stored.failures())
        if not data.rows:
            first = data.left_out[0]
            raise DatasetError(f"no picture of {there} can be read; the first is {first.path}: {first.reason}.")
        return data, answered(model, stored, data.rows, classes)


def _trained(folder: Folder) -> Trained:
    """Return the model of a finished run; without Keras, if all its phases were solved."""
    phases = folder.recipe.phases
    if phases and all(phase.is_solved for phase in phases):
        return Solved(LinearHead.of(folder.weights()), folder.recipe.head.pooling)
    keras_settings.import_keras()
    return restore(folder)


def _other(folder: Folder, what: Any, classes: Sequence[str]) -> tuple[Dataset, dict[str, int]]:
    """Return two things: the data, without pictures of classes that the run lacks; and their number, by class.

    Raises:
        DatasetError: the data cannot be read, or no picture is left.
    """
    try:
        data = what if isinstance(what, Dataset) else undrawn(what)
    except DatasetError as error:
        if not error.unlabelled:
            raise
        command = f"topwork export {folder.path} FILE.onnx, then topwork predict FILE.onnx PICTURE|FOLDER."
        way = either('run.export("FILE.onnx")(PICTURES).', command)
        raise DatasetError(f"{error} To predict the classes of pictures without labels: {way}") from None
    counts, known = Counter(row.label for row in data.rows), set(classes)
    unknown = {label: counts[label] for label in data.classes if label not in known}
    if unknown and len(unknown) == len(data.classes):
        raise DatasetError(
            f"no class of {_name(what)} is a class of the run {str(folder.path)!r}: the data has "
            f"{some([*map(repr, unknown)])}, and the run has {some([*map(repr, classes)])}. Give "
            "the pictures the labels that the run uses."
        )
    if unknown:
        told = some([f"{label!r} ({count:,})" for label, count in unknown.items()])
        say(f"Not measured: {counted(sum(unknown.values()), 'picture')} of classes that the run does not have: {told}.")
    return replace(data, rows=tuple(row for row in data.rows if row.label in known)), unknown


def _name(what: Any) -> str:
    return repr(str(what)) if isinstance(what, str | Path) else "the data"
