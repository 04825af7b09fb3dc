"""Check an exported file on any machine, without the pictures that it was trained on.

The metadata have the answers of the file to a few drawn pictures, which come from a seed. If the file gives other
answers, then the file, its metadata or the runtime have changed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from topwork.data.dataset import Dataset
from topwork.errors import DatasetError, ExportError
from topwork.networks.outputs.names import DISTANCE, PROBABILITIES
from topwork.runs.scores import Rate
from topwork.scoring.intervals import difference, wilson
from topwork.shipping.formats.known import named
from topwork.shipping.metadata import Input
from topwork.shipping.predictor import Predictor
from topwork.system.messages import say, some
from topwork.system.records import Record

RULE = 1
"""How pictures are drawn. Increase it when `drawn` changes; files with earlier rules must still be checked."""

PICTURES, GRID = 16, 6
"""The number of drawn pictures; each is a grid of so many random colours in a row, made smooth."""

SEEDS = 8
"""So many seeds are tried until the answers differ."""

BOUNDS = {"float32": 1e-3, "float16": 0.03, "int8": 0.03}
"""The largest allowed difference of a probability, by the precision of the file.

The answers to different pictures must have at least this standard deviation, else they show nothing.
"""


@dataclass(frozen=True)
class Measured(Record):
    """The accuracy of a file on pictures that were given.

    Args:
        pictures: the number of pictures.
        accuracy: measured on them.
        claimed: the accuracy that the file has in its metadata; ``None`` if it has none.
        difference: *accuracy* less *claimed*, with the interval of two independent samples.
        unread: why pictures could not be read, by path.
        unknown: the numbers of pictures of classes that the file does not know. They are not measured.
    """

    pictures: int
    accuracy: Rate
    claimed: Rate | None
    difference: Rate | None
    unread: dict[str, str]
    unknown: dict[str, int]

    @property
    def is_worse(self) -> bool:
        """Whether the accuracy is significantly lower than claimed."""
        return self.difference is not None and self.difference.high < 0

    @property
    def is_better(self) -> bool:
        """Whether the accuracy is significantly higher than claimed, as on pictures that were learned."""
        return self.difference is not None and self.difference.low > 0


@dataclass(frozen=True)
class Checked(Record):
    """What a check found.

    Args:
        kind, precision: of the file.
        runtime: the name and the version of the installed runtime, as in ``"onnxruntime 1.32.0"``.
        written: the same of the runtime with which the file was written.
        pictures: the number of drawn pictures.
        largest_difference: of a probability, on the drawn pictures.
        bound: what is allowed.
        problem: what is wrong; empty if the file answers as it did.
        forced: if the file was kept although it answers otherwise than the model: how; else empty.
        measured: the accuracy on given pictures; ``None`` if none were given.
    """

    kind: str
    precision: str
    runtime: str
    written: str
    pictures: int
    largest_difference: float
    bound: float
    problem: str
    forced: str
    measured: Measured | None = None


def described(predictor: Predictor) -> dict[str, Any]:
    """Return what the metadata of a file need for its check: ``check`` and ``runtime``.

    If all answers are alike, as those of a head that is not trained, nothing could be checked; a line says so.
    """
    about = predictor.about
    found = {"runtime": runtime(about["kind"])}
    for seed in range(SEEDS):
        outputs = predictor.outputs(*drawn(predictor.inputs, seed))
        answers, far = outputs[PROBABILITIES], outputs.get(DISTANCE)
        if answers.std(0).max() >= BOUNDS[about["precision"]]:
            distances = {} if far is None else {"distances": far.round(6).tolist()}
            return found | {"check": {"rule": RULE, "seed": seed, "answers": answers.round(7).tolist()} | distances}
    say("The file answers alike for all drawn pictures, so that 'topwork check' cannot check it later.")
    return found


def check(path: Path, data: Any = None) -> Checked:
    """Compare the answers of a file to the drawn pictures with those that it gave when it was written.

    Args:
        path: the file.
        data: labelled pictures on which its accuracy is measured: a dataset, or anything that `topwork.read` takes.

    Raises:
        ExportError: the file is missing or damaged, or its metadata have no answers.
        MissingExtra: the runtime of its format is not installed.
        DatasetError: no picture has a class of the file, or none can be read.
    """
    predictor = Predictor(path)
    about = predictor.about
    known = about.get("check")
    if about["format"] == 1:
        raise ExportError(f"{str(path)!r} was written before files had answers to compare with: export the run again.")
    if not known:
        raise ExportError(
            f"{str(path)!r} cannot be checked: when it was written, it answered alike for all drawn pictures."
        )
    if known["rule"] > RULE:
        raise ExportError(f"{str(path)!r} is checked by rule {known['rule']}: pip install --upgrade topwork.")
    expected = np.array(known["answers"])
    outputs = predictor.outputs(*drawn(predictor.inputs, known["seed"]))
    found = outputs[PROBABILITIES]
    if found.shape != expected.shape:
        raise ExportError(f"the metadata of {str(path)!r} are those of another file: export the run again.")
    bound = BOUNDS[about["precision"]]
    largest, problem = _compared(found, expected, bound)
    if not problem and "distances" in known:
        problem = _moved(outputs[DISTANCE], np.array(known["distances"]), bound)
    kind = named(about["kind"]).name
    return Checked(
        kind=kind,
        precision=about["precision"],
        runtime=runtime(kind),
        written=about["runtime"],
        pictures=len(expected),
        largest_difference=largest,
        bound=bound,
        problem=problem,
        forced=about.get("forced", ""),
        measured=None if data is None else measured(predictor, data),
    )


def _compared(found: np.ndarray, expected: np.ndarray, bound: float) -> tuple[float, str]:
    """Return the largest difference of a probability, and what is wrong; ``""`` if nothing is."""
    largest = float(np.nan_to_num(np.abs(found - expected), nan=np.inf).max())
    best = np.sort(expected, axis=1)[:, -2:]
    is_clear = best[:, 1] - best[:, 0] > bound
    others = int((found.argmax(1) != expected.argmax(1))[is_clear].sum())
    problems = []
    if largest > bound:
        problems.append(f"a probability differs by {largest:.2g} (at most {bound:g} was expected)")
    problems += [f"{others} of {len(expected)} answers are another class"] if others else []
    return largest, " and ".join(problems)


def _moved(found: np.ndarray, expected: np.ndarray, bound: float) -> str:
    """Return what is wrong with the distances; ``""`` if nothing is."""
    moved = float(np.nan_to_num(np.abs(found - expected), nan=np.inf).max() / max(np.abs(expected).max(), 1e-6))
    return f"a distance differs by {moved:.2g} of the largest (at most {bound:g} was expected)" if moved > bound else ""


def runtime(kind: str) -> str:
    """Return the name and the version of the installed runtime of a format."""
    module = named(kind).reads[0]
    for name in (module, f"{module}-cpu"):
        try:
            return f"{module} {version(name)}"
        except PackageNotFoundError:
            continue
    return module


def drawn(inputs: Sequence[Input], seed: int) -> list[np.ndarray]:
    """Return the drawn pictures: one array for each input, uint8 ``[PICTURES, height, width, 3]``.

    The colours are bytes of SHA-256 in counter mode. Between them, the values are interpolated linearly.

    >>> from topwork.data.pictures import Fit
    >>> (found,) = drawn([Input("pixels", None, Fit((4, 6)))], 0)
    >>> found.shape, found[0, 0, 0].tolist()
    ((16, 4, 6, 3), [233, 17, 159])
    """
    return [
        np.stack([_smooth(_colours(f"{seed} {place} {number}"), one.fit.size) for number in range(PICTURES)])
        for place, one in enumerate(inputs)
    ]


def _colours(name: str) -> np.ndarray:
    """Return random colours, uint8 ``[GRID, GRID, 3]``."""
    count = GRID * GRID * 3
    blocks = (sha256(f"topwork {RULE} {name} {block}".encode()).digest() for block in range(-(-count // 32)))
    return np.frombuffer(b"".join(blocks)[:count], np.uint8).reshape(GRID, GRID, 3)


def _smooth(colours: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    values = colours.astype(np.float64)
    for axis, length in enumerate(size):
        places = np.linspace(0, GRID - 1, length)
        low = np.minimum(places.astype(int), GRID - 2)
        share = (places - low).reshape([-1 if n == axis else 1 for n in range(3)])
        values = np.take(values, low, axis) * (1 - share) + np.take(values, low + 1, axis) * share
    return np.floor(values + 0.5).astype(np.uint8)


def measured(predictor: Predictor, data: Any) -> Measured:
    """Measure the accuracy of a file on labelled pictures.

    Args:
        predictor: has opened the file.
        data: a dataset, or anything that `topwork.read` takes.

    Raises:
        DatasetError: no picture has a class of the file, or none can be read.
    """
    from topwork.data.readers import undrawn

    rows = data if isinstance(data, Dataset) else undrawn(data)
    known = [row for row in rows.rows if row.label in predictor.labels]
    unknown = Counter(row.label for row in rows.rows if row.label not in predictor.labels)
    if not known:
        raise DatasetError(
            f"no picture has a class of the file: expected {some([*map(repr, predictor.labels)])}, got "
            f"{some([*map(repr, unknown)])}."
        )
    pictures: list[Any] = []
    for row in known:
        own = {column: rows.picture(name) for column, (name, _) in zip(rows.columns, row.pictures)}
        pictures.append(own if predictor.columns else own[rows.columns[0]])
    guesses = list(predictor(pictures))
    unread = {gone.path: gone.reason for gone in rows.left_out}
    unread |= {row.path: guess.error for guess, row in zip(guesses, known) if guess.error}
    right = [guess.label == row.label for guess, row in zip(guesses, known) if not guess.error]
    if not right:
        path, reason = next(iter(unread.items()))
        raise DatasetError(f"no picture can be read; the first is {path}: {reason}.")
    value = sum(right) / len(right)
    accuracy = Rate(value, *wilson(value, len(right)))
    own_accuracy = (predictor.about.get("scores") or {}).get("accuracy")
    claimed = Rate.from_json(own_accuracy) if own_accuracy else None
    return Measured(len(right), accuracy, claimed, claimed and _less(accuracy, claimed), unread, dict(unknown))


def _less(measured: Rate, claimed: Rate) -> Rate:
    ends = difference(claimed.value, (claimed.low, claimed.high), measured.value, (measured.low, measured.high))
    return Rate(measured.value - claimed.value, *ends)
