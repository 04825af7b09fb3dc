"""Evaluation: what the shipped model, flat and in float32, says of pictures that it was not trained on.

The trunk runs in float32 (the same converted file that filled the store), the top in Keras. What the store's own
activations (bfloat16, kept as float16) would have said is measured beside it.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from topwork import lean, metrics, registry
from topwork.dataset import PARTS, Dataset, Row
from topwork.draw import Pencil
from topwork.errors import DatasetError
from topwork.extract import Extraction, Wanted, failures
from topwork.folder import Folder
from topwork.gather import gathered, stored
from topwork.network import Network, restore
from topwork.plan import Step, steps
from topwork.readers import read
from topwork.talk import Watch, counted, duration, say
from topwork.trunk import Trunk

SAMPLE = 2000
"""Pictures that an evaluation takes at most; a seeded sample where there are more."""


@dataclass(frozen=True)
class Answers:
    """What a model says of some rows: their labels' positions, and probabilities float64 ``[rows, classes]``."""

    rows: tuple[Row, ...]
    labels: np.ndarray
    probabilities: np.ndarray


def evaluate(folder: Folder, what: "str | Path | tuple | Dataset" = "test") -> dict[str, Any]:
    """Measure a finished run.

    Args:
        folder: the run.
        what: ``"test"``, ``"val"`` or ``"train"``: a part of the run's own pictures; or other data with the same
            classes, all of which is measured.

    Returns:
        What `topwork.metrics.measure` gives, with ``part``, ``sample`` (pictures taken where not all were, else
        ``None``), ``trained_on`` (how many of those measured the run was trained on) and ``left_out`` (path and reason
        of each).

    Raises:
        DatasetError: the part is empty, or the data has a class that the run does not know.
    """
    own = folder.data()
    inside = isinstance(what, str) and what in PARTS
    data = own if inside else _other(what, own.classes)
    rows = own.part(str(what)) if inside else data.rows
    if not rows:
        raise DatasetError(f"the {what} part of {str(folder.path)!r} is empty: nothing can be measured on it.")
    taken = sampled(rows, SAMPLE)
    registry.remember(folder.path)  # it may have been moved
    wanted = steps(folder.recipe)[-1].of(data).exact(taken)
    _refuse_gone(data, wanted)
    with Watch() as watch, Extraction(data, wanted, watch.report) as extraction:
        lean.import_keras()
        network = restore(folder)
        extraction.wait_all(range(len(wanted)))
    measured = replace(data, rows=taken, left_out=() if inside else data.left_out)
    for one in wanted:
        measured = measured.without(failures(one))
    if not measured.rows:
        first = measured.left_out[0]
        raise DatasetError(f"no picture of {str(what)!r} can be read; the first is {first.path}: {first.reason}.")
    answers = _answers(network, network.trunks, wanted, measured.rows, own.classes)
    seen = _trained_on(own, measured)
    if seen and not inside:
        say(
            f"The run was trained on {seen:,} of these {counted(len(measured.rows), 'picture')}: "
            "what it says of them flatters it. 'topwork evaluate RUN' alone measures its test part."
        )
    return {
        "part": what if inside else "data",
        **metrics.measure(answers.labels, answers.probabilities, own.classes),
        "sample": _sample(taken, rows),
        "trained_on": seen,
        "left_out": {gone.path: gone.reason for gone in measured.left_out},
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
    folder: Folder, network: Network, data: Dataset, last: Step, shipped: Sequence[Wanted], pencil: Pencil
) -> dict[str, Any]:
    """Measure the test part; write predictions and plots.

    Args:
        folder: the run.
        network: with its final weights.
        data: the run's dataset.
        last: the last phase; shipped: the exact fills of the test part.
        pencil: what draws.

    Returns:
        The run's results but for its cost.
    """
    journal = folder.journal
    pencil.draw("curves", folder.path / "curves.png", journal)
    results: dict[str, Any] = {"accuracy": None, "pictures": data.counts(), "left_out": len(data.left_out)}
    results |= {"notes": [*data.notes, *_untrained(folder)], "phases": _best(journal)}
    if not data.part("test"):
        return results
    bad = {content for one in shipped for content in failures(one)}
    rows = [row for row in shipped[0].rows if not any(content in bad for _, content in row.pictures)]
    answers = _answers(network, last.trunks(), shipped, rows, data.classes)
    scores = metrics.measure(answers.labels, answers.probabilities, data.classes)
    _write_predictions(folder.path / "predictions.csv", answers, data.classes)
    pencil.draw("confusion", folder.path / "confusion.png", scores["confusion"], data.classes)
    as_stored = _answers(network, [one.trunk() for one in last.wanted], last.wanted, rows, data.classes)
    return results | {
        "accuracy": scores["accuracy"],
        "test": scores,
        "sample": _sample(shipped[0].rows, data.part("test")),
        "as_stored": _compared(answers, as_stored, last.wanted),
    }


def _untrained(folder: Folder) -> list[str]:
    names = [repr(name) for name, backbone in folder.recipe.backbones.items() if backbone.weights == "random"]
    return [f"Random weights in {', '.join(names)}: nothing below the cut was ever trained."] if names else []


def _refuse_gone(data: Dataset, wanted: Sequence[Wanted]) -> None:
    """Arrays are not kept in the run: only what the store holds of them can be measured again."""
    if not data.root and data.pixels is None and any(one.missing() for one in wanted):
        raise DatasetError(
            "the run was trained on arrays, and these are not kept: give them, as in run.evaluate((X, y)), "
            "or evaluate the test part."
        )


def _other(what: Any, classes: Sequence[str]) -> Dataset:
    data = what if isinstance(what, Dataset) else read(what)
    strangers = [label for label in data.classes if label not in classes]
    if strangers:
        raise DatasetError(
            f"the run knows no class {strangers[0]!r}: its classes are {', '.join(map(repr, classes))}. "
            "Rename the class, or leave it out."
        )
    return data


def _answers(
    network: Network, below: Sequence[Trunk], wanted: Sequence[Wanted], rows: Sequence[Row], classes: Sequence[str]
) -> Answers:
    from topwork.callbacks import logits

    with gathered(wanted, classes) as part:
        found = part(rows)
        outputs = logits(network.above(below), found)
    return Answers(tuple(rows), found.labels, metrics.softmax(outputs))


def _sample(taken: Sequence[Row], rows: Sequence[Row]) -> int | None:
    return len(taken) if len(taken) < len(rows) else None


def _compared(shipped: Answers, as_stored: Answers, wanted: Sequence[Wanted]) -> dict[str, Any]:
    """What bfloat16 trunks and float16 activations change against the shipped model."""
    dtypes = [dtype for some in stored(wanted) for dtype in some or ()]
    return {
        "backbone": wanted[0].backbone.name,
        "precision": wanted[0].backbone.precision,
        "dtype": dtypes[0] if dtypes else None,
        "accuracy": float((as_stored.probabilities.argmax(1) == as_stored.labels).mean()),
        **metrics.agreement(shipped.probabilities, as_stored.probabilities),
    }


def _best(journal: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The line of each phase's best epoch: what its weights scored when they were kept."""
    phases: dict[int, dict[str, Any]] = {}
    for line in journal:
        best = phases.get(line["phase"])
        if best is None or _score(line) < _score(best):
            phases[line["phase"]] = line
    return list(phases.values())


def _score(line: dict[str, Any]) -> float:
    loss = line.get("val_loss", -line["epoch"])
    return float("inf") if loss is None else float(loss)


def _write_predictions(path: Path, answers: Answers, classes: Sequence[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "predicted", *classes])
        for row, found in zip(answers.rows, answers.probabilities):
            table.writerow([row.path, row.label, classes[found.argmax()], *(f"{p:.6g}" for p in found)])


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
    stored = results["as_stored"]
    if stored["top1_agreement"] < AGREE:
        say(
            f"For speed the frozen part ran in {stored['precision']} while training; the finished model, tested here, "
            f"runs in float32. {stored['disagreements']} of {count:,} answers differ between the two. To train on "
            f"float32, slower: --set backbones.{stored['backbone']}.precision=float32"
        )
