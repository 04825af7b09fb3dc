"""Activations as a training phase reads them: rows of the store in any order, with their labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from topwork.dataset import Row
from topwork.store import Store, key

IN_MEMORY = 1_000_000_000
"""Up to so many bytes, a part's activations are read once and kept; above, each batch is read from the store."""


@dataclass(frozen=True)
class Part:
    """The activations and labels of one part of a dataset.

    Args:
        store: where the activations are.
        keys: one a row.
        labels: int ``[rows]``, positions in the classes.
    """

    store: Store
    keys: Sequence[bytes]
    labels: np.ndarray
    kept: tuple[np.ndarray, ...] | None = None

    @classmethod
    def of(cls, store: Store, rows: Sequence[Row], classes: Sequence[str]) -> "Part":
        """Rows of a dataset; they are read into memory where they are few enough."""
        keys = [key(row.digest) for row in rows]
        where = {label: i for i, label in enumerate(classes)}
        labels = np.array([where[row.label] for row in rows], np.int64)
        size = sum(
            np.dtype(d).itemsize * int(np.prod(t.shape)) for t, d in zip(store.tensors, store.stored or ())
        ) * len(rows)
        return cls(store, keys, labels, tuple(store.read(keys)) if rows and size <= IN_MEMORY else None)

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: np.ndarray) -> list[np.ndarray]:
        """The activations of some rows, one array a tensor: float32 ``[len(rows), *shape]`` (pixels: uint8)."""
        found = [a[rows] for a in self.kept] if self.kept else self.store.read([self.keys[i] for i in rows])
        return [a if a.dtype == np.uint8 else a.astype(np.float32, copy=False) for a in found]

    def sample(self, count: int, seed: int) -> "Part":
        """A seeded sample of at most *count* rows."""
        rows = np.sort(np.random.default_rng(seed).permutation(len(self))[:count])
        kept = tuple(a[rows] for a in self.kept) if self.kept else None
        return Part(self.store, [self.keys[i] for i in rows], self.labels[rows], kept)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """All row numbers in order, *size* at a time."""
        for start in range(0, len(self), size):
            yield np.arange(start, min(start + size, len(self)))
