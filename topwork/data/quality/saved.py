"""Values of pictures that are saved by content, so that each picture is decoded for them only once.

They are in one file, ``facts.sqlite`` in topwork's home. Several processes may use the file at the same time, and
SQLite undoes unfinished changes of a killed process. Each entry has a checksum. A damaged file is removed. If the file
cannot be used, the values are computed again, which only costs time.
"""

import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from typing import Literal, TypeVar

from topwork.system.files import home

T = TypeVar("T")
Table = Literal["facts", "miniatures", "appearances"]

VERSIONS: dict[Table, int] = {"facts": 1, "miniatures": 1, "appearances": 1}
"""The version of the values in each table, which is part of every key. Increase it when the values change."""
AT_ONCE = 500
"""How many values are read from the file, or should be written to it, at once."""

_CHECKSUM = struct.Struct("<I")


def get(table: Table, digests: Iterable[str]) -> dict[str, bytes]:
    """Return digest -> value, for the *digests* that have an undamaged entry in the file."""
    keys = {f"{VERSIONS[table]} {digest}": digest for digest in digests}
    names = list(keys)

    def read(db: sqlite3.Connection) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            marks = ",".join("?" * len(some))
            for key, value in db.execute(f"SELECT key, value FROM {table} WHERE key IN ({marks})", some):
                if _CHECKSUM.pack(zlib.crc32(value[_CHECKSUM.size :])) == value[: _CHECKSUM.size]:
                    found[keys[key]] = value[_CHECKSUM.size :]
        return found

    return _in_file(read, {}) if names else {}


def put(table: Table, values: Mapping[str, bytes]) -> None:
    """Save digest -> value, unless the file cannot be used."""
    version = VERSIONS[table]
    rows = [(f"{version} {digest}", _CHECKSUM.pack(zlib.crc32(value)) + value) for digest, value in values.items()]
    if rows:
        _in_file(lambda db: db.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", rows), None)


def _in_file(work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
    """Return the result of *work*, which runs in one transaction; or *otherwise*, if the file cannot be used."""
    path = home() / "facts.sqlite"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as db, db:
            for table in VERSIONS:
                db.execute(f"CREATE TABLE IF NOT EXISTS {table} (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
            return work(db)
    except (sqlite3.OperationalError, OSError):  # read-only, disk full, or locked for longer than SQLite waits
        return otherwise
    except (sqlite3.Error, TypeError, struct.error):
        for name in (path, path.with_name(f"{path.name}-journal")):
            with suppress(OSError):
                name.unlink()
        return otherwise
