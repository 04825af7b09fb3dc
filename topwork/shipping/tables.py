"""Save the answers of an exported model as a table: CSV or Parquet, one row at a time."""

import csv
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from topwork.errors import MissingExtra
from topwork.shipping.answers import Guess
from topwork.system.files import named_if_full

COLUMNS = ("path", "label", "probability", "known", "distance")
ERROR = "error"

CHUNK = 1000
"""So many rows are written to a Parquet file at a time."""


def columns(labels: Sequence[str], top: int | None) -> list[str]:
    """Return the columns: path, label, probability, known, distance; then one for each class, or the likeliest; error.

    A class with the name of another column has ``class `` before its name.

    Args:
        labels: the classes.
        top: only so many of the likeliest classes of each row are in the table; ``None``: all.
    """
    if top is None:
        taken, each = {*COLUMNS, ERROR, *labels}, []
        for label in labels:
            name = label
            if label in (*COLUMNS, ERROR):
                while name in taken:
                    name = f"class {name}"
            each.append(name)
    else:
        each = [f"{name}_{rank}" for rank in range(2, min(top, len(labels)) + 1) for name in ("label", "probability")]
    return [*COLUMNS, *each, ERROR]


def cells(guess: Guess, labels: Sequence[str], top: int | None) -> list[Any]:
    """Return the cells of one row; ``None`` for those that are empty."""
    if guess.error:
        return [guess.path, *[None] * (len(columns(labels, top)) - 2), guess.error]
    if top is None:
        each: list[Any] = [guess.probabilities[label] for label in labels]
    else:
        each = [cell for pair in guess.likeliest(top)[1:] for cell in pair]
    return [guess.path, guess.label, guess.probability, guess.known, guess.distance, *each, None]


class CsvTable(AbstractContextManager["CsvTable", None]):
    """A new CSV file; a context manager.

    Args:
        path: the file.
        labels: the classes.
        top: see `columns`.
    """

    def __init__(self, path: Path, labels: Sequence[str], top: int | None) -> None:
        self._path, self._labels, self._top = path, labels, top
        self._file = path.open("w", newline="", encoding="utf-8", errors="surrogateescape")
        self._writer = csv.writer(self._file)
        self._writer.writerow(columns(labels, top))

    def add(self, guess: Guess) -> None:
        """Write one row."""
        row = cells(guess, self._labels, self._top)
        with named_if_full(self._path):
            self._writer.writerow([str(cell).lower() if isinstance(cell, bool) else cell for cell in row])

    def __exit__(self, *_: object) -> None:
        with named_if_full(self._path):
            self._file.close()


class ParquetTable(AbstractContextManager["ParquetTable", None]):
    """A new Parquet file; a context manager. The arguments are as in `CsvTable`.

    Bytes of a path that are no UTF-8 are replaced, because Parquet's texts are UTF-8.

    Raises:
        MissingExtra: pyarrow is not installed.
    """

    def __init__(self, path: Path, labels: Sequence[str], top: int | None) -> None:
        try:
            import pyarrow
            from pyarrow.parquet import ParquetWriter
        except ImportError:
            raise MissingExtra(
                'writing a Parquet file needs pyarrow. Install it with: pip install "topwork[parquet]".'
            ) from None
        self._arrow, self._path, self._labels, self._top = pyarrow, path, labels, top
        text = {"path", "label", ERROR, *(name for name in columns(labels, top) if top and name.startswith("label_"))}
        fields = []
        for name in columns(labels, top):
            kind = pyarrow.string() if name in text else pyarrow.bool_() if name == "known" else pyarrow.float64()
            fields.append(pyarrow.field(name, kind))
        self._schema = pyarrow.schema(fields)
        self._rows: list[list[Any]] = []
        with named_if_full(path):
            self._writer = ParquetWriter(path, self._schema)

    def add(self, guess: Guess) -> None:
        """Keep one row, and write those that are kept if they are many."""
        row = cells(guess, self._labels, self._top)
        self._rows.append([one.encode(errors="replace").decode() if isinstance(one, str) else one for one in row])
        if len(self._rows) == CHUNK:
            self._flush()

    def _flush(self) -> None:
        arrays = [self._arrow.array(values, field.type) for values, field in zip(zip(*self._rows), self._schema)]
        if arrays:
            with named_if_full(self._path):
                self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []

    def __exit__(self, *_: object) -> None:
        self._flush()
        with named_if_full(self._path):
            self._writer.close()
