"""Check one store: read every row and compare it with its checksum.

This runs in a separate process (`topwork.system.processes`), because LMDB crashes on a damaged page. The process gets
the folder of a store; it reports how many rows it has read, and how many the store has. Each transaction reads one
slice, so that memory stays bounded (5 bytes per row, plus one slice) and other processes can continue to fill the
store.
"""

import json
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from topwork.networks.graph import TensorSpec
from topwork.store.store import check_format
from topwork.store.tables import Tables, damaged
from topwork.system.files import digest
from topwork.system.processes import serve

SLICE_ROWS, SLICE_BYTES = 4096, 32_000_000
"""The largest slice that one transaction reads."""

Progress = Callable[[int, int], object]
"""A function that is called with the number of rows that were read, and the number of all rows in the store."""


def check(folder: Path, progress: Progress) -> None:
    """Check a store, and if it changed from float16 to float32, the float32 store as well.

    Raises:
        StoreError: the store is damaged or has another format.
    """
    if not (folder / "data.mdb").exists():
        return  # a fill was killed before it wrote anything, or is about to begin
    with closing(Tables(folder)) as tables:
        texts = tables.run(lambda txn: [tables.get(txn, name) for name in ("header", "dtype", "overflow")])
        header, dtype, overflow = texts
        if header is None:
            raise damaged(folder, "it has no header")
        about = json.loads(header)
        check_format(folder, about)
        top = folder.parent if folder.name == "float32" else folder
        if digest(about["description"]) not in top.name:
            raise damaged(folder, "its header belongs to another cut")
        if dtype not in (None, "float16", "float32"):
            raise damaged(folder, f"its dtype is {dtype!r}")
        tensors = [TensorSpec(tuple(tensor["shape"]), tensor["dtype"]) for tensor in about["tensors"]]
        width = sum(tensor.width(dtype) for tensor in tensors) if dtype else 0  # no dtype: no row yet

        count = tables.run(tables.count)
        checksums, seen, after = np.zeros(count, np.uint32), np.zeros(count, bool), b""  # indexed by row number
        while entries := tables.run(partial(tables.entries, after=after, count=SLICE_ROWS)):
            for _, number, checksum in entries:
                if number < count:  # later rows were stored meanwhile
                    checksums[number], seen[number] = checksum, True
            after = entries[-1][0] + b"\0"
        if not seen.all():
            raise damaged(folder, f"{count - int(seen.sum()):,} of its {count:,} rows have no key")

        slice_, read = max(1, min(SLICE_ROWS, SLICE_BYTES // max(1, width))), 0
        bad: list[int] = []
        while read < count:
            wanted = checksums[read : read + slice_]
            found = tables.run(partial(tables.checksums, first=read, count=len(wanted), width=width))
            bad += [number for number, checksum in enumerate(wanted.tolist(), read) if found.get(number) != checksum]
            read += len(wanted)
            progress(read, count)
        if bad:
            first = f"{len(bad):,} of its {count:,} rows, the first of them row {bad[0]:,}"
            raise damaged(folder, f"{first}, are missing or do not match their checksum")
    if overflow:
        check(folder / "float32", progress)


if __name__ == "__main__":
    serve(lambda folder, report: check(Path(folder), lambda done, total: report((done, total))))
