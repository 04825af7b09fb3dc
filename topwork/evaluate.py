"""Evaluation: what the shipped model, flat and in float32, says of pictures that it was not trained on.

The trunk runs in float32 (the same converted file that filled the store), the top in Keras. What the store's own
activations (bfloat16, kept as float16) would have said is measured beside it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from topwork import metrics
from topwork.chance import chance
from topwork.data.dataset import PARTS, Dataset, Row
from topwork.data.readers import undrawn
from topwork.draw import Pencil
from topwork.errors import DatasetError, UsageError
from topwork.gallery import gallery
from topwork.gap import gap
from topwork.networks.fusion import Joined, softmax
from topwork.networks.model import Answering, Network
from topwork.networks.trunk import Trunk
from topwork.runs import lockfile, predictions, registry
from topwork.runs.folder import Folder
from topwork.runs.journal import kept_epochs
from topwork.runs.moved_pictures import placed, refuse_lost
from topwork.runs.restore import endings, restore, shipped
from topwork.runs.resume import here
from topwork.store.engines.local import Extraction
from topwork.store.examples import Part
from topwork.store.extract import Watch
from topwork.store.plan import Step
from topwork.store.request import Wanted, failures, gathered, stored
from topwork.system import keras_settings
from topwork.system.messages import counted, duration, say, some

SAMPLE = 2000
"""Pictures that an evaluation takes at most; a seeded sample where there are more."""


@dataclass(frozen=True)
class Answers:
    """What a model says of some rows: their labels' positions, and probabilities float64 ``[rows, classes]``.

    *members*: of a join, what each member says.
    """

    rows: tuple[Row, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    members: tuple[np.ndarray, ...] = ()


def evaluate(
    folder: Folder,
    what: "str | Path | tuple | Dataset" = "test",
    data: "str | Path | tuple | Dataset | None" = None,
) -> dict[str, Any]:
    """Measure a finished run; of its own pictures, draw plots that it lacks as well.

    Args:
        folder: the run.
        what: ``"test"``, ``"val"`` or ``"train"``: a part of the run's own pictures; or other data, all of which is
            measured but for pictures of classes that the run does not know. Pictures of one class will do. Only the
            test part has a confusion matrix and a plot of answers, which are drawn where the run lacks them.
        data: where the run's own pictures are by now, where they were moved: they are looked for by content. The run
            does not remember it.

    Returns:
        What `topwork.metrics.measure` gives, with ``part``, ``sample`` (pictures taken where not all were, else
        ``None``), ``trained_on`` (how many of those measured the run was trained on), ``left_out`` (path and reason
        of each), ``unknown_classes`` (how many pictures there are of each class that the run does not know; they are
        not measured) and ``notes``: that it is no better than always answering the largest class, where that is so, and
        of the run's own pictures why its validation loss lies below its training loss; of a join ``members``: the
        folder, ``accuracy`` and ``loss`` of each.

    Raises:
        DatasetError: the part is empty, or the data has no picture of a class that the run knows.
        RunError: the run's pretrained weights are others by now, or its pictures are needed and gone.
        UsageError: *data* beside other data.
    """
    lockfile.check(folder)
    inside = isinstance(what, str) and what in PARTS
    if data is not None and not inside:
        raise UsageError(
            "--data says where the run's own pictures are now, and DATA names other pictures to measure: give only one."
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
    wanted = shipped(endings(folder), given, taken)
    given = here(folder, given, wanted, "run.evaluate((X, y)), or evaluate the test part")
    if inside:
        refuse_lost(folder, given, wanted, f"topwork evaluate {folder.path} --data NEWPLACE")
    with Watch() as watch, Extraction(given, wanted, watch.report) as extraction:
        keras_settings.import_keras()
        network = restore(folder)
        extraction.wait_all(range(len(wanted)))
    measured = replace(given, rows=taken, left_out=() if inside else given.left_out)
    for one in wanted:
        measured = measured.without(failures(one))
    if not measured.rows:
        first = measured.left_out[0]
        raise DatasetError(f"no picture of {str(what)!r} can be read; the first is {first.path}: {first.reason}.")
    answers = answered(network, network.trunks, wanted, measured.rows, own.classes)
    seen = _trained_on(own, measured)
    if seen and not inside:
        say(
            f"The run was trained on {seen:,} of these {counted(len(measured.rows), 'picture')}: "
            "what it says of them flatters it. 'topwork evaluate RUN' alone measures its test part."
        )
    scores = _measured(folder, answers, own.classes)
    _draw_again(folder, given, lacking, *((answers, scores) if what == "test" else ()))
    return {
        "part": what if inside else "data",
        **scores,
        "sample": _sample(taken, rows),
        "trained_on": seen,
        "left_out": {gone.path: gone.reason for gone in measured.left_out},
        "unknown_classes": unknown,
        "notes": [*_warned(scores), *(_explained(folder, own) if inside else [])],
    }


def _trained_on(own: Dataset, measured: Dataset) -> int:
    """How many rows show a picture of the run's training part."""
    known = {content for row in own.part("train") for _, content in row.pictures}
    return sum(not known.isdisjoint(content for _, content in row.pictures) for row in measured.rows)


def sampled(rows: Sequence[Row], count: int) -> tuple[Row, ...]:
    """A seeded sample of at most *count* rows, in their order."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:count])
    return tuple(rows[i] for i in chosen)


def conclude(
    folder: Folder, network: Network, data: Dataset, last: Step, exact: Sequence[Wanted], pencil: Pencil
) -> dict[str, Any]:
    """Measure the test part of a run that was trained; write predictions and plots.

    Args:
        folder: the run.
        network: with its final weights.
        data: the run's dataset.
        last: the last phase; exact: the exact fills of the test part.
        pencil: what draws.

    Returns:
        The run's results but for its cost.
    """
    journal = folder.journal
    _draw(pencil, folder, data, ["curves.png"])
    results, answers = examined(folder, network, data, exact, pencil)
    results["notes"] += _explained(folder, data)
    results["phases"] = kept_epochs(journal)
    if answers:
        below = [one.trunk() for one in last.wanted]
        as_stored = answered(network, below, last.wanted, answers.rows, data.classes)
        results["as_stored"] = _compared(answers, as_stored, last.wanted)
    return results


def examined(
    folder: Folder, network: Answering, data: Dataset, exact: Sequence[Wanted], pencil: Pencil
) -> tuple[dict[str, Any], Answers | None]:
    """What any run comes to on its test part, written down and drawn; and its answers, where there is one."""
    results: dict[str, Any] = {"accuracy": None, "pictures": data.counts(), "left_out": len(data.left_out)}
    results["notes"] = [*data.notes, *_untrained(folder)]
    if not data.part("test"):
        return results, None
    bad = {content for one in exact for content in failures(one)}
    rows = [row for row in exact[0].rows if not any(content in bad for _, content in row.pictures)]
    answers = answered(network, network.trunks, exact, rows, data.classes)
    scores = _measured(folder, answers, data.classes)
    results["notes"] += _warned(scores)
    predictions.write(folder.path / "predictions.csv", answers.rows, answers.probabilities, data.classes)
    _draw(pencil, folder, data, ["confusion.png", "predictions.png"], answers, scores)
    sample = _sample(exact[0].rows, data.part("test"))
    return results | {"accuracy": scores["accuracy"], "test": scores, "sample": sample}, answers


def lacks(folder: Folder) -> list[str]:
    """The files of plots that a finished run could have and has not: it was not possible to draw them."""
    about = folder.environment
    names = [] if folder.origins else ["curves.png"]
    if (folder.path / "predictions.csv").exists():
        names += ["confusion.png"] + (["predictions.png"] if about["data"] or about.get("source") else [])
    return [name for name in names if not (folder.path / name).exists()]


def _draw_again(folder: Folder, data: Dataset, lacking: Sequence[str], *measured: Any) -> None:
    """Draw what a run lacks, and say so."""
    if not lacking:
        return
    with Pencil(folder.path) as pencil:
        _draw(pencil, folder, data, lacking, *measured)
    if made := [name for name in lacking if (folder.path / name).exists()]:
        say(f"Drawn, as the run had none: {', '.join(made)}")


def _draw(
    pencil: Pencil,
    folder: Folder,
    data: Dataset,
    names: Sequence[str],
    answers: Answers | None = None,
    scores: dict[str, Any] | None = None,
) -> None:
    """Ask for some of a run's plots, as far as what they show is given."""
    if "curves.png" in names:
        pencil.draw("curves", folder.path / "curves.png", folder.journal, auc=len(data.classes) == 2)
    if scores is not None and "confusion.png" in names:
        pencil.draw("confusion", folder.path / "confusion.png", scores["confusion"], data.classes)
    if answers is not None and "predictions.png" in names and (data.root or data.pixels is not None):
        shown = gallery(data, answers.rows, answers.labels, answers.probabilities)
        pencil.draw("predictions", folder.path / "predictions.png", shown)


def _measured(folder: Folder, answers: Answers, classes: Sequence[str]) -> dict[str, Any]:
    """All scores; those of a join's members beside it."""
    each = [metrics.measure(answers.labels, said, classes) for said in answers.members]
    members = [
        {"run": name, "accuracy": one["accuracy"], "loss": one["loss"]} for name, one in zip(folder.origins, each)
    ]
    found = metrics.measure(answers.labels, answers.probabilities, classes)
    return found | ({"members": members} if members else {})


def _untrained(folder: Folder) -> list[str]:
    used = {name: one for run in folder.members() or [folder] for name, one in run.recipe.backbones.items()}
    names = [repr(name) for name, backbone in used.items() if backbone.weights == "random"]
    return [f"Random weights in {', '.join(names)}: nothing below the cut was ever trained."] if names else []


def _warned(scores: dict[str, Any]) -> list[str]:
    """That they may be those of one answer to every picture, where they may."""
    found = chance(scores)
    return [found] if found else []


def _explained(folder: Folder, data: Dataset) -> list[str]:
    """Why validation went better than training, where it did."""
    found = gap(folder.journal, folder.recipe, len(data.part("val")))
    return [found] if found else []


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
        raise DatasetError(
            f"{error} To ask what the run says of pictures without labels: topwork export {folder.path} FILE.onnx, "
            "then topwork predict FILE.onnx PICTURE|FOLDER."
        ) from None
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


def answered(
    network: Answering, below: Sequence[Trunk], wanted: Sequence[Wanted], rows: Sequence[Row], classes: Sequence[str]
) -> Answers:
    """What a finished model says of rows, from the activations that fills have of them, a trunk each."""
    with gathered(wanted, classes) as part:
        found = part(rows)
        probabilities, *members = said(network, below, found)
    return Answers(tuple(rows), found.labels, probabilities, tuple(members))


def said(network: Answering, below: Sequence[Trunk], part: Part) -> list[np.ndarray]:
    """Probabilities of a part's rows, float64 ``[rows, classes]``; of a join followed by those of each member.

    Args:
        network: with its trained weights.
        below: a trunk for each term of its cut, of a join for those of each member, as its ``trunks`` are.
        part: their activations.
    """
    from topwork.callbacks import logits

    if isinstance(network, Network):
        return [softmax(logits(network.above(below), part))]
    assert isinstance(network, Joined)
    bounds = pairwise(accumulate((len(member.trunks) for member in network.members), initial=0))
    each = [
        said(member, below[start:end], Part(part.sources[start:end], part.labels, part.contents))[0]
        for member, (start, end) in zip(network.members, bounds)
    ]
    return [network.rule(np.array(each)), *each]


def _sample(taken: Sequence[Row], rows: Sequence[Row]) -> int | None:
    return len(taken) if len(taken) < len(rows) else None


def _compared(exact: Answers, as_stored: Answers, wanted: Sequence[Wanted]) -> dict[str, Any]:
    """What bfloat16 trunks and float16 activations change against the shipped model."""
    dtypes = [dtype for some in stored(wanted) for dtype in some or ()]
    return {
        "backbone": wanted[0].backbone.name,
        "precision": wanted[0].backbone.precision,
        "dtype": dtypes[0] if dtypes else None,
        "accuracy": float((as_stored.probabilities.argmax(1) == as_stored.labels).mean()),
        **metrics.agreement(exact.probabilities, as_stored.probabilities),
    }


AGREE = 0.98
"""Below this share of equal answers, what the trunk's precision changes is said aloud."""


def tell(results: dict[str, Any]) -> None:
    """Say the outcome in a sentence or two."""
    rate = results["accuracy"]
    if rate is None:
        say("No test part: the accuracy on new pictures is unknown.")
        return
    count = results["test"]["pictures"]
    interval = f"95 % interval {rate['low']:.3f} to {rate['high']:.3f}"
    took = duration(results["cost"]["total"])
    say(f"Test accuracy {rate['value']:.3f} on {counted(count, 'picture')} ({interval}); fill to test took {took}.")
    for warning in _warned(results["test"]):
        say(warning)
    stored = results.get("as_stored")
    if stored and stored["precision"] != "float32" and stored["top1_agreement"] < AGREE:
        differ = count - round(stored["top1_agreement"] * count)
        say(
            f"For speed the frozen part ran in {stored['precision']} while training; the finished model, tested here, "
            f"runs in float32. {differ:,} of {count:,} answers differ between the two. To train on "
            f"float32, slower: --set backbones.{stored['backbone']}.precision=float32"
        )
