"""Whether what lies below topwork's home is whole.

Every row of a store is read and held against its checksum, a slice in each transaction, so that memory stays bounded
(4 bytes a row and one slice) and whoever fills the store meanwhile is not held up. Trunks are loaded, graphs parsed,
kept models' archives checked; random weights carry no checksums, and are opened.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lmdb
import numpy as np

from topwork.contents import Thing
from topwork.errors import StoreError, UsageError, nearest
from topwork.graph import Graph
from topwork.home import home
from topwork.store import Tensor, check_format
from topwork.tables import Tables
from topwork.trunk import digest

SLICE_ROWS, SLICE_BYTES = 4096, 32_000_000
"""What one transaction reads at most."""

Progress = Callable[[int, int], None]
"""Called with how many rows of a store were read, and how many there are."""


@dataclass(frozen=True)
class Checked:
    """What verifying came to: ``problem`` says what is wrong and what to do; empty where nothing is."""

    thing: Thing
    problem: str


def named(things: Iterable[Thing], names: Iterable[str]) -> list[Thing]:
    """Those of *things* that *names* mean: a cut, a backbone, or a file's name; all where there are none.

    Raises:
        UsageError: nothing has that name.
    """
    there, wanted = list(things), set(names)
    known = {name for thing in there for name in _names(thing)}
    for name in sorted(wanted - known):
        raise UsageError(
            f"nothing below {home()} is called {name!r}{nearest(name, known) or '.'} 'topwork store ls' lists what is."
        )
    return [thing for thing in there if not wanted or wanted & _names(thing)]


def verify(things: Iterable[Thing], progress: Progress = lambda done, total: None) -> Iterator[Checked]:
    """Check things one after another.

    Example:
        >>> from topwork.contents import contents
        >>> [checked.problem for checked in verify(contents()) if checked.problem]  # doctest: +SKIP
        []
    """
    for thing in things:
        yield Checked(thing, _problem(thing, progress))


def _names(thing: Thing) -> set[str]:
    return {thing.name, thing.backbone, thing.path.name} - {""}


def _problem(thing: Thing, progress: Progress) -> str:
    try:
        if thing.kind == "activations":
            _check_store(thing.path, progress)
        elif thing.kind in _CHECKS:
            _CHECKS[thing.kind](thing.path)
    except StoreError as error:
        return str(error)
    except Exception as error:  # whatever OpenVINO, h5py or json stumble over in a file
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        again = "put back a copy of it" if thing.kind == "model" else "it is made again when it is needed"
        return f"the {thing.kind} {thing.path} cannot be read: {reason}. Remove it: {again}."
    return ""


def _check_store(folder: Path, progress: Progress) -> None:
    """Raise what is wrong with a store."""
    if not (folder / "data.mdb").exists():
        return  # a fill that was killed before its first step, or one that is about to begin
    with closing(Tables(folder)) as tables:
        texts = tables.run(lambda txn: [tables.get(txn, name) for name in ("header", "dtype", "overflow")])
        header, dtype, overflow = texts
        width = _width(tables, header, dtype)
        _check_rows(tables, width, progress)
    if overflow:
        _check_store(folder / "float32", progress)


def _width(tables: Tables, header: str | None, dtype: str | None) -> int:
    """Bytes of a row, by a header that fits its folder; 0 before the first row."""
    if header is None:
        raise tables.damaged("it has no header")
    told = json.loads(header)
    check_format(tables.folder, told)
    folder = tables.folder.parent if tables.folder.name == "float32" else tables.folder
    if digest(told["description"]) not in folder.name:
        raise tables.damaged("its header is that of another cut")
    if dtype not in (None, "float16", "float32"):
        raise tables.damaged(f"its dtype is {dtype!r}")
    return sum(Tensor(tuple(t["shape"]), t["dtype"]).width(dtype) for t in told["tensors"]) if dtype else 0


def _check_rows(tables: Tables, width: int, progress: Progress) -> None:
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
        raise tables.damaged(f"{first}, are gone or do not match their checksum")


def _bad(tables: Tables, start: int, wanted: np.ndarray, width: int, txn: lmdb.Transaction) -> list[int]:
    """The numbers of a slice's rows that are not what they were."""
    found = tables.numbered(txn, start, len(wanted))
    checksums = {number: zlib.crc32(row) for number, row in found if len(row) == width}
    return [number for number, checksum in enumerate(wanted.tolist(), start) if checksums.get(number) != checksum]


def _checksums(tables: Tables) -> np.ndarray:
    """The checksum of each row by its number, uint32 ``[rows]``."""
    count = tables.run(tables.count)
    checksums, seen, after = np.zeros(count, np.uint32), np.zeros(count, bool), b""
    while entries := tables.run(partial(tables.entries, after=after, count=SLICE_ROWS)):
        for _, number, checksum in entries:
            if number < count:  # others were stored meanwhile
                checksums[number], seen[number] = checksum, True
        after = entries[-1][0] + b"\0"
    if not seen.all():
        raise tables.damaged(f"{count - int(seen.sum()):,} of its {count:,} rows have no key")
    return checksums


def _check_trunk(folder: Path) -> None:
    if find_spec("openvino") and (folder / "trunk.xml").exists():
        from topwork.runtimes.openvino import read

        read(folder / "trunk.xml")


def _check_graph(path: Path) -> None:
    Graph.from_json(json.loads(path.read_text()))


def _check_weights(path: Path) -> None:
    import h5py

    def read(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            item[()]

    with h5py.File(path) as file:
        file.visititems(read)


def _check_model(path: Path) -> None:
    from zipfile import ZipFile

    with ZipFile(path) as file:
        broken = file.testzip()
    if broken:
        raise ValueError(f"its part {broken!r} does not match its checksum")


_CHECKS: dict[str, Callable[[Path], None]] = {
    "trunk": _check_trunk,
    "graph": _check_graph,
    "random weights": _check_weights,
    "model": _check_model,
}
