"""DataFrames and Parquet files: read listings that are not text files.

They have the same columns as a CSV file (`topwork.data.reading.listing`). Their cells are converted to text by Python's
``str``, as in a file of ``DataFrame.to_csv``: ``0.5``; ``34.0`` in a column of floats; ``2026-05-01`` for a date;
``2026-05-01 08:30:00`` for a time. If all times in a column are at midnight, they are read as dates. A missing value
(None, NaN, NaT, NA) is an empty cell. Columns with other values, such as lists or bytes, are not read. Rows are counted
from 0.
"""

import os
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

from topwork.data import labels
from topwork.data.dataset import Dataset
from topwork.data.reading.listing import ABOUT, Table, read_table
from topwork.errors import DatasetError, MissingExtra

Column = tuple[str, Sequence[Any]]
TEXT = (str, os.PathLike, Real)
"""The allowed types of paths, labels, splits and groups."""


def read_frame(frame: Any) -> Dataset:
    """Return the pictures that a pandas DataFrame lists, in its order; digests are still empty.

    Args:
        frame: the DataFrame. Its paths are relative to the working directory; its index is ignored.

    Raises:
        DatasetError: a column, a label or a file is missing, cells are not text, or a part is unknown.
    """
    columns = []
    for number, name in enumerate(frame.columns):
        cells = frame.iloc[:, number]
        missing = cells.isna().tolist()
        columns.append((str(name), [None if no else cell for cell, no in zip(cells.tolist(), missing)]))
    return read_table(_table("the DataFrame", os.getcwd(), columns))


def read_parquet(path: str) -> Dataset:
    """Return the pictures that a Parquet file lists, in its order; digests are still empty.

    Raises:
        MissingExtra: pyarrow is not installed.
        DatasetError: as in `read_frame`; or the file is not a Parquet file.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise MissingExtra(
            'reading a Parquet file needs pyarrow. Install it with: pip install "topwork[parquet]".'
        ) from None
    try:
        with ParquetFile(path) as file:
            table = file.read()
    except (pyarrow.ArrowException, OSError):
        raise DatasetError(f"{path!r} cannot be read: it is not a Parquet file, or it is damaged.") from None
    names = [name for name in table.column_names if not name.startswith("__index_level_")]  # a DataFrame's index
    columns = ((name, table.column(name).to_pylist()) for name in names)
    return read_table(_table(repr(path), str(Path(path).parent), columns))


def _table(name: str, root: str, columns: Iterable[Column]) -> Table:
    """Return the columns as a table of text. A column that cannot be converted is dropped if it is not needed.

    Raises:
        DatasetError: a needed column cannot be converted.
    """
    named = [(column.strip().lower(), values) for column, values in columns]
    header = [column for column, _ in named]
    cells: dict[str, list[str]] = {}
    for column, values in named:
        is_needed = column in ABOUT or column == "path" or "path" not in header
        kinds = TEXT if is_needed else (*TEXT, date, time, timedelta, Decimal)
        other = next((value for value in values if value is not None and not isinstance(value, kinds)), None)
        if other is None:
            texts = [labels.text(value) for value in values]
            has_no_times = all(isinstance(v, datetime) and v.tzinfo is None for v in values if v is not None)
            dates = [text.removesuffix(" 00:00:00") for text in texts]
            cells[column] = dates if has_no_times and not any(" " in text for text in dates) else texts
        elif is_needed:
            raise DatasetError(f"{name}: the column {column!r} holds {type(other).__name__}: expected text or numbers.")
    count = max((len(values) for _, values in named), default=0)
    lines = [(f"row {i}", {column: texts[i] for column, texts in cells.items()}) for i in range(count)]
    return Table(name, root, header, lines)
