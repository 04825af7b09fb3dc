"""Activations as a training phase reads them: rows in any order, any of their views, with their labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from topwork.store.store import Store

IN_MEMORY = 1_000_000_000
"""Up to so many bytes, the activations of one store are read once and kept; above, each batch is read from it."""


@dataclass(frozen=True)
class Source:
    """What one term of a cut gives of a part: the store, and the key of each row's views, ``[views, rows]``."""

    store: Store
    keys: Sequence[bytes]
    kept: tuple[np.ndarray, ...] | None = None

    @classmethod
    def of(cls, store: Store, keys: Sequence[bytes]) -> "Source":
        """Read into memory where there is little enough."""
        dtypes = zip(store.tensors, store.stored or ())
        size = len(keys) * sum(np.dtype(dtype).itemsize * int(np.prod(tensor.shape)) for tensor, dtype in dtypes)
        return cls(store, keys, tuple(store.read(keys)) if keys and size <= IN_MEMORY else None)

    def take(self, places: np.ndarray) -> list[np.ndarray]:
        """One array a tensor: float32 ``[len(places), *shape]`` (pixels: uint8)."""
        found = [a[places] for a in self.kept] if self.kept else self.store.read([self.keys[i] for i in places])
        return [a if a.dtype == np.uint8 else a.astype(np.float32, copy=False) for a in found]

    def only(self, places: np.ndarray) -> "Source":
        """Some of it."""
        kept = tuple(a[places] for a in self.kept) if self.kept else None
        return replace(self, keys=[self.keys[i] for i in places], kept=kept)


@dataclass(frozen=True)
class Part:
    """The activations and labels of one part of a dataset.

    Args:
        sources: one a term of the cut.
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
        """The activations at some places (of view v of row r: v times the rows, plus r): an array a tensor and term."""
        return [array for source in self.sources for array in source.take(places)]

    def sample(self, count: int, seed: int) -> "Part":
        """A seeded sample of at most *count* rows, of which the first view alone is kept."""
        rows = np.sort(np.random.default_rng(seed).permutation(len(self))[:count])
        sources = tuple(source.only(rows) for source in self.sources)
        return Part(sources, self.labels[rows], [self.contents[i] for i in rows])

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """All row numbers in order, *size* at a time."""
        for start in range(0, len(self), size):
            yield np.arange(start, min(start + size, len(self)))
