"""The store: the activations of each picture on disk, under a key made from the picture's content and its view.

Each change is one transaction, and it is on disk when the call returns, so a killed process loses at most the batch
that it was writing. Any number of processes may fill and read a store at the same time; each key is stored once. Each
row is compared with its checksum when it is read. A process must not fork while another thread is using the store.
"""

import json
import mmap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from threading import RLock
from typing import Any, Literal, TypeVar

import lmdb
import numpy as np

from topwork.errors import StoreError
from topwork.networks.graph import TensorSpec
from topwork.store.tables import Tables
from topwork.system.files import written_whole
from topwork.version import STORE_FORMAT

T = TypeVar("T")

FLOAT16_LARGEST = 65504.0
FLOAT16_SAFE = (1e-3, 3e4)
ALIGNED = 64
"""Arrays that are read start at a multiple of this many bytes, so that other libraries can use them without a copy."""
NOT_FINITE = "its activations are not finite"


def key(content: str, view: str = "") -> bytes:
    """Return the key of a picture's activations: 32 bytes.

    Args:
        content: SHA-256 of the picture's content, in hex.
        view: the view's number and settings; ``""`` for the picture itself.

    >>> key("ab" * 32).hex() == "ab" * 32
    True
    """
    digest = bytes.fromhex(content)
    return sha256(digest + view.encode()).digest() if view else digest


def disk_bytes(tensors: Sequence[TensorSpec], rows: int, dtype: str = "float16") -> int:
    """Return how many bytes *rows* pictures take on disk, with floats stored as *dtype*.

    A row larger than about half a page takes full pages; smaller rows share a page. A page of LMDB is as large as the
    system's, at most 32 KiB.

    >>> disk_bytes([TensorSpec((1000, 1000))], rows=10) > 20_000_000
    True
    """
    page = min(mmap.PAGESIZE, 1 << 15)
    row = sum(tensor.width(dtype) for tensor in tensors)
    whole = -(-(row + 16) // page) * page + 32
    shared = page // ((page - 16) // (row + 18)) if row + 16 <= page // 2 - 10 else whole
    return rows * (shared + 100)


class Store(AbstractContextManager["Store", None]):
    """The activations of one cut; a context manager that any thread may use.

    A process can have only one open `Store` per folder.

    Args:
        folder: the folder for this cut only; created if it is missing. ``cut.json`` in it describes the store for
            people.
        tensors: the trunk's outputs for one picture.
        description: describes the cut (backbone, weights, size, ...), a JSON object; a store with another description
            is refused.
        dtype: how floats are stored. ``"auto"``: float16 if the largest absolute value of each tensor in the first
            batch is in [1e-3, 3e4], else float32. If a later value is above 65504, a float16 store starts again from
            the beginning, in float32.
        estimate_bytes: the expected size; LMDB's map starts at twice that size and grows when needed.

    Raises:
        StoreError: the folder contains another cut or format, is damaged, or cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder, Store(folder, [TensorSpec((2,))], {"cut": "x@pool"}) as store:
        ...     store.write([key("00" * 32)], [np.float32([[0.5, 2]])])
        ...     store.read([key("00" * 32)])
        {}
        [array([[0.5, 2. ]], dtype=float16)]
    """

    def __init__(
        self,
        folder: Path | str,
        tensors: Iterable[TensorSpec],
        description: Mapping[str, Any],
        *,
        dtype: Literal["auto", "float32"] = "auto",
        estimate_bytes: int = 0,
    ) -> None:
        self.folder = Path(folder)
        self.tensors = tuple(tensors)
        about = {"description": description, "tensors": [asdict(t) for t in self.tensors], "dtype": dtype}
        self._header = json.dumps({"format": STORE_FORMAT, **about})
        self._float32 = dtype == "float32"
        self._map_bytes = 2 * estimate_bytes
        self._lock = RLock()
        self._open(self.folder)

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._run(lambda txn: self._tables.count(txn))

    def close(self) -> None:
        """Close the files; the store cannot be used afterwards."""
        with self._lock:
            self._tables.close()

    def disk_bytes(self, rows: int) -> int:
        """Return how many bytes *rows* more pictures take on disk; before the first batch, floats count as float16."""
        wide = self._float32 or "float32" in (self.stored or ())
        return disk_bytes(self.tensors, rows, "float32" if wide else "float16")

    @property
    def stored(self) -> list[str] | None:
        """The dtype of each tensor on disk; ``None`` if no row was stored yet."""
        dtype = self._run(lambda txn: self._tables.get(txn, "dtype"))
        return [tensor.stored(dtype).name for tensor in self.tensors] if dtype else None

    def missing(self, keys: Iterable[bytes]) -> list[bytes]:
        """Return those of *keys* that are neither stored nor recorded as failed, in order and without repeats.

        Their activations must still be computed. Call this again until the list is empty: if the store changes to
        float32, all rows that were stored are missing again.
        """
        wanted = dict.fromkeys(keys)

        def known(txn: lmdb.Transaction) -> set[bytes]:
            self._follow(txn)
            return self._tables.stored(txn, wanted) | self._tables.failures(txn, wanted).keys()

        found = self._run(known)
        return [k for k in wanted if k not in found]

    def write(self, keys: Sequence[bytes], arrays: Sequence[np.ndarray]) -> dict[bytes, str]:
        """Store one row per key, all in one transaction; a key that is already stored keeps its row.

        Args:
            keys: one per row.
            arrays: the trunk's outputs, one array ``[len(keys), *tensor.shape]`` per tensor.

        Returns:
            Key -> reason for rows that are not finite; such rows are not stored, but recorded as failures.

        Raises:
            StoreError: the disk is full; rows stored before are safe.
        """
        given = [(array.shape, array.dtype.name) for array in arrays]
        expected = [((len(keys), *tensor.shape), tensor.dtype) for tensor in self.tensors]
        if given != expected:
            raise ValueError(f"cannot store arrays of {given}; expected {expected}.")
        if not keys:
            return {}
        floats = [array.reshape(len(array), -1) for array in arrays if array.dtype == np.float32]
        largest = [np.maximum(flat.max(axis=1), -flat.min(axis=1)) for flat in floats]
        peaks = np.array(largest, np.float32).reshape(len(floats), len(keys))
        refused = self._run(lambda txn: self._put(txn, keys, arrays, peaks), write=True)
        if not self._told:
            self._tell()
        return refused

    def read(self, keys: Sequence[bytes]) -> list[np.ndarray]:
        """Return the activations of *keys*, which may repeat.

        Returns:
            One array ``[len(keys), *tensor.shape]`` per tensor, in the dtype in which it is stored.

        Raises:
            StoreError: a key is not stored, or its row is damaged.
        """
        return self._run(lambda txn: self._get(txn, keys))

    def fail(self, key: bytes, reason: str) -> None:
        """Record why *key* has no activations, so that no later run tries to compute them."""
        self._run(lambda txn: self._tables.fail(txn, key, reason), write=True)

    def failures(self, keys: Iterable[bytes]) -> dict[bytes, str]:
        """Return key -> reason for those of *keys* that failed."""
        wanted = set(keys)
        return self._run(lambda txn: self._tables.failures(txn, wanted))

    def _put(
        self, txn: lmdb.Transaction, keys: Sequence[bytes], arrays: Sequence[np.ndarray], peaks: np.ndarray
    ) -> dict[bytes, str]:
        """Store a batch; return key -> reason for rows that are not finite.

        *peaks* ``[float tensors, rows]`` is the largest absolute value of each float tensor in each row; it is not
        finite if any of these values is not finite.
        """
        self._follow(txn)
        finite = np.isfinite(peaks).all(axis=0).tolist()

        largest = peaks[:, finite].max(axis=1, initial=0)
        dtype = self._tables.get(txn, "dtype")
        if dtype is None and any(finite):  # the first batch decides
            low, high = FLOAT16_SAFE
            safe = bool(((low <= largest) & (largest <= high)).all()) and not self._float32
            dtype = "float16" if safe else "float32"
            self._tables.put(txn, "dtype", dtype)
        if dtype == "float16" and (largest > FLOAT16_LARGEST).any():
            raise _Overflow

        dtypes = [tensor.stored(dtype or "float32") for tensor in self.tensors]
        for i in (i for i, good in enumerate(finite) if good):
            row = b"".join(array[i].astype(dtype).tobytes() for array, dtype in zip(arrays, dtypes))
            self._tables.append(txn, keys[i], row)
        refused = {k: NOT_FINITE for k, good in zip(keys, finite) if not good}
        for k, reason in refused.items():
            self._tables.fail(txn, k, reason)
        return refused

    def _get(self, txn: lmdb.Transaction, keys: Sequence[bytes]) -> list[np.ndarray]:
        dtype = self._tables.get(txn, "dtype") or "float32"
        widths = [tensor.width(dtype) for tensor in self.tensors]
        whole = []
        for width in widths:  # aligned arrays, uint8 [keys, width]
            raw = np.empty(len(keys) * width + ALIGNED, np.uint8)
            skipped = -raw.ctypes.data % ALIGNED
            whole.append(raw[skipped : skipped + len(keys) * width].reshape(len(keys), width))

        ends = list(accumulate(widths))
        for slot, row in self._tables.rows(txn, keys, sum(widths)):
            for array, start, end in zip(whole, [0, *ends], ends):
                array[slot] = np.frombuffer(row, np.uint8)[start:end]

        return [a.view(t.stored(dtype)).reshape(len(keys), *t.shape) for a, t in zip(whole, self.tensors)]

    def _run(self, work: Callable[[lmdb.Transaction], T], write: bool = False) -> T:
        with self._lock:
            try:
                return self._tables.run(work, write)
            except _Overflow:  # continue in the subfolder ``float32``; later handles of this folder go there, too
                self._tables.run(lambda txn: self._tables.put(txn, "overflow", "float32"), write=True)
                self._tables.close()
                self._float32 = True
                self._open(self.folder / "float32")
                return self._tables.run(work, write)

    def _follow(self, txn: lmdb.Transaction) -> None:
        """Raise `_Overflow`, so that `_run` moves to the float32 store, if the activations are stored there now.

        `read` does not call this, so an open handle that only reads stays in the float16 store.
        """
        if self._tables.get(txn, "overflow"):
            raise _Overflow

    def _open(self, folder: Path) -> None:
        self._tables = Tables(folder, self._map_bytes)
        try:
            self._run(self._check_header, write=True)
            self._tell()
        except BaseException:
            self._tables.close()
            raise

    def _check_header(self, txn: lmdb.Transaction) -> None:
        """Write the header if the store is new; refuse a store with another format or cut."""
        text = self._tables.get(txn, "header")
        if text is None:
            self._tables.put(txn, "header", self._header)
        else:
            found = json.loads(text)
            check_format(self.folder, found)
            had, want = ({**header["description"], **header} for header in (found, json.loads(self._header)))
            for name in sorted({*had, *want} - {"description"}):
                if had.get(name) != want.get(name):
                    raise StoreError(
                        f"the store {self.folder} holds activations of another cut: {name} is {had.get(name)!r} there, "
                        f"not {want.get(name)!r}. Use another folder for this cut."
                    )
        self._follow(txn)

    def _tell(self) -> None:
        """Write ``cut.json``, which is meant for human readers: the header and the dtypes on disk."""
        told = {**json.loads(self._header), "stored": self.stored}
        with suppress(OSError), written_whole(self.folder / "cut.json") as aside:
            aside.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        self._told = told["stored"] is not None


class _Overflow(Exception):
    """This process or another one tried to write a value above 65504 to a float16 store."""


def check_format(folder: Path, header: dict[str, Any]) -> None:
    """Check that a store has the format of this topwork.

    Raises:
        StoreError: the formats differ; the message names both.
    """
    if header["format"] != STORE_FORMAT:
        raise StoreError(
            f"the store {folder} has format {header['format']}; this topwork reads format {STORE_FORMAT}. "
            "Use the topwork that wrote it, or remove the folder: only its activations are computed again."
        )
