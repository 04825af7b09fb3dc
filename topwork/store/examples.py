"""Stored activations for training and scoring: rows in any order, any of their views, with their labels.

`Reader` is the part of a store that reading needs, so that another kind of store can replace it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from topwork.data.dataset import Row
from topwork.networks.graph import TensorSpec
from topwork.store.request import Request

IN_MEMORY = 1_000_000_000
"""Activations of one store up to this many bytes are read into memory once; larger ones are read batch by batch."""


class Reader(Protocol):
    """Activations that were stored under keys; `topwork.store.store.Store` is one."""

    @property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """What is stored for one picture."""

    @property
    def stored(self) -> list[str] | None:
        """The dtype of each tensor on disk; ``None`` before the first row."""

    def read(self, keys: Sequence[bytes]) -> list[np.ndarray]:
        """An array ``[len(keys), *shape]`` for each tensor."""

    def failures(self, keys: Iterable[bytes]) -> dict[bytes, str]:
        """Why some of the keys have no activations."""

    def disk_bytes(self, rows: int) -> int:
        """How many bytes *rows* more pictures take on disk."""

    def close(self) -> None:
        """Close it; it cannot be read afterwards."""


class StoredActivations(AbstractContextManager["StoredActivations", None]):
    """The stored activations of several requests; each store is opened once; a context manager.

    Args:
        requests: one per term of a cut; their activations are stored already.
        open_reader: opens the store of a request.
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
        """The dtypes on disk of each request's tensors."""
        return [reader.stored for reader in self.readers]

    def failures(self) -> dict[str, str]:
        """Digest -> reason for the pictures that have no activations."""
        found: dict[str, str] = {}
        for one, reader in zip(self.requests, self.readers):
            found |= {one.by_key[k].content: reason for k, reason in reader.failures(one.by_key).items()}
        return found

    def read(self, number: int, rows: Sequence[Row]) -> list[np.ndarray]:
        """The activations of some rows' pictures, view 0, from request *number*: an array per tensor, as stored."""
        one = self.requests[number]
        return self.readers[number].read([one.key(one.shots_of(row)[0]) for row in rows])

    def examples(self, rows: Sequence[Row], classes: Sequence[str]) -> "Examples":
        """Rows with their labels; training rows have as many views as the requests ask for."""
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
    """The activations of examples at one term of a cut: the reader, and the key of each view, ``[views, rows]``."""

    reader: Reader
    keys: Sequence[bytes]
    kept: tuple[np.ndarray, ...] | None = None

    @classmethod
    def of(cls, reader: Reader, keys: Sequence[bytes]) -> "Source":
        """Read into memory if they take at most `IN_MEMORY` bytes."""
        dtypes = zip(reader.tensors, reader.stored or ())
        size = len(keys) * sum(np.dtype(dtype).itemsize * int(np.prod(tensor.shape)) for tensor, dtype in dtypes)
        return cls(reader, keys, tuple(reader.read(keys)) if keys and size <= IN_MEMORY else None)


@dataclass(frozen=True)
class Examples:
    """Activations with their labels.

    Args:
        sources: one per term of the cut.
        labels: int ``[rows]``, positions in the classes.
        contents: SHA-256 of each row's content, in hex.
        views: how many views of each row there are.
    """

    sources: tuple[Source, ...]
    labels: np.ndarray
    contents: Sequence[str]
    views: int = 1

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, places: np.ndarray) -> list[np.ndarray]:
        """The activations at some places (view v of row r is at v * rows + r): an array per term and tensor.

        Returns:
            float32 ``[len(places), *shape]`` each; pixels are uint8.
        """
        found: list[np.ndarray] = []
        for source in self.sources:
            if source.kept:
                found += [array[places] for array in source.kept]
            else:
                found += source.reader.read([source.keys[i] for i in places])
        return [a if a.dtype == np.uint8 else a.astype(np.float32, copy=False) for a in found]

    def sample(self, count: int, seed: int) -> "Examples":
        """A seeded sample of at most *count* rows, with their first view only."""
        rows = np.sort(np.random.default_rng(seed).permutation(len(self))[:count])
        sources = []
        for source in self.sources:
            kept = tuple(array[rows] for array in source.kept) if source.kept else None
            sources.append(replace(source, keys=[source.keys[i] for i in rows], kept=kept))
        return Examples(tuple(sources), self.labels[rows], [self.contents[i] for i in rows])

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """All row numbers in order, *size* at a time."""
        for start in range(0, len(self), size):
            yield np.arange(start, min(start + size, len(self)))
