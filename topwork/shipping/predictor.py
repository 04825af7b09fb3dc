"""Classify pictures with an exported model. This needs NumPy, Pillow and the runtime of the file, as onnxruntime."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from topwork.data.picture_files import MAX_MEGAPIXELS
from topwork.data.pictures import glance
from topwork.errors import DatasetError, PictureError, UsageError
from topwork.networks.outputs.names import DISTANCE, PROBABILITIES
from topwork.shipping import metadata
from topwork.shipping.answers import Answer, Guess
from topwork.shipping.heat import Heat, heats
from topwork.shipping.metadata import Input
from topwork.shipping.sessions import Session
from topwork.system.machine import jobs
from topwork.system.messages import named, some

Picture = str | Path | bytes | np.ndarray
Pictures = Picture | Mapping[str, Picture]
"""One row: a single picture, or a mapping from column names to pictures."""

SHARED = ("onnx", "page")
"""The formats whose runtime answers several threads at once."""

BATCH = 16
"""The number of rows in one call of the network. At most twice this number of decoded rows are in memory."""


class Predictor:
    """An exported model, ready to classify pictures.

    Args:
        path: a file that topwork exported, in any of its formats; or a run folder: a file that the run was exported to
            (`topwork.shipping.exported.best`).
        max_megapixels: pictures with more megapixels are not read.
        threads: in which the network computes; by default, one for each processor.

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
    _place: Path | None

    def __init__(self, path: str | Path, max_megapixels: float = MAX_MEGAPIXELS, threads: int | None = None) -> None:
        self._begin(*metadata.opened(Path(path), threads), max_megapixels)
        self._place = None if threads else metadata.file_of(Path(path))

    @classmethod
    def of(cls, session: "Session", about: dict[str, Any], inputs: Sequence[Input]) -> "Predictor":
        """Return a predictor whose answers come from *session*; see `topwork.shipping.metadata.opened`."""
        made = cls.__new__(cls)
        made._place = None
        made._begin(session, about, tuple(inputs), MAX_MEGAPIXELS)
        return made

    def _begin(
        self, session: "Session", about: dict[str, Any], inputs: tuple[Input, ...], max_megapixels: float
    ) -> None:
        self._session, self.about, self.inputs, self._max_megapixels = session, about, inputs, max_megapixels
        self.labels = tuple(about["labels"])
        self._threshold = about.get(DISTANCE, {}).get("threshold")

    def __repr__(self) -> str:
        cuts = ", ".join(one["cut"] for one in self.about.get("members", [self.about]))
        return f"<Predictor: {len(self.labels):,} classes, {cuts}>"

    @property
    def is_shared(self) -> bool:
        """Whether several threads may call `answer` and `outputs` at once."""
        return self.about.get("kind", "onnx") in SHARED

    @cached_property
    def _in_threads(self) -> "Predictor | None":
        """The same file, for answers in one thread per picture: for many pictures, this takes a quarter less time.

        It has the weights once more. ``None`` if the runtime cannot do this.
        """
        return Predictor(self._place, self._max_megapixels, threads=1) if self._place and self.is_shared else None

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
        return (self.guess(answer) for answer in self.answers(pictures))

    def guess(self, answer: Answer) -> Guess:
        """Return what an answer says about the classes."""
        if answer.error:
            return Guess(answer.path, "", 0.0, {}, answer.error)
        each = answer.outputs[PROBABILITIES]
        best = int(each.argmax())
        far = float(answer.outputs[DISTANCE]) if DISTANCE in answer.outputs else None
        known = None if far is None or self._threshold is None else far <= self._threshold
        probabilities = dict(zip(self.labels, each.tolist()))
        return Guess(answer.path, self.labels[best], float(each[best]), probabilities, None, known, far)

    def heat(self, pictures: Iterable[Pictures], label: str | None = None) -> Iterator[Heat]:
        """Return heat maps, in order: what in each picture speaks for its answer, or for *label*.

        If the file has no map, parts of the picture are covered in turn, which takes 50 times as long as an answer.

        Args:
            pictures: as in `__call__`. A row with several pictures has a heat map for each.
            label: a class.

        Raises:
            UsageError: there is no such class.

        Example:
            >>> for heat in predictor.heat(["rose.jpg"]):   # doctest: +SKIP
            ...     heat.image().save("rose-heat.png")
        """
        if label is not None and label not in self.labels:
            raise UsageError(f"there is no class {label!r}: expected one of {some([*map(repr, self.labels)])}.")
        for answer in self.answers(pictures):
            yield from self.explain(answer, label)

    def explain(self, answer: Answer, label: str | None = None) -> list[Heat]:
        """Return the heat map of each picture of an answered row; see `heat`."""
        if answer.error:
            return [Heat.unread(answer.path, answer.error)]
        number = self.labels.index(label) if label is not None else int(answer.outputs[PROBABILITIES].argmax())
        return heats(answer, self.inputs, lambda pixels: self.probabilities(*pixels), number, self.labels[number])

    def answers(self, pictures: Iterable[Pictures]) -> Iterator[Answer]:
        """Return what the network says of each row, in order; see `__call__`."""
        if isinstance(pictures, np.ndarray):
            is_one = pictures.ndim < 3 or (pictures.ndim == 3 and pictures.shape[2] in (1, 3, 4))
        else:
            is_one = isinstance(pictures, str | bytes | Path | Mapping)
        if is_one:
            what = "row" if isinstance(pictures, Mapping) else "picture"
            raise UsageError(f"expected several {what}s, got one: put it in a list: [{what}].")
        return self._answers(pictures)

    def answer(self, row: Pictures, name: str) -> Answer:
        """Answer one row in the thread of the caller; several threads may call this at once.

        Args:
            row: as in `__call__`.
            name: the ``path`` of the answer.
        """
        return self._whole(name, self._taken(0, row))

    def _whole(self, name: str, row: Sequence[Picture]) -> Answer:
        return next(self._joined([self._read(name, row)]))

    def probabilities(self, *pixels: np.ndarray) -> np.ndarray:
        """Run only the network, on pixels that already have the network's input size; see `outputs`.

        Returns:
            The probabilities, float32 ``[n, classes]``.
        """
        return self.outputs(*pixels)[PROBABILITIES]

    def outputs(self, *pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Run only the network, on pixels that already have the network's input size.

        Args:
            pixels: one array for each of `inputs`: RGB, uint8 ``[n, height, width, 3]``.

        Returns:
            The outputs by name, with *n* rows: ``probabilities``, and what else the file has; see
            `topwork.networks.outputs.complete`. Without rows, only the probabilities.

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
        found = []
        for start in range(0, len(pixels[0]), BATCH):
            batch = {one.name: array[start : start + BATCH] for one, array in zip(self.inputs, pixels)}
            found.append(self._session.run(batch))
        if not found:
            return {PROBABILITIES: np.zeros((0, len(self.labels)), np.float32)}
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    def _answers(self, pictures: Iterable[Pictures]) -> Iterator[Answer]:
        """Yield the answers. While one batch is answered, the next batch is read."""
        pool = ThreadPoolExecutor(jobs())
        rows = ((number, self._taken(number, row)) for number, row in enumerate(pictures))
        waiting: deque[list[Future[Answer]]] = deque()
        try:
            while batch := list(islice(rows, BATCH)):
                waiting.append([])
                lone = self._in_threads if len(batch) == BATCH else None
                for number, row in batch:
                    name = str(row[0]) if isinstance(row[0], str | Path) else f"pictures[{number}]"
                    waiting[-1].append(pool.submit(lone._whole if lone else self._read, name, row))
                if len(waiting) > 1:
                    yield from self._answered(waiting.popleft())
            while waiting:
                yield from self._answered(waiting.popleft())
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

    def _read(self, name: str, row: Sequence[Picture]) -> Answer:
        """Return an answer without outputs: the pixels of a row for each input, or why a picture cannot be read."""
        pixels, sizes = [], []
        for one, picture in zip(self.inputs, row):
            try:
                found, size = glance(picture, one.fit, self._max_megapixels)
            except PictureError as error:
                path = f" ({str(picture)!r})" if isinstance(picture, str | Path) else ""
                told = f"the picture {one.picture!r}{path}: {error}" if len(self.columns) > 1 else str(error)
                return Answer(name, error=told)
            pixels.append(found)
            sizes.append(size)
        return Answer(name, pixels, sizes)

    def _answered(self, batch: list[Future[Answer]]) -> Iterator[Answer]:
        """Yield the answers for one batch, with outputs."""
        return self._joined([future.result() for future in batch])

    def _joined(self, read: Sequence[Answer]) -> Iterator[Answer]:
        """Yield answers with outputs, for answers of which some have only pixels."""
        good = [one for one in read if not one.error and not one.outputs]
        outputs = self.outputs(*map(np.stack, zip(*(one.pixels for one in good)))) if good else {}
        number = 0
        for one in read:
            if one.error or one.outputs:
                yield one
            else:
                yield replace(one, outputs={name: values[number] for name, values in outputs.items()})
                number += 1
