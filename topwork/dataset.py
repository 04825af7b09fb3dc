"""A dataset: rows of picture, label, split and group, with what was left out."""

import os
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Row:
    """One picture with its label.

    ``path`` is relative to the dataset's root (for arrays ``"X[17]"``); ``digest`` is the SHA-256
    of the file's bytes in hex (for arrays of bytes, shape and dtype); ``split`` is ``"train"``,
    ``"val"``, ``"test"``, or ``None`` before splits are drawn; ``group`` ties rows that must share a part.
    """

    path: str
    digest: str
    label: str
    split: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A picture that is not used, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """Rows in reading order; a value, never changed in place.

    Args:
        root: absolute path that row paths are relative to (``""`` for arrays).
        rows: the rows that are used.
        left_out: the pictures that are not, each with its reason.
        notes: what splitting moved or found empty, one sentence each.
        pixels: for arrays, uint8 ``[n, height, width, channels]`` or ``[n, height, width]``;
            ``Row.path`` then is ``"X[i]"``. ``None`` for files.

    Example:
        >>> data = Dataset("/d", (Row("a.png", "00", "cat"), Row("b.png", "01", "dog")))
        >>> data.classes
        ('cat', 'dog')
    """

    root: str
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    pixels: "np.ndarray | None" = None

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels in sorted order: the order of every model's outputs."""
        return tuple(sorted({row.label for row in self.rows}))

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

        rows = tuple(replace(row, path=moved(row.path)) for row in self.rows)
        left_out = tuple(replace(gone, path=moved(gone.path)) for gone in self.left_out)
        return replace(self, root=folder, rows=rows, left_out=left_out)

    def without(self, bad: dict[str, str]) -> "Dataset":
        """The same dataset less the rows whose digest is a key of *bad* (digest -> reason)."""
        gone = tuple(LeftOut(row.path, bad[row.digest]) for row in self.rows if row.digest in bad)
        kept = tuple(row for row in self.rows if row.digest not in bad)
        return replace(self, rows=kept, left_out=self.left_out + gone)
