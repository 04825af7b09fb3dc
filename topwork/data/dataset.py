"""A dataset: its rows (picture, label, split and group), and the pictures that were skipped."""

import os
from ast import literal_eval
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from topwork.data.labels import in_order
from topwork.recipes.settings import Data
from topwork.system.advice import either
from topwork.system.messages import SHOWN, some

if TYPE_CHECKING:
    import numpy as np

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")


def array_path(number: int) -> str:
    """Return the path of a row whose picture is in an array, not in a file. *number* counts from 0.

    >>> array_path(17)
    'X[17]'
    """
    return f"X[{number}]"


def in_array(pixels: "np.ndarray", path: str) -> "np.ndarray":
    """Return the picture in *pixels* that *path* names; *path* was made by `array_path`."""
    return pixels[int(path.removeprefix("X[").removesuffix("]"))]


class Texts(Mapping[str, str]):
    """An immutable mapping of texts. It can be hashed.

    >>> Texts({"camera": "north"}) == {"camera": "north"}, len({Texts({"a": "1"}), Texts({"a": "1"})})
    (True, 1)
    """

    __slots__ = ("_texts",)

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __hash__(self) -> int:
        return hash(frozenset(self._texts.items()))

    def __repr__(self) -> str:
        return repr(self._texts)


NO_TEXTS = Texts({})


@dataclass(frozen=True, slots=True)
class Row:
    """One picture, or several, with a label.

    Args:
        path: relative to the dataset's root; for arrays, see `array_path`.
        digest: SHA-256 in hex: of the file's bytes or, for arrays, of dtype, shape and bytes.
        label: the class.
        split: ``"train"``, ``"val"``, ``"test"``, or ``None`` before splits are drawn.
        group: rows with the same group share a part.
        further: path and digest of each picture after the first, in the order of the dataset's columns.
        near: identifies the near-copies of the row (`topwork.data.quality.near_copies`): rows that have an entry in
            common share a part, too. Each entry is the content of the row with the largest of these near-copies.
        extra: the other columns of a table: column -> text of the cell, without empty cells. They are kept, not used.

    >>> Row("a.png", "00", "cat", extra={"camera": "north"}).extra["camera"]
    'north'
    """

    path: str
    digest: str
    label: str
    split: str | None = None
    group: str | None = None
    further: tuple[tuple[str, str], ...] = ()
    near: tuple[str, ...] = field(default=(), compare=False)
    extra: Mapping[str, str] = NO_TEXTS

    def __post_init__(self) -> None:
        if not isinstance(self.extra, Texts):
            object.__setattr__(self, "extra", Texts(self.extra))

    @property
    def pictures(self) -> tuple[tuple[str, str], ...]:
        """The path and the digest of each picture, in the order of the dataset's columns.

        >>> Row("front.png", "00", "cat", further=(("side.png", "01"),)).pictures
        (('front.png', '00'), ('side.png', '01'))
        """
        return ((self.path, self.digest), *self.further)

    @property
    def content(self) -> str:
        """The digest of the row's picture. If the row has several: the SHA-256, in hex, of their digests in order."""
        if not self.further:
            return self.digest
        return sha256(" ".join(digest for _, digest in self.pictures).encode()).hexdigest()


TORN = "the same picture"
"""How the reason begins if equal pictures have different labels."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is not used.

    Args:
        path: the path of its first picture.
        reason: why it is not used.
        kind: the reason without what concerns this row alone; by default, the reason itself.
        twin: if the row is not used because an equal picture has another label, the path of that picture.
        label: its label; empty if it is not known.
    """

    path: str
    reason: str
    kind: str = field(default="", compare=False)
    twin: str = field(default="", compare=False)
    label: str = field(default="", compare=False)

    @property
    def other(self) -> str:
        """The path of an equal picture that has another label; empty if there is none.

        >>> LeftOut("a/1.png", "the same picture is labelled 'a' and 'b', see 'b/1.png'").other
        'b/1.png'
        """
        if self.twin or not self.is_torn:
            return self.twin
        with suppress(ValueError, SyntaxError):  # a table gives only the reason
            return str(literal_eval(self.reason.rpartition(", see ")[2]))
        return ""

    @property
    def is_torn(self) -> bool:
        """Whether the row is not used because an equal picture has another label; this is known from a table, too."""
        return bool(self.twin) or self.reason.startswith(TORN)


LINES = 10
"""The largest number of lines on skipped rows."""


def skipped(left_out: Sequence[LeftOut], run: str) -> list[str]:
    """Return lines on rows that are not used, one line for each reason.

    Args:
        left_out: the rows.
        run: the run that skips them. If some are not named, the last line says where all of them are.

    >>> skipped([LeftOut("a.png", "the file is empty")], "runs/flowers")
    ['Skipped: a.png: the file is empty']
    >>> torn = [LeftOut(path, "see the other", "each is labelled 'cat' and 'dog'") for path in ("a/1.png", "b/1.png")]
    >>> skipped(torn, "runs/flowers")
    ["Skipped: 2 pictures: each is labelled 'cat' and 'dog': a/1.png, b/1.png"]
    """
    paths: dict[str, list[str]] = {}
    for gone in left_out:
        paths.setdefault(gone.kind or gone.reason, []).append(gone.path)
    lines = []
    for reason, these in list(paths.items())[:LINES]:
        which = these[0] if len(these) == 1 else f"{len(these):,} pictures"
        lines.append(f"Skipped: {which}: {reason}" + (f": {some(these)}" if len(these) > 1 else ""))
    if len(paths) > LINES or any(len(these) > SHOWN + 1 for these in paths.values()):
        everything = either(f"topwork.Run({run!r}).data.left_out", "'topwork read'")
        lines.append(f"{everything} names all {len(left_out):,} that are skipped.")
    return lines


@dataclass(frozen=True)
class Dataset:
    """Rows in reading order. It is immutable.

    Args:
        root: absolute path that row paths are relative to (``""`` for arrays).
        rows: the rows that are used.
        left_out: the rows that are not used, each with its reason.
        notes: sentences on what reading and splitting found, moved or left empty.
        pixels: for arrays, uint8 ``[n, height, width, channels]`` or ``[n, height, width]``;
            ``Row.path`` is then made by `array_path`. ``None`` for files.
        columns: the names of a row's pictures, as they are used in a cut: ``x@pool[front]``.
        source: absolute path of the file or folder that arrays were read from; ``""`` if they came from memory.
        order: all classes in the order of a run's outputs, as the run wrote it. If empty, the classes are in
            the order of `topwork.data.labels.in_order`.
        drawn: the settings that the parts were drawn with; ``None`` if every row came with a part.
        table: absolute path of the table that lists the pictures; ``""`` if they were not listed in a table.

    Example:
        >>> data = Dataset("/d", (Row("a.png", "00", "cat"), Row("b.png", "01", "dog")))
        >>> data.classes
        ('cat', 'dog')
        >>> data
        <Dataset: 2 pictures in 2 classes of '/d' (0 train, 0 val, 0 test)>
        >>> len(data), data.labels, data.paths
        (2, ('cat', 'dog'), ('/d/a.png', '/d/b.png'))
    """

    root: str
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    pixels: "np.ndarray | None" = None
    columns: tuple[str, ...] = ("path",)
    source: str = ""
    order: tuple[str, ...] = field(default=(), compare=False)
    drawn: Data | None = field(default=None, compare=False)
    table: str = field(default="", compare=False)

    def __str__(self) -> str:
        parts = ", ".join(f"{len(self.part(part)):,} {part}" for part in PARTS)
        of = f" of {self.root or self.source!r}" if self.root or self.source else ""
        left_out = f", {len(self.left_out):,} skipped" if self.left_out else ""
        return f"{len(self.rows):,} pictures in {len(self.classes):,} classes{of} ({parts}{left_out})"

    def __repr__(self) -> str:
        return f"<Dataset: {self}>"

    def _repr_html_(self) -> str:
        from topwork.data import notebook

        first: dict[str, Row] = {}
        for row in self.rows:
            first.setdefault(row.label, row)
        shown = [first[label] for label in self.classes[: notebook.SHOWN]]
        pictures = [notebook.small(self.picture(row.path), f"{row.label}: {row.path}") for row in shown]
        return notebook.paragraph(str(self)) + notebook.counts_table(self.counts()) + "".join(pictures)

    def __len__(self) -> int:
        return len(self.rows)

    def __bool__(self) -> bool:
        return True

    @property
    def labels(self) -> tuple[str, ...]:
        """The label of each row, in reading order."""
        return tuple(row.label for row in self.rows)

    @property
    def paths(self) -> tuple[str, ...]:
        """The absolute path of each row's first picture, in reading order; for arrays, a name for each.

        `Row.path` is relative to *root*.
        """
        return tuple(os.path.join(self.root, row.path) for row in self.rows)

    @property
    def name(self) -> str:
        """The name of the dataset's folder, or of the file that its arrays were read from.

        >>> Dataset("/d/flowers", ()).name, Dataset("", (), source="/d/mnist.npz").name, Dataset("", ()).name
        ('flowers', 'mnist', 'arrays')
        """
        return Path(self.root).name or Path(self.source).stem or "arrays"

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels of the rows in the order of a model's outputs: by value if all are whole numbers, else as text."""
        there = {row.label for row in self.rows}
        return tuple(label for label in self.order if label in there) if self.order else in_order(there)

    @property
    def origin(self) -> str:
        """The absolute path that the data were read from: a table, a folder or a file of arrays; ``""`` if none.

        >>> Dataset("/d", (), table="/d/list.csv").origin, Dataset("/d", ()).origin
        ('/d/list.csv', '/d')
        """
        return self.table or self.root or self.source

    @property
    def is_there(self) -> bool:
        """Whether it is known where the pictures are. Each of them may be missing nevertheless."""
        return self.pixels is not None or bool(self.root)

    @property
    def has_own_parts(self) -> bool:
        """Whether the data give a part for every row, and give more than one part.

        >>> Dataset("/d", (Row("a.png", "00", "cat", "train"), Row("b.png", "01", "dog", "test"))).has_own_parts
        True
        """
        return self.drawn is None and len({row.split for row in self.rows}) > 1

    def picture(self, path: str) -> "str | np.ndarray":
        """Return the file or the pixels of a picture, for `topwork.data.pictures.load`.

        >>> Dataset("/d", ()).picture("cat/a.png")
        '/d/cat/a.png'
        """
        return os.path.join(self.root, path) if self.pixels is None else in_array(self.pixels, path)

    def part(self, name: str) -> tuple[Row, ...]:
        """Return the rows of one part (``"train"``, ``"val"`` or ``"test"``), in reading order."""
        return tuple(row for row in self.rows if row.split == name)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of rows per class and part: ``{"cat": {"train": 8, "val": 1, "test": 1}, ...}``."""
        found = Counter((row.label, row.split) for row in self.rows)
        return {label: {part: found[label, part] for part in PARTS} for label in self.classes}

    def seen_from(self, folder: str) -> "Dataset":
        """Return the dataset with paths relative to *folder*, an absolute path. A dataset of arrays is not changed.

        >>> Dataset("/d", (Row("a.png", "00", "cat"),)).seen_from("/d/lists").rows[0].path
        '../a.png'
        """
        if not self.root:
            return self

        def moved(path: str) -> str:
            return os.path.relpath(os.path.join(self.root, path), folder)

        rows = tuple(
            replace(row, path=moved(row.path), further=tuple((moved(path), digest) for path, digest in row.further))
            for row in self.rows
        )
        left_out = tuple(
            replace(gone, path=moved(gone.path), twin=moved(gone.twin) if gone.twin else "") for gone in self.left_out
        )
        return replace(self, root=folder, rows=rows, left_out=left_out)

    def with_paths(self, paths: Mapping[str, str]) -> "Dataset":
        """Return the dataset with new paths for moved pictures: *paths* maps digests to paths.

        >>> Dataset("/d", (Row("a.png", "00", "cat"),)).with_paths({"00": "b.png"}).rows[0].path
        'b.png'
        """
        moved = []
        for row in self.rows:
            (path, digest), *further = [(paths.get(digest, path), digest) for path, digest in row.pictures]
            moved.append(replace(row, path=path, digest=digest, further=tuple(further)))
        return replace(self, rows=tuple(moved))

    def without(self, bad: dict[str, str]) -> "Dataset":
        """Return the dataset with the rows that have a picture in *bad* (digest -> reason) moved to *left_out*."""
        first = [next((n for n, (_, digest) in enumerate(row.pictures) if digest in bad), None) for row in self.rows]
        kept = tuple(row for row, n in zip(self.rows, first) if n is None)
        gone = tuple(self.gone(row, n, bad[row.pictures[n][1]]) for row, n in zip(self.rows, first) if n is not None)
        return replace(self, rows=kept, left_out=self.left_out + gone)

    def gone(self, row: Row, number: int, reason: str) -> LeftOut:
        """Return *row* as a skipped row, because its picture *number* (from 0) cannot be used.

        If the row has several pictures, the reason names that picture.

        >>> data = Dataset("/d", (Row("f.png", "00", "cat", further=(("s.png", "01"),)),), columns=("front", "side"))
        >>> data.gone(data.rows[0], 1, "the file is empty").reason
        "the picture 'side' ('s.png'): the file is empty"
        """
        path, _ = row.pictures[number]
        where = f"the picture {self.columns[number]!r} ({path!r}): " if row.further else ""
        return LeftOut(row.path, where + reason, label=row.label)
