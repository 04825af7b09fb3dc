"""Listings: read and write a table of pictures, with a header and one row per line.

    path,label,split,group
    daisy/1.jpg,daisy,train,plant 7

``split`` and ``group`` are optional. A file that `write_csv` wrote is a listing, too: its ``sha256`` is ignored, and
lines with a ``reason`` are skipped as well.

A row may have several pictures, one per column. A cut refers to the column by its name (``x@pool[side]``):

    front,side,label
    1-front.jpg,1-side.jpg,daisy

If there is no column ``path``, all columns except label, split, group, sha256, reason and suspect contain pictures. If
there is a column ``path``, another column contains pictures as well if any of its cells is the path of an existing
picture file. Each row must have a picture in each of these columns.

The column ``suspect`` contains another label that may be the right one (``topwork audit --fix`` writes it).

All other columns are kept in `topwork.data.dataset.Row.extra`: the text of each cell that is not empty, unchanged.
Nothing is computed from them. `write_csv` writes them as one column of JSON objects, called ``extra`` (``extra_`` if a
column of pictures has that name). If a table with such a column is read, the column is split up again.

Column names are converted to lower case. Columns without a name are skipped. If two of the other columns have the same
name, the last one is used.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from topwork.data import labels
from topwork.data.dataset import NO_TEXTS, Dataset, LeftOut, Row, Texts
from topwork.data.reading.folders import is_picture
from topwork.data.reading.hints import hint
from topwork.data.reading.parts import WORDS
from topwork.errors import DatasetError, nearest
from topwork.system.messages import some
from topwork.system.text import as_json

ABOUT = ("sha256", "label", "split", "group", "reason")
"""The columns that describe a row and do not contain pictures."""
SUSPECT = "suspect"
"""The column of another label that may be the right one. It is kept in `Row.extra`, like a user's own columns."""
EXTRA = "extra"
"""The name of the column that contains the other columns of a user's table, as one JSON object per row."""
TRIED = 20
"""How many of the missing files are examined to find a cause for the error."""
LIKE_SPLIT = ("part", "parts", "set", "subset", "partition", "fold")
"""Other common names for the column ``split``."""


@dataclass(frozen=True)
class Table:
    """A header and the lines below it, as text.

    Args:
        name: the table's name in errors: a file's path in quotes, or ``"the DataFrame"``.
        root: the absolute folder that the paths are relative to.
        header: the names of the columns, in lower case.
        lines: for each line, its position, as in ``"line 3"``, and column -> cell.
        mark: a text on how to write a header, which is added to errors.
    """

    name: str
    root: str
    header: Sequence[str]
    lines: Sequence[tuple[str, dict[str, str]]]
    mark: str = ""

    @property
    def used(self) -> list[tuple[str, dict[str, str]]]:
        """The lines that have no ``reason``, so they are not skipped."""
        return [(where, cells) for where, cells in self.lines if not cells.get("reason")]

    @property
    def has(self) -> str:
        """A text that names the columns, for errors."""
        return f"the columns {', '.join(map(repr, self.header))}" if self.header else "no header"


def read_listing(path: str) -> Dataset:
    """Return the pictures that the CSV or TSV file *path* lists, in its order; digests are still empty.

    Raises:
        DatasetError: a column, a label or a file is missing, a part is unknown, or the file is not a table.
    """
    return read_table(load(path, refuse_header))


def read_table(table: Table) -> Dataset:
    """Return the pictures that a table lists, in its order; digests are still empty.

    Raises:
        DatasetError: a column, a label or a file is missing, or a part is unknown.
    """
    refuse_header(table)
    if not table.lines:
        raise DatasetError(f"{table.name} has {table.has} but no rows: expected a picture in each.")
    columns, packed, others, notes = _columns(table)
    left_out = _skipped(table, columns[0])
    names, groups = (labels.column(cells.get(name, "") for _, cells in table.used) for name in ("label", "group"))
    rows = []
    for (line, cells), label, group in zip(table.used, names, groups):
        where = f"{table.name}, {line}"
        refuse_empty(cells, columns, where)
        labels.refuse_missing(label, where, is_ours="sha256" in table.header)
        further = tuple((cells[column], "") for column in columns[1:])
        word = cells.get("split", "").strip().lower()
        if word and word not in WORDS:
            raise DatasetError(
                f"{where}: split {cells['split']!r}, expected 'train', 'val' or 'test'{nearest(word, WORDS) or '.'}"
            )
        known = _unpacked(cells.get(packed, "")) if packed else NO_TEXTS
        own = {name: text for name in (*others, SUSPECT) if (text := cells.get(name, "")).strip()}
        extra = Texts({**known, **own}) if own else known
        rows.append(Row(cells[columns[0]], "", label, WORDS.get(word), group or None, further, extra=extra))

    pairs = [(column, path) for row in rows for column, (path, _) in zip(columns, row.pictures)]
    absent = [(column, path) for column, path in pairs if not os.path.isfile(os.path.join(table.root, path))]
    if absent:
        several = len(columns) > 1
        named = [f"{path!r} (the picture {column!r} is missing)" if several else repr(path) for column, path in absent]
        why = "" if "path" in columns else " Without 'path', every column but label, split and group names pictures."
        cause = next((found for _, path in absent[:TRIED] if (found := hint(table.root, path))), "")
        told = f"Paths are relative to {table.root!r}. {cause}".rstrip()
        raise DatasetError(
            f"{len(absent)} of the {len(pairs)} files that {table.name} names are not there: {some(named)}. {told}{why}"
        )
    return Dataset(table.root, tuple(rows), tuple(left_out), tuple(notes), columns=columns)


def _skipped(table: Table, column: str) -> list[LeftOut]:
    """Return the lines with a reason; *column* is that of the first picture."""
    return [
        LeftOut(cells.get(column, ""), why, label=cells.get("label", ""))
        for _, cells in table.lines
        if (why := cells.get("reason"))
    ]


def recall(path: str, root: str) -> Dataset:
    """Read a file that `write_csv` wrote, with its digests. No picture is opened.

    Args:
        path: the file.
        root: the folder that the paths in the file are relative to (``""`` for arrays).
    """
    table = load(path, refuse_header)
    columns = tuple(table.header[: table.header.index("sha256")])
    packed = _packed_name(columns)
    rows = []
    for _, cells in table.used:
        (first, digest), *further = zip((cells[column] for column in columns), cells["sha256"].split(" "))
        split, group, extra = cells["split"] or None, cells["group"] or None, _unpacked(cells.get(packed, ""))
        extra = Texts({**extra, SUSPECT: cells[SUSPECT]}) if cells.get(SUSPECT) else extra
        rows.append(Row(first, digest, cells["label"], split, group, tuple(further), extra=extra))
    left_out = _skipped(table, columns[0])
    return Dataset(root, tuple(rows), tuple(left_out), columns=columns)


def placed(table: Table, root: str, moved: Mapping[str, str]) -> Table:
    """Return a table of `write_csv` with *root* as its root, and with new paths for renamed pictures.

    Args:
        table: the table.
        root: the folder of the pictures.
        moved: SHA-256 -> new path of each renamed picture.
    """
    columns = [name for name in table.header if name not in (*ABOUT, SUSPECT)]
    lines = []
    for where, cells in table.lines:
        digests = zip(columns, cells.get("sha256", "").split(" "))
        lines.append((where, cells | {name: moved[digest] for name, digest in digests if digest in moved}))
    return replace(table, root=root, lines=lines)


def load(path: str, check: Callable[[Table], None]) -> Table:
    """Read a CSV or TSV file as text.

    Args:
        path: the file.
        check: a function that raises if the header is wrong. It is called before the lines are compared with the
            header, because lines may not fit a wrong header.

    Raises:
        DatasetError: the file is not a table in UTF-8.
    """
    is_tsv = Path(path).suffix.lower() == ".tsv"
    usual, header = csv.field_size_limit(), []
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
        table = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if is_tsv else ",")
        header = [name.strip().lower() for name in next(table, [])]
        if "sha256" in header:  # `write_csv` may write the texts of several cells into one
            csv.field_size_limit(2**31 - 1)
        lines = [(f"line {table.line_num}", cells) for cells in table if cells]
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path!r} is not UTF-8 (byte {error.start}): save it as UTF-8.") from None
    except csv.Error as error:
        raise DatasetError(f"{path!r}, line {table.line_num}: {error}.") from None
    finally:
        if "sha256" in header:
            csv.field_size_limit(usual)

    mark = f", separated by {'tabs' if is_tsv else 'commas'}"
    found = Table(
        repr(path), str(Path(path).parent), header, [(at, dict(zip(header, cells))) for at, cells in lines], mark
    )
    check(found)
    wide = next(((where, len(cells)) for where, cells in lines if len(cells) > len(header)), None)
    if wide:
        raise DatasetError(
            f"{path!r}, {wide[0]}: {wide[1]} cells below {len(header)} columns. "
            "Put quotes around a cell that contains a comma or a tab."
        )
    return found


def refuse_header(table: Table) -> None:
    """Refuse a table without pictures or without labels.

    Raises:
        DatasetError: the table lacks one of these; the error names its columns.
    """
    pictures = [name for name in table.header if name and name not in (*ABOUT, SUSPECT)]
    if "label" not in table.header or not pictures:
        told = f"{table.name} has {table.has}: expected at least 'path' and 'label'{table.mark}."
        raise DatasetError(told, unlabelled=bool(pictures))


def _columns(table: Table) -> tuple[tuple[str, ...], str, list[str], list[str]]:
    """Find out what the columns contain.

    Returns:
        - the columns of pictures
        - the column of JSON objects that `write_csv` wrote, or ``""``. A user's own column of that name is treated
          like any other.
        - the other columns that are kept
        - notes on columns that are not used, or that seem to contain the split
    """
    names = [name for name in dict.fromkeys(table.header) if name and name not in (*ABOUT, SUSPECT)]
    packed = max((name for name in names if name.rstrip("_") == EXTRA), key=len, default="")
    try:
        objects = [_unpacked(cells.get(packed, "")) for _, cells in table.used] if packed and len(names) > 1 else []
        packed = packed if any(objects) else ""
    except (ValueError, RecursionError):
        packed = ""

    pictures = [name for name in names if name not in ("path", packed)]
    if "path" in table.header:
        others, pictures = pictures, ["path"]
        for name in others:
            found = (cells.get(name, "") for _, cells in table.used)
            if any(is_picture(cell) and os.path.isfile(os.path.join(table.root, cell)) for cell in found):
                pictures.append(name)
    refuse_repeated(table, pictures)

    others = [name for name in names if name not in (*pictures, packed)]
    kept = [name for name in others if any(name in cells for _, cells in table.lines)]
    notes = []
    if kept:
        called = [] if "split" in table.header else [name for name in kept if name in LIKE_SPLIT]
        words = ({cells.get(name, "").strip().lower() for _, cells in table.used} - {""} for name in called)
        is_split = any(found and found <= WORDS.keys() for found in words)
        split = " The split is read from a column named 'split'." if is_split else ""
        notes.append(f"Columns that are kept but not used: {some(list(map(repr, kept)))}.{split}")
    if dropped := [name for name in others if name not in kept]:
        notes.append(f"Columns that were not read: {some(list(map(repr, dropped)))}.")
    return tuple(pictures), packed, kept, notes


def _packed_name(columns: Sequence[str]) -> str:
    """Return the name that `write_csv` gives the column of JSON objects, if *columns* contain the pictures."""
    name = EXTRA
    while name in columns:
        name += "_"
    return name


def _unpacked(cell: str) -> Texts:
    """Return the texts in one cell of the column of JSON objects that `write_csv` wrote.

    Raises:
        ValueError: the cell is not a JSON object of texts.
    """
    if not cell:
        return NO_TEXTS
    found = json.loads(cell)
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise ValueError(f"{cell[:40]!r} is not a JSON object of texts")
    return Texts(found)


def refuse_repeated(table: Table, columns: Sequence[str]) -> None:
    """Refuse a table in which one of *columns* or `ABOUT` occurs more than once.

    Raises:
        DatasetError: a column does; the error names it.
    """
    twice = next((name for name in (*columns, *ABOUT) if table.header.count(name) > 1), None)
    if twice:
        raise DatasetError(f"{table.name} has the column {twice!r} {table.header.count(twice)} times: keep one.")


def refuse_empty(cells: dict[str, str], columns: Sequence[str], where: str) -> None:
    """Refuse a row that lacks one of its pictures; *where* names the row in the error.

    Raises:
        DatasetError: a picture is missing; the error names its column.
    """
    empty = next((column for column in columns if not cells.get(column, "").strip()), None)
    if empty and len(columns) > 1:
        raise DatasetError(f"{where}: the picture {empty!r} is missing. Give the row one, or leave it out.")
    if empty:
        raise DatasetError(f"{where}: the {empty} is empty.")


def write_csv(dataset: Dataset, path: str | os.PathLike[str], reasons: bool = True) -> None:
    """Write the rows, then the skipped pictures, as a listing that `read` accepts.

    The columns are:

    - path: relative to ``dataset.root``; if rows have several pictures, one column per picture instead
    - sha256; if rows have several pictures, the SHA-256 of each, separated by blanks
    - label, split and group
    - reason: why a row is skipped
    - suspect, only if any row has it: another label that may be the right one
    - ``extra``, only if any row has such values: the other columns of a user's table, as a JSON object

    Columns are separated by commas, or by tabs if *path* ends in ``.tsv``.

    Args:
        dataset: the rows.
        path: the file to write.
        reasons: whether rows that are skipped now stay skipped. Without their reasons, `read` judges them anew.

    Raises:
        OSError: the file cannot be written.
    """
    suspects = [SUSPECT] if any(SUSPECT in row.extra for row in dataset.rows) else []
    packed = [_packed_name(dataset.columns)] if any(row.extra.keys() - {SUSPECT} for row in dataset.rows) else []
    delimiter = "\t" if Path(path).suffix.lower() == ".tsv" else ","
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, [*dataset.columns, *ABOUT, *suspects, *packed], delimiter=delimiter)
        table.writeheader()
        for row in dataset.rows:
            paths, digests = zip(*row.pictures)
            cells = dict(zip(dataset.columns, paths))
            cells |= {"sha256": " ".join(digests), "label": row.label, "split": row.split, "group": row.group}
            extra = dict(row.extra)
            cells |= {name: extra.pop(name) for name in suspects if name in extra}
            table.writerow(cells | {name: as_json(extra) for name in packed if extra})
        for gone in dataset.left_out:
            why = gone.reason if reasons else ""
            table.writerow({dataset.columns[0]: gone.path, "label": gone.label, "reason": why})
