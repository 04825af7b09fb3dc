"""Check one store: every row is read and compared with its checksum.

It is a process of its own (`topwork.system.processes`) because LMDB crashes on a damaged page. It gets a folder and
reports how many rows it has read, and how many there are. Each transaction reads one slice, so that memory stays
bounded (5 bytes per row and one slice) and other processes can go on filling the store.
"""

import json
import zlib
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import lmdb
import numpy as np

from topwork.networks.graph import TensorSpec
from topwork.store.store import check_format
from topwork.store.tables import Tables
from topwork.system.files import digest
from topwork.system.processes import serve

SLICE_ROWS, SLICE_BYTES = 4096, 32_000_000
"""The largest slice that one transaction reads."""

Progress = Callable[[int, int], object]
"""Called with the number of rows that were read, and the number of all rows of the store."""


def main() -> None:
    """Check the store of each request."""
    serve(lambda folder, report: check(Path(folder), lambda done, total: report((done, total))))


def check(folder: Path, progress: Progress) -> None:
    """Read a store and, if it changed from float16 to float32, the float32 store too.

    Raises:
        StoreError: the store is damaged or has another format.
    """
    if not (folder / "data.mdb").exists():
        return  # a fill that was killed before its first step, or that is about to begin
    with closing(Tables(folder)) as tables:
        texts = tables.run(lambda txn: [tables.get(txn, name) for name in ("header", "dtype", "overflow")])
        header, dtype, overflow = texts
        width = _width(tables, header, dtype)
        checksums = _checksums(tables)
        slice_, read = max(1, min(SLICE_ROWS, SLICE_BYTES // max(1, width))), 0
        bad: list[int] = []
        while read < len(checksums):
            wanted = checksums[read : read + slice_]
            bad += tables.run(partial(_bad, tables, read, wanted, width))
            read += len(wanted)
            progress(read, len(checksums))
        if bad:
            first = f"{len(bad):,} of its {len(checksums):,} rows, the first of them row {bad[0]:,}"
            raise tables.damaged(f"{first}, are missing or do not match their checksum")
    if overflow:
        check(folder / "float32", progress)


def _width(tables: Tables, header: str | None, dtype: str | None) -> int:
    """Bytes per row, from a header that fits its folder; 0 before the first row."""
    if header is None:
        raise tables.damaged("it has no header")
    told = json.loads(header)
    check_format(tables.folder, told)
    folder = tables.folder.parent if tables.folder.name == "float32" else tables.folder
    if digest(told["description"]) not in folder.name:
        raise tables.damaged("its header belongs to another cut")
    if dtype not in (None, "float16", "float32"):
        raise tables.damaged(f"its dtype is {dtype!r}")
    return sum(TensorSpec(tuple(t["shape"]), t["dtype"]).width(dtype) for t in told["tensors"]) if dtype else 0


def _bad(tables: Tables, start: int, wanted: np.ndarray, width: int, txn: lmdb.Transaction) -> list[int]:
    """The numbers of the rows in a slice that are missing or damaged."""
    found = tables.numbered(txn, start, len(wanted))
    checksums = {number: zlib.crc32(row) for number, row in found if len(row) == width}
    return [number for number, checksum in enumerate(wanted.tolist(), start) if checksums.get(number) != checksum]


def _checksums(tables: Tables) -> np.ndarray:
    """The checksums of all rows in the order of their numbers, uint32 ``[rows]``."""
    count = tables.run(tables.count)
    checksums, seen, after = np.zeros(count, np.uint32), np.zeros(count, bool), b""
    while entries := tables.run(partial(tables.entries, after=after, count=SLICE_ROWS)):
        for _, number, checksum in entries:
            if number < count:  # the others were stored meanwhile
                checksums[number], seen[number] = checksum, True
        after = entries[-1][0] + b"\0"
    if not seen.all():
        raise tables.damaged(f"{count - int(seen.sum()):,} of its {count:,} rows have no key")
    return checksums


if __name__ == "__main__":
    main()
