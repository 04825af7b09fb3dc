"""Read a store once for several runs on the same pictures, such as the folds of a cross-validation."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from topwork.networks.graph import TensorSpec
from topwork.store.examples import IN_MEMORY, Reader
from topwork.store.request import Request
from topwork.store.store import disk_bytes


class Remembered:
    """Readers that have in memory what they read before, one per store. `open` is called for each run.

    A store whose activations take more than `IN_MEMORY` bytes is read as usual.
    """

    def __init__(self) -> None:
        self._known: dict[Path, _InMemory] = {}

    def open(self, one: Request) -> Reader:
        """Return a reader for a request; its activations are read now, unless they were read before."""
        known = self._known.setdefault(one.folder, _InMemory())
        lacking = [key for key in one.by_key if key not in known.places and key not in known.reasons]
        if lacking or not known.places:
            store = one.store()
            size = sum(np.dtype(d).itemsize * int(np.prod(t.shape)) for t, d in zip(store.tensors, store.stored or ()))
            if size * (len(known.places) + len(lacking)) > IN_MEMORY:
                return store
            with store:
                known.add(store, lacking)
        return known


class _InMemory:
    """A reader of the activations that were read before."""

    def __init__(self) -> None:
        self.tensors: tuple[TensorSpec, ...] = ()
        self.stored: list[str] | None = None
        self.places: dict[bytes, int] = {}
        self.reasons: dict[bytes, str] = {}
        self._arrays: list[np.ndarray] = []

    def add(self, store: Reader, keys: Sequence[bytes]) -> None:
        """Read *keys* from the store."""
        self.tensors, self.stored = store.tensors, store.stored
        self.reasons |= store.failures(keys)
        good = [key for key in keys if key not in self.reasons]
        if good:
            found = store.read(good)
            self.places |= {key: len(self.places) + i for i, key in enumerate(good)}
            self._arrays = [np.concatenate(pair) for pair in zip(self._arrays, found)] if self._arrays else found

    def read(self, keys: Sequence[bytes]) -> list[np.ndarray]:
        """Return one array ``[len(keys), *shape]`` per tensor."""
        places = [self.places[key] for key in keys]
        return [array[places] for array in self._arrays]

    def failures(self, keys: Iterable[bytes]) -> dict[bytes, str]:
        """Return key -> reason for those of *keys* that failed."""
        return {key: self.reasons[key] for key in keys if key in self.reasons}

    def disk_bytes(self, rows: int) -> int:
        """Return how many bytes *rows* more pictures take on disk."""
        return disk_bytes(self.tensors, rows, "float32" if "float32" in (self.stored or ()) else "float16")

    def close(self) -> None:
        """Do nothing: the next run reads from the same memory."""
