"""Evaluation: what the shipped model, flat and in float32, says of pictures that it was not trained on.

The trunk runs in float32 (the same converted file that filled the store), the top in Keras. What the store's own
activations (bfloat16, kept as float16) would have said is measured beside it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from topwork.data.dataset import PARTS, Dataset
from topwork.data.readers import undrawn
from topwork.errors import DatasetError, UsageError
from topwork.runs import lockfile, registry
from topwork.runs.folder import Folder
from topwork.runs.moved_pictures import placed, refuse_lost
from topwork.runs.restore import endings, restore, shipped
from topwork.runs.resume import here
from topwork.runs.scores import Scores
from topwork.scoring.answers import SAMPLE, answered, measured_scores, sample_size, sampled
from topwork.scoring.drawing import Pencil
from topwork.scoring.results import draw_plots, explained, lacks, warned
from topwork.store.engines.local import Extraction
from topwork.store.examples import StoredActivations
from topwork.store.extract import Watch
from topwork.system import keras_settings
from topwork.system.advice import either
from topwork.system.messages import counted, say, some


@dataclass(frozen=True, kw_only=True)
class Evaluation(Scores):
    """Scores of some pictures, and which these were.

    Args:
        part: ``"test"``, ``"val"`` or ``"train"`` of the run's own, or ``"data"``.
        sample: how many pictures were taken, where these were not all.
        trained_on: how many of those measured the run was trained on.
        left_out: path and reason of each picture that could not be measured.
        unknown_classes: how many pictures there are of each class that the run does not know; they are not measured.
        notes: that it is no better than always answering the largest class, where that is so; and of the run's own
            pictures why its validation loss lies below its training loss.
    """

    part: str
    sample: int | None
    trained_on: int
    left_out: dict[str, str]
    unknown_classes: dict[str, int]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """The JSON object; the part comes first."""
        return {"part": self.part} | super().as_json()


def evaluate(
    folder: Folder,
    what: "str | Path | tuple | Dataset" = "test",
    data: "str | Path | tuple | Dataset | None" = None,
) -> Evaluation:
    """Measure a finished run; of its own pictures, draw plots that it lacks as well.

    Args:
        folder: the run.
        what: ``"test"``, ``"val"`` or ``"train"``: a part of the run's own pictures; or other data, all of which is
            measured but for pictures of classes that the run does not know. Pictures of one class will do. Only the
            test part has a confusion matrix and a plot of answers, which are drawn where the run lacks them.
        data: where the run's own pictures are by now, where they were moved: they are looked for by content. The run
            does not remember it.

    Raises:
        DatasetError: the part is empty, or the data has no picture of a class that the run knows.
        RunError: the run's pretrained weights are others by now, or its pictures are needed and gone.
        UsageError: *data* beside other data.
    """
    lockfile.check(folder)
    inside = isinstance(what, str) and what in PARTS
    if data is not None and not inside:
        own_, other = either("data", "--data"), either("what", "DATA")
        raise UsageError(
            f"{own_} says where the run's own pictures are now, and {other} names other pictures to measure: give only "
            "one."
        )
    own = placed(folder, data)
    given, unknown = (own, {}) if inside else _other(folder, what, own.classes)
    rows = own.part(str(what)) if inside else given.rows
    lacking = lacks(folder) if inside else []
    if not rows:
        _draw_again(folder, own, lacking)
        there = f"the {what} part of {str(folder.path)!r} is empty" if inside else "there is no picture in the data"
        raise DatasetError(f"{there}: nothing can be measured on it.")
    taken = sampled(rows, SAMPLE)
    registry.remember(folder.path)  # it may have been moved
    requests = shipped(endings(folder), given, taken)
    given = here(folder, given, requests, "run.evaluate((X, y)), or evaluate the test part")
    if inside:
        way = either("run.evaluate(data=NEWPLACE)", f"topwork evaluate {folder.path} --data NEWPLACE")
        refuse_lost(folder, given, requests, way)
    measured = replace(given, rows=taken, left_out=() if inside else given.left_out)
    requests = [one.of(measured) for one in requests]
    with Watch() as watch, Extraction(requests, watch.report) as extraction:
        keras_settings.import_keras()
        network = restore(folder)
        extraction.wait_all(range(len(requests)))
    with StoredActivations(requests) as stored:
        measured = measured.without(stored.failures())
        if not measured.rows:
            first = measured.left_out[0]
            raise DatasetError(f"no picture of {str(what)!r} can be read; the first is {first.path}: {first.reason}.")
        answers = answered(network, network.trunks, stored, measured.rows, own.classes)
    known = {content for row in own.part("train") for _, content in row.pictures}
    seen = sum(not known.isdisjoint(content for _, content in row.pictures) for row in measured.rows)
    if seen and not inside:
        way = either("run.evaluate()", "'topwork evaluate RUN'")
        say(
            f"The run was trained on {seen:,} of these {counted(len(measured.rows), 'picture')}: what it says of them "
            f"flatters it. {way} alone measures its test part."
        )
    scores = measured_scores(folder, answers, own.classes)
    _draw_again(folder, given, lacking, *((answers, scores) if what == "test" else ()))
    return Evaluation(
        **vars(scores),
        part=str(what) if inside else "data",
        sample=sample_size(taken, rows),
        trained_on=seen,
        left_out={gone.path: gone.reason for gone in measured.left_out},
        unknown_classes=unknown,
        notes=[*warned(scores), *(explained(folder, own) if inside else [])],
    )


def _draw_again(folder: Folder, data: Dataset, lacking: Sequence[str], *measured: Any) -> None:
    """Draw what a run lacks, and say so."""
    if not lacking:
        return
    with Pencil(folder.path) as pencil:
        draw_plots(pencil, folder, data, lacking, *measured)
    if made := [name for name in lacking if (folder.path / name).exists()]:
        say(f"Drawn, as the run had none: {', '.join(made)}")


def _other(folder: Folder, what: Any, classes: Sequence[str]) -> tuple[Dataset, dict[str, int]]:
    """Other data less the pictures of classes that the run does not know; and how many these are of each.

    Raises:
        DatasetError: the data cannot be read, or nothing is left of it.
    """
    name = repr(str(what)) if isinstance(what, str | Path) else "the data"
    try:
        data = what if isinstance(what, Dataset) else undrawn(what)
    except DatasetError as error:
        if not error.unlabelled:
            raise
        command = f"topwork export {folder.path} FILE.onnx, then topwork predict FILE.onnx PICTURE|FOLDER."
        way = either('run.export("FILE.onnx")(PICTURES).', command)
        raise DatasetError(f"{error} To ask what the run says of pictures without labels: {way}") from None
    counts, known = Counter(row.label for row in data.rows), set(classes)
    unknown = {label: counts[label] for label in data.classes if label not in known}
    if unknown and len(unknown) == len(data.classes):
        raise DatasetError(
            f"no class of {name} is one of the run {str(folder.path)!r}: the data has {some([*map(repr, unknown)])}, "
            f"and the run has {some([*map(repr, classes)])}. Give the pictures the labels that the run uses."
        )
    if unknown:
        told = some([f"{label!r} ({count:,})" for label, count in unknown.items()])
        say(f"Not measured: {counted(sum(unknown.values()), 'picture')} of classes that the run does not know: {told}.")
    return replace(data, rows=tuple(row for row in data.rows if row.label in known)), unknown
