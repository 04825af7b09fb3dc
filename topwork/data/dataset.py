"""A dataset: rows of picture, label, split and group, with what was left out."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from topwork.data.labels import in_order
from topwork.recipes.settings import Data

if TYPE_CHECKING:
    import numpy as np

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")


def array_path(number: int) -> str:
    """What a row is called whose picture is not a file, but *number* (from 0) of an array.

    >>> array_path(17)
    'X[17]'
    """
    return f"X[{number}]"


def in_array(pixels: "np.ndarray", path: str) -> "np.ndarray":
    """The picture of an array that `array_path` calls so."""
    return pixels[int(path.removeprefix("X[").removesuffix("]"))]


class Texts(Mapping[str, str]):
    """A mapping of texts that is never changed in place, so that it has a hash.

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

    ``path`` is relative to the dataset's root (for arrays as of `array_path`); ``digest`` is the SHA-256
    of the file's bytes in hex (for arrays of bytes, shape and dtype); ``split`` is ``"train"``,
    ``"val"``, ``"test"``, or ``None`` before splits are drawn; ``group`` ties rows that must share a part;
    ``further`` holds path and digest of each picture after the first, in the order of the dataset's columns;
    ``near`` ties rows with near-copies of each other (`topwork.data.quality.near_copies`), which share a part, too:
    the content of the row that has the largest of them; ``extra`` holds what a table says of the row in its other
    columns: the column's name -> the cell's text, without empty cells. Nothing is computed from it.

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
        """Path and digest of each of its pictures, in the order of the dataset's columns.

        >>> Row("front.png", "00", "cat", further=(("side.png", "01"),)).pictures
        (('front.png', '00'), ('side.png', '01'))
        """
        return ((self.path, self.digest), *self.further)

    @property
    def content(self) -> str:
        """What its pictures are, in their order: of one its digest, of several the SHA-256 of all digests, in hex."""
        if not self.further:
            return self.digest
        return sha256(" ".join(digest for _, digest in self.pictures).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is not used, by the path of its first picture, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """Rows in reading order; a value, never changed in place.

    Args:
        root: absolute path that row paths are relative to (``""`` for arrays).
        rows: the rows that are used.
        left_out: the rows that are not, each with its reason.
        notes: what splitting moved or found empty, one sentence each.
        pixels: for arrays, uint8 ``[n, height, width, channels]`` or ``[n, height, width]``;
            ``Row.path`` then is as of `array_path`. ``None`` for files.
        columns: the name of each picture of a row, as cuts use it: ``x@pool[front]``.
        source: absolute path of the file or folder that arrays were read from; ``""`` where they were given.
        order: all classes in the order of a run's outputs, as the run wrote it; empty: as
            `topwork.data.labels.in_order`.
        drawn: how the parts were drawn or dealt; ``None`` where every row came with its own.

    Example:
        >>> data = Dataset("/d", (Row("a.png", "00", "cat"), Row("b.png", "01", "dog")))
        >>> data.classes
        ('cat', 'dog')
        >>> print(data)
        2 pictures in 2 classes of '/d' (0 train, 0 val, 0 test)
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

    def __str__(self) -> str:
        parts = ", ".join(f"{len(self.part(part)):,} {part}" for part in PARTS)
        of = f" of {self.root or self.source!r}" if self.root or self.source else ""
        left_out = f", {len(self.left_out):,} left out" if self.left_out else ""
        return f"{len(self.rows):,} pictures in {len(self.classes):,} classes{of} ({parts}{left_out})"

    @property
    def name(self) -> str:
        """That of its folder, or of what its arrays were read from.

        >>> Dataset("/d/flowers", ()).name, Dataset("", (), source="/d/mnist.npz").name, Dataset("", ()).name
        ('flowers', 'mnist', 'arrays')
        """
        return Path(self.root).name or Path(self.source).stem or "arrays"

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels of its rows in the order of a model's outputs: whole numbers by value, anything else as text."""
        there = {row.label for row in self.rows}
        return tuple(label for label in self.order if label in there) if self.order else in_order(there)

    @property
    def has_own_parts(self) -> bool:
        """Whether the data themselves give the part of every row, and more than one part.

        >>> Dataset("/d", (Row("a.png", "00", "cat", "train"), Row("b.png", "01", "dog", "test"))).has_own_parts
        True
        """
        return self.drawn is None and len({row.split for row in self.rows}) > 1

    def picture(self, path: str) -> "str | np.ndarray":
        """Where a picture of its rows is, as `topwork.data.pictures.load` takes it: its file, or its pixels.

        >>> Dataset("/d", ()).picture("cat/a.png")
        '/d/cat/a.png'
        """
        return os.path.join(self.root, path) if self.pixels is None else in_array(self.pixels, path)

    def part(self, name: str) -> tuple[Row, ...]:
        """The rows of one part (``"train"``, ``"val"`` or ``"test"``), in reading order."""
        return tuple(row for row in self.rows if row.split == name)

    def counts(self) -> dict[str, dict[str, int]]:
        """Pictures by class and part: ``{"cat": {"train": 8, "val": 1, "test": 1}, ...}``."""
        found = Counter((row.label, row.split) for row in self.rows)
        return {label: {part: found[label, part] for part in PARTS} for label in self.classes}

    def seen_from(self, folder: str) -> "Dataset":
        """The same dataset with paths relative to *folder*, an absolute path (arrays stay as they are).

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
        left_out = tuple(replace(gone, path=moved(gone.path)) for gone in self.left_out)
        return replace(self, root=folder, rows=rows, left_out=left_out)

    def with_paths(self, paths: Mapping[str, str]) -> "Dataset":
        """The same dataset with other paths: *paths* holds those of moved pictures, by their digests.

        >>> Dataset("/d", (Row("a.png", "00", "cat"),)).with_paths({"00": "b.png"}).rows[0].path
        'b.png'
        """
        moved = []
        for row in self.rows:
            (path, digest), *further = [(paths.get(digest, path), digest) for path, digest in row.pictures]
            moved.append(replace(row, path=path, digest=digest, further=tuple(further)))
        return replace(self, rows=tuple(moved))

    def without(self, bad: dict[str, str]) -> "Dataset":
        """The same dataset less the rows of which a picture's digest is a key of *bad* (digest -> reason)."""
        first = [next((n for n, (_, digest) in enumerate(row.pictures) if digest in bad), None) for row in self.rows]
        kept = tuple(row for row, n in zip(self.rows, first) if n is None)
        gone = tuple(self.gone(row, n, bad[row.pictures[n][1]]) for row, n in zip(self.rows, first) if n is not None)
        return replace(self, rows=kept, left_out=self.left_out + gone)

    def gone(self, row: Row, number: int, reason: str) -> LeftOut:
        """*row*, left out as its picture *number* (from 0) cannot be used; of several pictures, that one is named.

        >>> data = Dataset("/d", (Row("f.png", "00", "cat", further=(("s.png", "01"),)),), columns=("front", "side"))
        >>> data.gone(data.rows[0], 1, "the file is empty").reason
        "the picture 'side' ('s.png'): the file is empty"
        """
        path, _ = row.pictures[number]
        where = f"the picture {self.columns[number]!r} ({path!r}): " if row.further else ""
        return LeftOut(row.path, where + reason)
