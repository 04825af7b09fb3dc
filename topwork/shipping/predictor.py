"""Classify pictures with an exported model. This needs NumPy, Pillow and the runtime of the file, as onnxruntime."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from topwork.data.picture_files import MAX_MEGAPIXELS
from topwork.data.pictures import load
from topwork.errors import DatasetError, PictureError, UsageError
from topwork.shipping import metadata
from topwork.shipping.metadata import Input
from topwork.shipping.sessions import Session
from topwork.system.machine import jobs
from topwork.system.messages import named

Picture = str | Path | bytes | np.ndarray
Pictures = Picture | Mapping[str, Picture]
"""One row: a single picture, or a mapping from column names to pictures."""

BATCH = 16
"""The number of rows in one call of the network. At most twice this number of decoded rows are in memory."""


@dataclass(frozen=True)
class Guess:
    """The model's answer for one row.

    Args:
        path: the path of the picture. If the row has several pictures: the path of the first picture. For bytes and
            arrays: a text such as ``"pictures[3]"``.
        label: the most probable class. ``""`` if a picture of the row cannot be read.
        probability: the probability of *label*.
        probabilities: the probability of each class, in the order of `Predictor.labels`.
        error: why a picture of the row cannot be read. ``None`` if all pictures of the row were read.
    """

    path: str
    label: str
    probability: float
    probabilities: dict[str, float]
    error: str | None = None

    def __repr__(self) -> str:
        answer = self.error or f"{self.label!r}, {self.probability:.3f}"
        return f"<Guess: {self.path!r}, {answer}>"


class Predictor:
    """An exported model, ready to classify pictures.

    Args:
        path: a file that topwork exported, in any of its formats; or a run folder: a file that the run was exported to
            (`topwork.shipping.exported.best`).
        max_megapixels: pictures with more megapixels are not read.

    Raises:
        ExportError: the file is missing or damaged, was not exported by topwork, or has a newer version.
        MissingExtra: the runtime of its format is not installed.

    Example:
        >>> predictor = Predictor("flowers.onnx")                # doctest: +SKIP
        >>> for guess in predictor(["rose.jpg", "tulip.jpg"]):   # doctest: +SKIP
        ...     print(guess.path, guess.label, guess.probability)
    """

    labels: tuple[str, ...]
    """The classes, in the order of the probabilities."""
    inputs: tuple[Input, ...]
    """The inputs of the model, with the size and resize rule for their pictures."""
    about: dict[str, Any]
    """The file's metadata: labels, inputs, cut, backbones, scores, versions."""

    def __init__(self, path: str | Path, max_megapixels: float = MAX_MEGAPIXELS) -> None:
        self._begin(*metadata.opened(Path(path)), max_megapixels)

    @classmethod
    def of(cls, session: "Session", about: dict[str, Any], inputs: Sequence[Input]) -> "Predictor":
        """Return a predictor whose answers come from *session*; see `topwork.shipping.metadata.opened`."""
        made = cls.__new__(cls)
        made._begin(session, about, tuple(inputs), MAX_MEGAPIXELS)
        return made

    def _begin(
        self, session: "Session", about: dict[str, Any], inputs: tuple[Input, ...], max_megapixels: float
    ) -> None:
        self._session, self.about, self.inputs, self._max_megapixels = session, about, inputs, max_megapixels
        self.labels = tuple(about["labels"])

    def __repr__(self) -> str:
        cuts = ", ".join(one["cut"] for one in self.about.get("members", [self.about]))
        return f"<Predictor: {len(self.labels):,} classes, {cuts}>"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the pictures in a row. Empty if each row is a single picture."""
        return tuple(dict.fromkeys(one.picture for one in self.inputs if one.picture))

    def __call__(self, pictures: Iterable[Pictures]) -> Iterator[Guess]:
        """Return one guess per row, in order.

        Later rows are read while earlier rows are classified. At most a few batches are in memory. If a picture cannot
        be read, the guess for its row has an ``error``, and the other rows are still classified.

        Args:
            pictures: an iterable of rows. A row is a path, the bytes of a picture file, or a uint8 array ``[h, w]`` or
                ``[h, w, 1 | 3 | 4]`` of any size. Pictures of the same size can also be a single array ``[n, h, w]`` or
                ``[n, h, w, 1 | 3 | 4]``. If the model takes several pictures per row, a row is a mapping from each name
                in `columns` to a picture.

        Raises:
            UsageError: a single row was given instead of an iterable of rows, or a row lacks a picture.
        """
        if isinstance(pictures, np.ndarray):
            is_one = pictures.ndim < 3 or (pictures.ndim == 3 and pictures.shape[2] in (1, 3, 4))
        else:
            is_one = isinstance(pictures, str | bytes | Path | Mapping)
        if is_one:
            what = "row" if isinstance(pictures, Mapping) else "picture"
            raise UsageError(f"expected several {what}s, got one: put it in a list: [{what}].")
        return self._guesses(pictures)

    def probabilities(self, *pixels: np.ndarray) -> np.ndarray:
        """Run only the network, on pixels that already have the network's input size.

        Args:
            pixels: one array for each of `inputs`: RGB, uint8 ``[n, height, width, 3]``.

        Returns:
            The probabilities, float32 ``[n, classes]``.

        Raises:
            DatasetError: an array has a wrong dtype or shape, there is not one array for each input, or the arrays have
                different numbers of rows.
        """
        if len(pixels) != len(self.inputs):
            raise DatasetError(
                f"got {len(pixels)} of {len(self.inputs)} arrays: expected one for each input of the model."
            )
        for one, array in zip(self.inputs, pixels):
            if array.dtype != np.uint8 or array.shape[1:] != (*one.fit.size, 3):
                expected = ", ".join(map(str, ("n", *one.fit.size, 3)))
                given = f"{array.dtype} {list(array.shape)}"
                raise DatasetError(f"{given} are not pixels for this model: expected uint8 [{expected}].")
        if len(counts := {len(array) for array in pixels}) > 1:
            raise DatasetError(f"the arrays have {named(sorted(counts))} rows: expected the same number in each.")
        answers = [np.zeros((0, len(self.labels)), np.float32)]
        for start in range(0, len(pixels[0]), BATCH):
            batch = {one.name: array[start : start + BATCH] for one, array in zip(self.inputs, pixels)}
            answers.append(self._session.run(batch))
        return np.concatenate(answers)

    def _guesses(self, pictures: Iterable[Pictures]) -> Iterator[Guess]:
        """Yield the guesses. While one batch is in the network, the next batch is read."""
        pool = ThreadPoolExecutor(jobs())
        rows = ((number, self._taken(number, row)) for number, row in enumerate(pictures))
        waiting: deque[list[tuple[str, Future]]] = deque()
        try:
            while batch := list(islice(rows, BATCH)):
                waiting.append([])
                for number, row in batch:
                    name = str(row[0]) if isinstance(row[0], str | Path) else f"pictures[{number}]"
                    waiting[-1].append((name, pool.submit(self._pixels, row)))
                if len(waiting) > 1:
                    yield from self._answers(waiting.popleft())
            while waiting:
                yield from self._answers(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _taken(self, number: int, row: Pictures) -> list[Picture]:
        """Return the picture of a row that each input takes."""
        if not isinstance(row, Mapping):
            if len(self.columns) < 2:
                return [row] * len(self.inputs)
        elif self.columns and set(self.columns) <= set(row):
            return [row[one.picture or ""] for one in self.inputs]

        held = f"holds {named(row) or 'nothing'}" if isinstance(row, Mapping) else "is one picture"
        takes, expected = "one picture", "that picture alone"
        if self.columns:
            takes, expected = named(self.columns), "{" + ", ".join(f"{name!r}: ..." for name in self.columns) + "}"
        raise UsageError(f"pictures[{number}] {held}, but the model takes {takes} per row: expected {expected}.")

    def _pixels(self, row: Sequence[Picture]) -> list[np.ndarray] | str:
        """Return the pixels of a row for each input; or, if a picture cannot be read, the reason."""
        found = []
        for one, picture in zip(self.inputs, row):
            try:
                found.append(load(picture, one.fit, self._max_megapixels))
            except PictureError as error:
                path = f" ({str(picture)!r})" if isinstance(picture, str | Path) else ""
                return f"the picture {one.picture!r}{path}: {error}" if len(self.columns) > 1 else str(error)
        return found

    def _answers(self, batch: list[tuple[str, Future]]) -> Iterator[Guess]:
        """Yield the guesses for one batch. The pixels of the batch are freed when this generator ends."""
        read = [(name, future.result()) for name, future in batch]
        pixels = [result for _, result in read if not isinstance(result, str)]
        answers = iter(self.probabilities(*map(np.stack, zip(*pixels))) if pixels else ())
        for name, result in read:
            if isinstance(result, str):
                yield Guess(name, "", 0.0, {}, result)
                continue
            answer = next(answers)
            best = int(answer.argmax())
            yield Guess(name, self.labels[best], float(answer[best]), dict(zip(self.labels, answer.tolist())))
