"""The four tables of a store, in one LMDB environment; rows have checksums, and errors are explained.

    keys      32-byte key -> row number (8 bytes), CRC-32 of the row (4 bytes)
    rows      row number  -> the bytes of the arrays, one after another
    failures  32-byte key -> why this picture has no activations (UTF-8)
    meta      name        -> CRC-32 of a text (4 bytes), the text: "header", "dtype", "overflow"

Rows have sequential numbers because large values under random keys take twice the disk space. LMDB locks and maps its
files, so the folder must be on a local disk, on Linux or macOS. LMDB's readahead stays on: with a cold cache, it made
random reads 2 to 7 times faster, and reads in order 10 to 13 times.
"""

import errno
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from topwork.errors import StoreError
from topwork.system.files import Hold, free
from topwork.system.messages import size

T = TypeVar("T")
Buffer = bytes | memoryview

_TABLES = ("keys", "rows", "failures", "meta")
_ENTRY = struct.Struct("=QI")
_NUMBER = struct.Struct("=Q")
_SMALLEST_MAP = 1 << 20
_AT_ONCE = 1024
_LOCKS = 1 << 16
"""Bytes of LMDB's table of readers. LMDB maps it without a check: on a full disk, SIGBUS would end the process."""
_LIMIT = re.compile(r"\d+ pixels; the limit is \d+")
"""A reason that earlier versions recorded for pictures above a fixed size limit. Such pictures can be read now."""
_NOT_WRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}  # EIO: LMDB could only write a part


class Tables:
    """The four tables in one folder. A process opens a folder once; only one thread at a time may use the object.

    All methods with an argument *txn* take the transaction that `run` passes to its function.

    Args:
        folder: the folder; created if it is missing.
        map_bytes: the first size of LMDB's map, in address space, not on disk; the map grows when needed.

    Raises:
        StoreError: the folder cannot be written, is damaged, or is already open in this process.
    """

    def __init__(self, folder: Path, map_bytes: int = 0) -> None:
        self.folder = folder
        self._map_bytes = max(map_bytes, _SMALLEST_MAP)
        self._safe: int | None = None
        self._open()

    def close(self) -> None:
        """Close the files."""
        self._env.close()
        self._hold.release()

    def run(self, work: Callable[[lmdb.Transaction], T], write: bool = False) -> T:
        """Call *work* in one transaction and return its result; if it raises, nothing is written.

        If the map must grow, *work* is called again.

        Raises:
            StoreError: the disk is full, or the tables are damaged.
        """
        if self._pid != os.getpid():  # after a fork; closing the inherited handle does not affect the parent
            self.close()
            self._open()
        with self.explained():
            while True:
                try:
                    with self._env.begin(write=write, buffers=True) as txn:
                        self._safe = self.count(txn) if write and self._handles else self._safe
                        return work(txn)
                except lmdb.MapFullError:
                    self._env.set_mapsize(2 * self._env.info()["map_size"])
                except lmdb.MapResizedError:  # another process made the map grow
                    self._env.set_mapsize(0)

    def count(self, txn: lmdb.Transaction) -> int:
        """Return how many rows are stored."""
        return txn.stat(self._handles["rows"])["entries"]

    def get(self, txn: lmdb.Transaction, name: str) -> str | None:
        """Return the text with this name in ``meta``, or ``None``.

        Raises:
            StoreError: the text does not match its checksum.
        """
        found = txn.get(name.encode(), db=self._handles["meta"])
        if found is None:
            return None
        checksum, text = bytes(found[:4]), bytes(found[4:])
        if checksum != zlib.crc32(text).to_bytes(4, "little"):
            raise damaged(self.folder, f"its {name} does not match its checksum")
        return text.decode()

    def put(self, txn: lmdb.Transaction, name: str, text: str) -> None:
        """Store a text under a name in ``meta``."""
        data = text.encode()
        txn.put(name.encode(), zlib.crc32(data).to_bytes(4, "little") + data, db=self._handles["meta"])

    def fail(self, txn: lmdb.Transaction, key: bytes, reason: str) -> None:
        """Record why *key* has no row."""
        txn.put(key, reason.encode(), db=self._handles["failures"])

    def failures(self, txn: lmdb.Transaction, keys: Iterable[bytes]) -> dict[bytes, str]:
        """Return key -> reason for those of *keys* that failed."""
        found = {
            k: bytes(reason).decode(errors="replace") for k, reason in self._entries(txn, "failures", keys).items()
        }
        return {k: reason for k, reason in found.items() if not _LIMIT.fullmatch(reason)}

    def entries(self, txn: lmdb.Transaction, after: bytes, count: int) -> list[tuple[bytes, int, int]]:
        """Return (key, row number, checksum of the row) for up to *count* keys, in order, from *after* on (included).

        Raises:
            StoreError: an entry cannot be read.
        """
        cursor = txn.cursor(self._handles["keys"])
        found = list(islice(cursor.iternext(), count)) if cursor.set_range(after) else []
        if any(len(entry) != _ENTRY.size for _, entry in found):
            raise damaged(self.folder, "its table of keys cannot be read")
        return [(bytes(k), *_ENTRY.unpack(entry)) for k, entry in found]

    def checksums(self, txn: lmdb.Transaction, first: int, count: int, width: int) -> dict[int, int]:
        """Compute the checksums of up to *count* rows on disk, from row number *first* on: row number -> checksum.

        Rows that are not *width* bytes long are skipped.
        """
        cursor = txn.cursor(self._handles["rows"])
        if not cursor.set_range(_NUMBER.pack(first)):
            return {}
        found = islice(cursor.iternext(), count)
        return {_NUMBER.unpack(number)[0]: zlib.crc32(row) for number, row in found if len(row) == width}

    def stored(self, txn: lmdb.Transaction, keys: Iterable[bytes]) -> set[bytes]:
        """Return those of *keys* that have a row."""
        return set(self._entries(txn, "keys", keys))

    def append(self, txn: lmdb.Transaction, key: bytes, row: bytes) -> None:
        """Store *row* under *key*, unless the key already has a row."""
        number = self.count(txn)
        if not txn.put(key, _ENTRY.pack(number, zlib.crc32(row)), db=self._handles["keys"], overwrite=False):
            return
        if not txn.put(_NUMBER.pack(number), row, db=self._handles["rows"], append=True):
            raise damaged(self.folder, "its rows are not numbered in sequence")

    def rows(self, txn: lmdb.Transaction, keys: Sequence[bytes], width: int) -> Iterator[tuple[int, Buffer]]:
        """Yield (position in *keys*, row of *width* bytes) for each key, in the order of the rows on disk.

        Raises:
            StoreError: a key has no row, or its row is damaged.
        """
        entries = self._entries(txn, "keys", keys)
        absent = [k for k in dict.fromkeys(keys) if k not in entries]
        if absent:
            raise StoreError(
                f"the store {self.folder} has no activations for {absent[0].hex()} ({len(absent)} keys in all). "
                "Compute what is missing before reading."
            )
        if any(len(entry) != _ENTRY.size for entry in entries.values()):
            raise damaged(self.folder, "its table of keys cannot be read")

        places = sorted(enumerate(_ENTRY.unpack(entries[k]) for k in keys), key=itemgetter(1))
        del entries  # much memory if there are many keys
        cursor = txn.cursor(self._handles["rows"])
        for start in range(0, len(places), _AT_ONCE):
            some = places[start : start + _AT_ONCE]
            found = cursor.getmulti([_NUMBER.pack(number) for _, (number, _) in some])
            if len(found) != len(some):
                raise damaged(self.folder, f"{len(some) - len(found)} rows are missing")
            for (slot, (_, checksum)), (_, row) in zip(some, found):
                if len(row) != width or zlib.crc32(row) != checksum:
                    raise damaged(self.folder, f"the row of {keys[slot].hex()} does not match its checksum")
                yield slot, row

    def _entries(self, txn: lmdb.Transaction, table: str, keys: Iterable[bytes]) -> dict[bytes, Buffer]:
        return {bytes(k): value for k, value in txn.cursor(self._handles[table]).getmulti(sorted(set(keys)))}

    def _open(self) -> None:
        self._pid = os.getpid()
        self._handles: dict[str, Any] = {}
        with self.explained(), ExitStack() as undo:
            self._hold = Hold(self.folder)
            undo.callback(self._hold.release)
            data = self.folder / "data.mdb"
            present = data.stat().st_size if data.exists() else 0
            if not present and free(self.folder) < _LOCKS:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._env = lmdb.open(str(self.folder), map_size=max(self._map_bytes, 2 * present), max_dbs=len(_TABLES))
            undo.callback(self._env.close)
            self._handles = self.run(self._prepare, write=True)
            undo.pop_all()

    def _prepare(self, txn: lmdb.Transaction) -> dict[str, Any]:
        """Open the tables; first extend the file if it was cut short, because SIGBUS would end the process."""
        self._env.reader_check()  # frees the slots of readers that were killed
        data = self.folder / "data.mdb"
        whole = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
        if data.stat().st_size < whole:
            os.truncate(data, whole)
        return {name: self._env.open_db(name.encode(), txn=txn, integerkey=name == "rows") for name in _TABLES}

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Inside the ``with``, turn errors of LMDB and of the disk into `StoreError`."""
        try:
            yield
        except (lmdb.Error, OSError) as error:
            code = error.errno if isinstance(error, OSError) else error.code
            reason = os.strerror(code) if code and code > 0 else str(error)
            if code in _NOT_WRITTEN:
                safe = "What was stored before is" if self._safe is None else f"The {self._safe} rows stored before are"
                raise StoreError(
                    f"cannot write to the store {self.folder}: {reason}, {size(free(self.folder))} free. "
                    f"{safe} safe. Free some space, or set TOPWORK_HOME to a folder on a larger disk; "
                    "the next run continues from there."
                ) from error
            if "already open" in reason:
                raise StoreError(f"the store {self.folder} is already open in this process. Close it first.") from error
            if code and code > 0:
                raise StoreError(
                    f"cannot use the store {self.folder}: {reason}. "
                    "It must be a folder on a local disk that you may write to; set TOPWORK_HOME to such a place."
                ) from error
            if code and not isinstance(error, (lmdb.PanicError, lmdb.ReadersFullError)):
                raise damaged(self.folder, reason) from error
            raise StoreError(f"cannot use the store {self.folder} ({reason.rstrip('.')}). Open it again.") from error


def damaged(folder: Path, detail: str) -> StoreError:
    """Return the error for a damaged store."""
    again = "Remove the folder: only its activations are computed again."
    return StoreError(f"the store {folder} is damaged: {detail}. {again}")
