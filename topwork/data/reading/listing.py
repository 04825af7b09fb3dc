"""A listing: pictures that a table names, one row a line, below a header.

    path,label,split,group
    daisy/1.jpg,daisy,train,plant 7

``split`` and ``group`` stand where wanted. What `topwork.data.reading.listing.write_csv` writes is a listing too: its
``sha256`` is not looked at, and a line with a ``reason`` is left out again.

A row may have several pictures, a column each, which cuts call by its name (``x@pool[side]``):

    front,side,label
    1-front.jpg,1-side.jpg,daisy

Without ``path``, every column but label, split, group, sha256 and reason holds pictures. Beside ``path``, those columns
do in which any cell names a picture file that is there; all others are skipped. Each row then needs all its pictures.
Names of columns are read in small letters; columns without a name are skipped.
"""

import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from topwork.data import labels
from topwork.data.dataset import Dataset, LeftOut, Row
from topwork.data.reading.folders import is_picture
from topwork.data.reading.hints import hints
from topwork.data.reading.parts import WORDS
from topwork.errors import DatasetError, nearest
from topwork.system.messages import some

ABOUT = ("sha256", "label", "split", "group", "reason")
"""The columns that say something of a row, and name no picture."""
LIKE_SPLIT = ("part", "parts", "set", "subset", "partition", "fold")
"""What others call the column that is named split here."""


@dataclass(frozen=True)
class Table:
    """A header and what stands below it, as text.

    Args:
        name: what errors call it: a file's path in quotes, or ``"the DataFrame"``.
        root: the absolute folder that its paths are relative to.
        header: the names of the columns, in small letters.
        lines: where each line stands, as in ``"line 3"``, and column -> cell.
        mark: what errors add on how a header is written.
    """

    name: str
    root: str
    header: Sequence[str]
    lines: Sequence[tuple[str, dict[str, str]]]
    mark: str = ""

    @property
    def used(self) -> list[tuple[str, dict[str, str]]]:
        """The lines without a reason to leave them out."""
        return [(where, cells) for where, cells in self.lines if not cells.get("reason")]

    @property
    def gone(self) -> list[dict[str, str]]:
        """The cells of all others."""
        return [cells for _, cells in self.lines if cells.get("reason")]

    @property
    def has(self) -> str:
        """Its columns, as errors name them."""
        return f"the columns {', '.join(map(repr, self.header))}" if self.header else "no header"


def read_listing(path: str) -> Dataset:
    """The pictures that the CSV or TSV file *path* names, in its order; digests are still empty.

    Raises:
        DatasetError: columns, labels or files that are missing, a part that is none, or a file that is no table.
    """
    return read_table(load(path, refuse_header))


def read_table(table: Table) -> Dataset:
    """The pictures that a table names, in its order; digests are still empty.

    Raises:
        DatasetError: columns, labels or files that are missing, or a part that is none.
    """
    refuse_header(table)
    if not table.lines:
        raise DatasetError(f"{table.name} has {table.has} and no row below them: expected a picture on each.")
    columns = _columns(table)
    refuse_repeated(table, columns)
    left_out = tuple(LeftOut(cells.get(columns[0], ""), cells["reason"]) for cells in table.gone)
    names, groups = (labels.column(cells.get(name, "") for _, cells in table.used) for name in ("label", "group"))
    rows = []
    for (line, cells), label, group in zip(table.used, names, groups):
        where = f"{table.name}, {line}"
        refuse_empty(cells, columns, where)
        labels.refuse_missing(label, where, is_ours="sha256" in table.header)
        rows.append(_row(cells, columns, label, group or None, _part(cells, where)))
    _refuse_missing(table, columns, rows)
    return Dataset(table.root, tuple(rows), left_out, tuple(_unread(table, columns)), columns=columns)


def recall(path: str, root: str, moved: Mapping[str, str] | None = None) -> Dataset:
    """What `topwork.data.reading.listing.write_csv` wrote, with its digests; no picture is looked at.

    Args:
        path: the file.
        root: the folder that its paths are relative to (``""`` for arrays).
        moved: SHA-256 -> path, of pictures that have another path by now.
    """
    table = placed(load(path, refuse_header), root, moved or {})
    columns = tuple(name for name in table.header if name not in ABOUT)
    rows = tuple(_recalled(cells, columns) for _, cells in table.used)
    return Dataset(root, rows, tuple(LeftOut(c[columns[0]], c["reason"]) for c in table.gone), columns=columns)


def placed(table: Table, root: str, moved: Mapping[str, str]) -> Table:
    """A table that `write_csv` wrote, its pictures elsewhere; *root* and *moved* as of `recall`."""
    columns = [name for name in table.header if name not in ABOUT]

    def found(cells: dict[str, str]) -> dict[str, str]:
        digests = zip(columns, cells.get("sha256", "").split(" "))
        return cells | {name: moved[digest] for name, digest in digests if digest in moved}

    return replace(table, root=root, lines=[(where, found(cells)) for where, cells in table.lines])


def delimiter(path: str | os.PathLike[str]) -> str:
    """What stands between two cells: a tab where the name ends in ``.tsv``, else a comma."""
    return "\t" if Path(path).suffix.lower() == ".tsv" else ","


def load(path: str, check: Callable[[Table], None]) -> Table:
    """A CSV or TSV file as text.

    Args:
        path: the file.
        check: raises where its header is not what is expected; a wrong one explains lines that do not fit it.

    Raises:
        DatasetError: it is no table in UTF-8.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
        table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter(path))
        header = [name.strip().lower() for name in next(table, [])]
        lines = [(f"line {table.line_num}", cells) for cells in table if cells]
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path!r} is not UTF-8 (byte {error.start}): save it as UTF-8.") from None
    except csv.Error as error:
        raise DatasetError(f"{path!r}, line {table.line_num}: {error}.") from None
    mark = f", with {'tabs' if delimiter(path) == chr(9) else 'commas'} between"
    found = Table(
        repr(path), str(Path(path).parent), header, [(at, dict(zip(header, cells))) for at, cells in lines], mark
    )
    check(found)
    wide = next(((where, len(cells)) for where, cells in lines if len(cells) > len(header)), None)
    if wide:
        raise DatasetError(
            f"{path!r}, {wide[0]}: {wide[1]} cells below {len(header)} columns. "
            "Put a cell that holds a comma or a tab into quotes."
        )
    return found


def refuse_header(table: Table) -> None:
    """Refuse a table without pictures or without labels.

    Raises:
        DatasetError: names the columns that it has.
    """
    pictures = [name for name in table.header if name and name not in ABOUT]
    if "label" not in table.header or not pictures:
        told = f"{table.name} has {table.has}: expected 'path' and 'label' at least{table.mark}."
        raise DatasetError(told, unlabelled=bool(pictures))


def _columns(table: Table) -> tuple[str, ...]:
    """The columns that hold pictures."""
    others = [name for name in dict.fromkeys(table.header) if name and name not in (*ABOUT, "path")]
    if "path" not in table.header:
        return tuple(others)
    return "path", *(
        name for name in others if any(_names_picture(table.root, cells.get(name, "")) for _, cells in table.used)
    )


def _unread(table: Table, columns: Sequence[str]) -> Iterator[str]:
    """A note on the columns that are not read, and on one of them that seems to hold the split."""
    unread = [name for name in dict.fromkeys(table.header) if name and name not in (*ABOUT, *columns)]
    if unread:
        split = " The split is read from a column named 'split'." if _is_split(table, unread) else ""
        yield f"Columns that were not read: {some(list(map(repr, unread)))}.{split}"


def _is_split(table: Table, unread: Sequence[str]) -> bool:
    """Whether the table has no column named split, and one of those not read has its words."""
    called = [] if "split" in table.header else [name for name in unread if name in LIKE_SPLIT]
    found = ({cells.get(name, "").strip().lower() for _, cells in table.used} - {""} for name in called)
    return any(words and words <= WORDS.keys() for words in found)


def _names_picture(root: str, cell: str) -> bool:
    return is_picture(cell) and _is_there(root, cell)


def _is_there(root: str, path: str) -> bool:
    return os.path.isfile(os.path.join(root, path))


def refuse_repeated(table: Table, columns: Sequence[str]) -> None:
    """Refuse a table that has one of *columns*, or of those that say something of a row, twice.

    Raises:
        DatasetError: names it.
    """
    twice = next((name for name in (*columns, *ABOUT) if table.header.count(name) > 1), None)
    if twice:
        raise DatasetError(f"{table.name} has the column {twice!r} {table.header.count(twice)} times: keep one.")


def refuse_empty(cells: dict[str, str], columns: Sequence[str], where: str) -> None:
    """Refuse a row without one of its pictures; *where* it stands is said.

    Raises:
        DatasetError: names the column.
    """
    empty = next((column for column in columns if not cells.get(column, "").strip()), None)
    if empty and len(columns) > 1:
        raise DatasetError(f"{where}: the picture {empty!r} is missing. Give the row one, or leave it out.")
    if empty:
        raise DatasetError(f"{where}: the {empty} is empty.")


def _row(cells: dict[str, str], columns: tuple[str, ...], label: str, group: str | None, part: str | None) -> Row:
    further = tuple((cells[column], "") for column in columns[1:])
    return Row(cells[columns[0]], "", label, part, group, further)


def _part(cells: dict[str, str], where: str) -> str | None:
    word = cells.get("split", "").strip().lower()
    if word and word not in WORDS:
        raise DatasetError(
            f"{where}: split {cells['split']!r}, expected 'train', 'val' or 'test'{nearest(word, WORDS) or '.'}"
        )
    return WORDS.get(word)


def _refuse_missing(table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    pairs = [(column, path) for row in rows for column, (path, _) in zip(columns, row.pictures)]
    absent = [(column, path) for column, path in pairs if not _is_there(table.root, path)]
    if not absent:
        return
    several = len(columns) > 1
    names = [f"{path!r} (the picture {column!r} is missing)" if several else repr(path) for column, path in absent]
    why = "" if "path" in columns else " Without 'path', every column but label, split and group names pictures."
    told = f"Paths are relative to {table.root!r}. {hints(table.root, [path for _, path in absent])}".rstrip()
    raise DatasetError(
        f"{len(absent)} of the {len(pairs)} files that {table.name} names are not there: {some(names)}. {told}{why}"
    )


def _recalled(cells: dict[str, str], columns: tuple[str, ...]) -> Row:
    (path, digest), *further = zip((cells[column] for column in columns), cells["sha256"].split(" "))
    return Row(path, digest, cells["label"], cells["split"] or None, cells["group"] or None, tuple(further))


def write_csv(dataset: Dataset, path: str | os.PathLike[str]) -> None:
    """Write rows, then the pictures left out, as a listing that `read` takes again.

    The columns are path (relative to ``dataset.root``; or those of several pictures), sha256 (of several pictures
    all, with blanks between), label, split, group, and the reason where a row is left out; between them stand
    commas, or tabs where *path* ends in ``.tsv``.

    Raises:
        OSError: the file cannot be written.
    """
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter=delimiter(path))
        table.writerow((*dataset.columns, *ABOUT))
        table.writerows(_line(row) for row in dataset.rows)
        blanks = [None] * (len(dataset.columns) + len(ABOUT) - 2)
        table.writerows((out.path, *blanks, out.reason) for out in dataset.left_out)


def _line(row: Row) -> tuple[str | None, ...]:
    paths, digests = zip(*row.pictures)
    return *paths, " ".join(digests), row.label, row.split, row.group, None
