"""Stored activations for training and scoring: rows in any order, with their views and labels.

`Reader` is the interface for reading a store, so that another kind of store can be used.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Protocol

import numpy as np

from topwork.data.dataset import Row
from topwork.networks.graph import TensorSpec
from topwork.recipes.settings import Pooling
from topwork.store.request import Request

IN_MEMORY = 1_000_000_000
"""Activations at one term of a cut are read into memory at once up to this size in bytes; else, batch by batch."""

ROWS = 1024
"""The number of pictures that are read from the store and pooled at a time."""


class Reader(Protocol):
    """Reads activations that were stored under keys; for example `topwork.store.store.Store`."""

    @property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """The tensors that are stored for one picture."""

    @property
    def stored(self) -> list[str] | None:
        """The dtype of each tensor on disk; ``None`` if no row was stored yet."""

    def read(self, keys: Sequence[bytes]) -> list[np.ndarray]:
        """Return one array ``[len(keys), *shape]`` per tensor."""

    def failures(self, keys: Iterable[bytes]) -> dict[bytes, str]:
        """Return key -> reason for those of *keys* that failed, and so have no activations."""

    def disk_bytes(self, rows: int) -> int:
        """Return how many bytes *rows* more pictures take on disk."""

    def close(self) -> None:
        """Close the reader; it cannot be used afterwards."""


class StoredActivations(AbstractContextManager["StoredActivations", None]):
    """The stored activations of several requests; a context manager. Each store is opened once.

    Args:
        requests: one per term of a cut; their activations must already be stored.
        open_reader: a function that opens the store of a request.
    """

    def __init__(self, requests: Sequence[Request], open_reader: Callable[[Request], Reader] = Request.store) -> None:
        self.requests = tuple(requests)
        opened: dict[Path, Reader] = {}
        with ExitStack() as closing:
            for one in self.requests:
                if one.folder not in opened:
                    opened[one.folder] = open_reader(one)
                    closing.callback(opened[one.folder].close)
            self._closing = closing.pop_all()
        self.readers = [opened[one.folder] for one in self.requests]

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    @property
    def dtypes(self) -> list[list[str] | None]:
        """For each request, the dtypes of its tensors on disk; ``None`` if no row was stored yet."""
        return [reader.stored for reader in self.readers]

    def failures(self) -> dict[str, str]:
        """Return digest -> reason for the pictures that failed, and so have no activations."""
        found: dict[str, str] = {}
        for one, reader in zip(self.requests, self.readers):
            found |= {one.by_key[k].content: reason for k, reason in reader.failures(one.by_key).items()}
        return found

    def read(self, number: int, rows: Sequence[Row]) -> list[np.ndarray]:
        """Return the activations of view 0 of each row's picture, for request *number*.

        Returns:
            One array ``[len(rows), *shape]`` per tensor, in the dtype in which it is stored.
        """
        one = self.requests[number]
        return self.readers[number].read([one.key(one.shots_of(row)[0]) for row in rows])

    def widths(self, pooling: Pooling = "avg") -> list[int]:
        """Return the numbers of features that `features` returns, one per term."""
        return [_width(reader, pooling) for reader in self.readers]

    def examples(self, rows: Sequence[Row], classes: Sequence[str]) -> "Examples":
        """Return the activations of *rows* with their labels.

        All rows must have the same number of views: training rows have as many as the requests specify, other rows one.
        """
        views = len(self.requests[0].shots_of(rows[0])) if rows else 1
        sources = []
        for one, reader in zip(self.requests, self.readers):
            shots = [one.shots_of(row) for row in rows]
            sources.append(Source.of(reader, [one.key(some[view]) for view in range(views) for some in shots]))
        where = {label: i for i, label in enumerate(classes)}
        labels = np.array([where[row.label] for row in rows], np.int64)
        return Examples(tuple(sources), labels, [row.content for row in rows], views)


@dataclass(frozen=True)
class Source:
    """The activations of examples at one term of a cut.

    Args:
        reader: the open store that contains them.
        keys: the key of each view of each row; all rows of view 0 first, then all rows of view 1, and so on.
        kept: the activations if they are in memory: one array per tensor, in the order of *keys*.
    """

    reader: Reader
    keys: Sequence[bytes]
    kept: tuple[np.ndarray, ...] | None = None

    @classmethod
    def of(cls, reader: Reader, keys: Sequence[bytes]) -> "Source":
        """Return the source for *keys*; activations of at most `IN_MEMORY` bytes are read into memory."""
        dtypes = zip(reader.tensors, reader.stored or ())
        size = len(keys) * sum(np.dtype(dtype).itemsize * int(np.prod(tensor.shape)) for tensor, dtype in dtypes)
        return cls(reader, keys, tuple(reader.read(keys)) if keys and size <= IN_MEMORY else None)

    def read(self, places: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Return the activations of the keys at *places*: one array per tensor, in the dtype in which it is stored."""
        if self.kept:
            return [array[places] for array in self.kept]
        return self.reader.read([self.keys[i] for i in places])


@dataclass(frozen=True)
class Examples:
    """Activations with their labels.

    Args:
        sources: one per term of the cut.
        labels: int ``[rows]``, the position of each row's label in the list of classes.
        contents: SHA-256 of each row's content, in hex.
        views: the number of views per row.
    """

    sources: tuple[Source, ...]
    labels: np.ndarray
    contents: Sequence[str]
    views: int = 1

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, places: np.ndarray) -> list[np.ndarray]:
        """Return the activations at *places*, where view v of row r is at v * rows + r.

        Returns:
            One array ``[len(places), *shape]`` per term and tensor: float32, or uint8 for pixels.
        """
        found: list[np.ndarray] = []
        for source in self.sources:
            found += source.read(places)
        return [a if a.dtype == np.uint8 else a.astype(np.float32, copy=False) for a in found]

    def sample(self, count: int, seed: int) -> "Examples":
        """Return a seeded sample of at most *count* rows, with only view 0 of each."""
        return self.at(np.sort(np.random.default_rng(seed).permutation(len(self))[:count]))

    def at(self, rows: np.ndarray) -> "Examples":
        """Return some rows, with only view 0 of each."""
        sources = []
        for source in self.sources:
            kept = tuple(array[rows] for array in source.kept) if source.kept else None
            sources.append(replace(source, keys=[source.keys[i] for i in rows], kept=kept))
        return Examples(tuple(sources), self.labels[rows], [self.contents[i] for i in rows])

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Yield all row numbers in order, *size* at a time."""
        for start in range(0, len(self), size):
            yield np.arange(start, min(start + size, len(self)))

    def widths(self, pooling: Pooling) -> list[int]:
        """Return the numbers of features per row that `vectors` returns, one per term."""
        return [_width(source.reader, pooling) for source in self.sources]

    def pooled(self, pooling: Pooling) -> "Examples":
        """Return the same examples with pooled maps, in memory: a head that pools them needs nothing else."""
        sources = []
        for source in self.sources:
            blocks = []
            for start in range(0, len(source.keys), ROWS):
                found = source.read(range(start, min(start + ROWS, len(source.keys))))
                blocks.append([pooled(array, pooling) for array in found])
            kept = tuple(np.concatenate(arrays) for arrays in zip(*blocks))
            sources.append(replace(source, kept=kept or source.kept))
        return replace(self, sources=tuple(sources))

    def vectors(self, places: np.ndarray, pooling: Pooling) -> np.ndarray:
        """Return the pooled activations at *places* (see `take`), float32 ``[len(places), features]``.

        The features of several terms follow one another, in the order of the cut.
        """
        blocks = []
        for start in range(0, len(places), ROWS):
            found = self.take(places[start : start + ROWS])
            blocks.append(np.concatenate([pooled(array, pooling) for array in found], 1))
        return np.concatenate(blocks)


def _width(reader: Reader, pooling: Pooling) -> int:
    """Return the number of features of a row, with its maps pooled."""
    shapes = [tensor.shape for tensor in reader.tensors]
    return sum(shape[-1] if len(shape) == 3 and pooling != "flatten" else prod(shape) for shape in shapes)


def features(stored: StoredActivations, rows: Sequence[Row], pooling: Pooling = "avg") -> np.ndarray:
    """Return the stored activations of *rows*, one row of numbers per picture: float32 ``[rows, features]``.

    For a sum of cuts, the features of the cuts follow one another.
    """
    columns = []
    for number in range(len(stored.requests)):
        blocks = []
        for start in range(0, len(rows), ROWS):  # the maps of all pictures may not fit into memory
            found = stored.read(number, rows[start : start + ROWS])
            blocks.append(np.concatenate([pooled(array, pooling) for array in found], 1))
        columns.append(np.concatenate(blocks))
    return columns[0] if len(columns) == 1 else np.concatenate(columns, 1)


def pooled(values: np.ndarray, pooling: Pooling) -> np.ndarray:
    """Pool maps ``[n, height, width, channels]`` to rows, float32 ``[n, features]``. Flatten arrays of other ranks.

    >>> pooled(np.array([[[[1, 5]], [[3, 5]]]], np.uint8), "avg")
    array([[2., 5.]], dtype=float32)
    """
    places = tuple(range(1, values.ndim - 1))
    if pooling == "flatten" or not places:
        return values.reshape(len(values), -1).astype(np.float32)
    return values.mean(places, dtype=np.float32) if pooling == "avg" else values.max(places).astype(np.float32)
