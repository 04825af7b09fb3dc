"""A listing: pictures that a CSV or TSV file names, one a line, below a header.

    path,label,split,group
    daisy/1.jpg,daisy,train,plant 7

``split`` and ``group`` stand where wanted. What `topwork.readers.write_csv` writes is a listing too: its ``sha256`` is
not looked at, and a line with a ``reason`` is left out again.
"""

import csv
import io
import os
from pathlib import Path

from topwork.dataset import Dataset, LeftOut, Row
from topwork.errors import DatasetError, nearest
from topwork.splits import some
from topwork.tree import WORDS


def read_listing(path: str) -> Dataset:
    """The pictures that the file *path* names, in its order; digests are still empty.

    Raises:
        DatasetError: columns, labels or files that are missing, a part that is none, or a file that is no table.
    """
    root = Path(path).parent
    lines = _lines(path)
    left_out = tuple(LeftOut(cells["path"], cells["reason"]) for _, cells in lines if cells.get("reason"))
    rows = tuple(_row(cells, f"{path!r}, line {line}") for line, cells in lines if not cells.get("reason"))
    missing = [repr(row.path) for row in rows if not Path(root, row.path).is_file()]
    if missing:
        raise DatasetError(
            f"{len(missing)} of the {len(rows)} files that {path!r} names are not there: {some(missing)}. "
            f"Paths are relative to {str(root)!r}."
        )
    return Dataset(str(root), rows, left_out)


def delimiter(path: str | os.PathLike[str]) -> str:
    """What stands between two cells: a tab where the name ends in ``.tsv``, else a comma."""
    return "\t" if Path(path).suffix.lower() == ".tsv" else ","


def _lines(path: str) -> list[tuple[int, dict[str, str]]]:
    """The lines below the header: line number, and column -> cell."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
        table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter(path))
        header = [name.strip().lower() for name in next(table, [])]
        lines = [(table.line_num, cells) for cells in table if cells]
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path!r} is not UTF-8 (byte {error.start}): save it as UTF-8.") from None
    except csv.Error as error:
        raise DatasetError(f"{path!r}, line {table.line_num}: {error}.") from None
    _refuse_header(header, path)
    wide = next(((line, len(cells)) for line, cells in lines if len(cells) > len(header)), None)
    if wide:
        raise DatasetError(
            f"{path!r}, line {wide[0]}: {wide[1]} cells below {len(header)} columns. "
            "Put a cell that holds a comma or a tab into quotes."
        )
    return [(line, dict(zip(header, cells))) for line, cells in lines]


def _refuse_header(header: list[str], path: str) -> None:
    if not {"path", "label"} <= set(header):
        found = f"the columns {', '.join(map(repr, header))}" if header else "no header"
        mark = "tabs" if delimiter(path) == "\t" else "commas"
        raise DatasetError(f"{path!r} has {found}: expected 'path' and 'label' at least, with {mark} between.")


def _row(cells: dict[str, str], where: str) -> Row:
    empty = next((column for column in ("path", "label") if not cells.get(column, "").strip()), None)
    if empty:
        raise DatasetError(f"{where}: the {empty} is empty.")
    word = cells.get("split", "").strip().lower()
    if word and word not in WORDS:
        raise DatasetError(
            f"{where}: split {cells['split']!r}, expected 'train', 'val' or 'test'{nearest(word, WORDS) or '.'}"
        )
    return Row(cells["path"], "", cells["label"], WORDS.get(word), cells.get("group") or None)
