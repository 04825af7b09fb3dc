"""Turn the arguments of ``topwork predict`` into rows of pictures."""

import os
from collections.abc import Sequence
from pathlib import Path

from topwork.data.reading.folders import walk
from topwork.data.reading.listing import Table, load, refuse_empty, refuse_repeated
from topwork.errors import DatasetError, UsageError
from topwork.shipping.predictor import Pictures
from topwork.system.messages import named


def asked(words: Sequence[str | Path], columns: Sequence[str]) -> Sequence[Pictures]:
    """Return the rows that the model has to classify.

    A folder is replaced by the pictures in it and in its subfolders, sorted, without hidden files. A path that is not a
    folder is kept as it is, whatever its name.

    Args:
        words: paths of pictures and folders; or paths of CSV or TSV files, if the model takes several pictures per row.
        columns: the names of the pictures of a row (`topwork.shipping.predictor.Predictor.columns`).

    Raises:
        UsageError: the model takes several pictures per row, and a word is not a table with these columns.
        DatasetError: there is no picture or no row, a cell is empty, or a table is damaged.
    """
    names = ", ".join(repr(str(word)) for word in words)
    if len(columns) < 2:
        paths = [path for word in words for path in (walk(word) if os.path.isdir(word) else [str(word)])]
        if words and not paths:
            raise DatasetError(f"no picture in {names} or in any folder below.")
        return paths

    rows = [row for word in words for row in listed(str(word), columns)]
    if words and not rows:
        raise DatasetError(f"no row in {names}.")
    return rows


def listed(path: str, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read the pictures of each row of a CSV or TSV file.

    Only *columns* are read, so the file needs no labels. Paths in the file are relative to its folder.

    Returns:
        For each row, a mapping from column to path.

    Raises:
        UsageError: the file is not a CSV or TSV file, is missing, or lacks a column.
        DatasetError: a cell is empty, or the file is damaged.
    """

    def check(table: Table) -> None:
        if not set(columns) <= set(table.header):
            raise _refused(f"{path!r} has {table.has}", columns)

    if not path.lower().endswith((".csv", ".tsv")):
        raise _refused(f"{path!r} is not a CSV file", columns)
    if not os.path.isfile(path):
        raise _refused(f"no file {path!r}", columns)
    table = load(path, check)
    refuse_repeated(table, columns)
    for where, cells in table.used:
        refuse_empty(cells, columns, f"{table.name}, {where}")
    return [{name: str(Path(table.root, cells[name])) for name in columns} for _, cells in table.used]


def _refused(what: str, columns: Sequence[str]) -> UsageError:
    return UsageError(
        f"{what}: the model takes the pictures {named(columns)} per row. Give a CSV file with these columns."
    )
