"""Readers: a folder, a CSV or TSV file, or arrays become a dataset, and what cannot be used is left out by name.

A folder holds one folder for each class, with pictures in it or anywhere below; or it holds ``train/``, ``val/`` and
``test/``, which hold such folders. A listing has a header with the columns ``path`` and ``label`` and, where wanted,
``split`` and ``group``; its paths are relative to its own folder.
"""

import csv
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from topwork import pictures, splits
from topwork.dataset import Dataset, LeftOut, Row
from topwork.errors import DatasetError, PictureError
from topwork.listing import delimiter, read_listing
from topwork.splits import some
from topwork.tree import is_picture, read_folder, visible

T = TypeVar("T")
Data = str | os.PathLike[str] | tuple[Any, Any]

COLUMNS = ("path", "sha256", "label", "split", "group", "reason")


def read(
    data: Data,
    *,
    split: Sequence[float] = (0.8, 0.1, 0.1),
    draw: str = "hash",
    seed: int = 0,
    strict: bool = False,
    decode: bool = False,
) -> Dataset:
    """Read a dataset and draw its splits. Pictures that cannot be used are left out, each with its reason.

    Args:
        data: a folder, a CSV or TSV file, or arrays ``(X, y)``: *X* uint8 ``[n, h, w]`` or ``[n, h, w, 1 | 3 | 4]``,
            *y* whole numbers or strings ``[n]``.
        split: shares of train, val and test, for rows whose part is not given; see `topwork.splits.draw`.
        draw: ``"hash"``, ``"stratified"`` or ``"last"``.
        seed: of the draw.
        strict: make a picture that would be left out an error.
        decode: decode every picture, so that the broken ones are found now; else only empty files and HEIC are.

    Returns:
        The dataset. The rows of a folder are sorted by path, those of listings and arrays keep their order.

    Raises:
        DatasetError: nothing to read, one class alone, labels that look alike, a listing that is wrong.
        RecipeError: *split* or *draw* are none.

    Example:
        >>> pixels = np.arange(400, dtype=np.uint8).reshape(100, 2, 2)
        >>> data = read((pixels, ["cat", "dog"] * 50), draw="stratified")
        >>> data.classes, len(data.part("test"))
        (('cat', 'dog'), 10)
    """
    splits.check(split, draw)
    found = _found(data)
    labels = {row.label for row in found.rows}
    _refuse_lookalikes(labels)
    usable = _consistent(found if found.pixels is not None else _digested(found, decode))
    _refuse_few(usable)
    if strict:
        refuse_left_out(usable)
    lost = [repr(label) for label in sorted(labels.difference(usable.classes))]
    notes = (f"Classes of which no picture can be used: {some(lost)}.",) if lost else ()
    return splits.draw(replace(usable, notes=usable.notes + notes), split, draw, seed)


def refuse_left_out(dataset: Dataset) -> None:
    """What *strict* means.

    Raises:
        DatasetError: a picture is left out.
    """
    if dataset.left_out:
        raise DatasetError(f"{_unusable(dataset)} Mend or remove them, or do without strict.")


def walk(folder: str | os.PathLike[str]) -> list[str]:
    """The paths of all pictures below a folder, by their names, sorted; hidden files and folders are skipped.

    Raises:
        DatasetError: a folder that cannot be read.
    """
    return [str(Path(folder, name)) for name in visible(os.fspath(folder))[0] if is_picture(name)]


def write_csv(dataset: Dataset, path: str | os.PathLike[str]) -> None:
    """Write rows, then the pictures left out, as a listing that `read` takes again.

    The columns are path (relative to ``dataset.root``), sha256, label, split, group, and the reason where a picture is
    left out; between them stand commas, or tabs where *path* ends in ``.tsv``.

    Raises:
        OSError: the file cannot be written.
    """
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter=delimiter(path))
        table.writerow(COLUMNS)
        table.writerows((row.path, row.digest, row.label, row.split, row.group, None) for row in dataset.rows)
        table.writerows((out.path, None, None, None, None, out.reason) for out in dataset.left_out)


def _found(data: Data) -> Dataset:
    """The rows as they are listed; digests of files are still empty."""
    if isinstance(data, tuple | list) and len(data) == 2:
        return _arrays(*data)
    if not isinstance(data, str | os.PathLike):
        raise DatasetError(
            f"cannot read {type(data).__name__}: expected a folder, a CSV or TSV file, or arrays (X, y)."
        )
    path = Path(data).resolve()
    if path.is_dir():
        return read_folder(str(path))
    if not path.is_file():
        raise DatasetError(f"no file or folder {str(path)!r}: expected a folder of pictures, or a CSV or TSV file.")
    if path.suffix.lower() not in (".csv", ".tsv"):
        raise DatasetError(f"cannot read {str(path)!r}: expected a folder, or a file whose name ends in .csv or .tsv.")
    return read_listing(str(path))


def _arrays(x: Any, y: Any) -> Dataset:
    pixels, labels = _array(x, "X"), _array(y, "y")
    _refuse_pixels(pixels)
    if labels.shape == (len(pixels), 1):
        labels = labels[:, 0]
    if labels.shape != (len(pixels),):
        given, expected = list(labels.shape), [len(pixels)]
        raise DatasetError(f"y has the shape {given}: expected {expected}, a label for each picture of X.")
    names = [str(label) for label in labels.tolist()]
    if not all(isinstance(label, int | str) for label in labels.tolist()):
        raise DatasetError(f"y is {labels.dtype}: expected whole numbers or strings.")
    empty = next((i for i, name in enumerate(names) if not name.strip()), None)
    if empty is not None:
        raise DatasetError(f"y[{empty}] is empty: expected a label.")
    rows = (Row(f"X[{i}]", pictures.digest_array(pixels[i]), name) for i, name in enumerate(names))
    return Dataset("", tuple(rows), pixels=pixels)


def _array(values: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError:
        raise DatasetError(f"{name} is no array: expected items that all have one shape.") from None


def _refuse_pixels(pixels: np.ndarray) -> None:
    if pixels.dtype != np.uint8:
        unit = "(X * 255).round().astype('uint8') if they go from 0 to 1"
        way = unit if pixels.dtype.kind == "f" else "X.astype('uint8') if they fit"
        raise DatasetError(f"X is {pixels.dtype}: expected uint8, values from 0 to 255. Convert them: {way}.")
    if pixels.ndim not in (3, 4) or pixels.shape[3:] not in ((), (1,), (3,), (4,)) or np.prod(pixels.shape[1:3]) < 2:
        raise DatasetError(
            f"X has the shape {list(pixels.shape)}: expected [n, height, width] or [n, height, width, channels], "
            "with 1, 3 or 4 channels and 2 pixels at least."
        )


def _digested(dataset: Dataset, decode: bool) -> Dataset:
    """The rows with their digests, less those whose files cannot be read."""

    def look(row: Row) -> Row | LeftOut:
        path = Path(dataset.root, row.path)
        try:
            looked = replace(row, digest=pictures.digest(path))
            if decode:
                pictures.decode(path, _SMALL)
        except PictureError as error:
            return LeftOut(row.path, str(error))
        return looked

    return _sorted_out(dataset, _each(look, dataset.rows))


_SMALL = pictures.Fit((32, 32))
"""Enough to see that a picture decodes: all of the file is read whatever the size."""


def _each(function: Callable[[Row], T], rows: Sequence[Row], block: int = 16) -> list[T]:
    """``function`` of each row, by a few threads, in order; in blocks, as handing over costs more than a small file."""
    blocks = [rows[start : start + block] for start in range(0, len(rows), block)]
    threads = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        return [value for values in pool.map(lambda part: list(map(function, part)), blocks) for value in values]


def _consistent(dataset: Dataset) -> Dataset:
    """The dataset less the pictures that stand under two labels."""
    first: dict[str, Row] = {}
    torn = {row.digest for row in dataset.rows if first.setdefault(row.digest, row).label != row.label}
    rows_of: dict[str, list[Row]] = defaultdict(list)
    for row in dataset.rows:
        if row.digest in torn:
            rows_of[row.digest].append(row)
    clash = [_clash(row, rows_of[row.digest]) if row.digest in torn else row for row in dataset.rows]
    return _sorted_out(dataset, clash)


def _clash(row: Row, equals: list[Row]) -> LeftOut:
    labels = " and ".join(repr(label) for label in sorted({equal.label for equal in equals}))
    other = next(equal.path for equal in equals if equal.label != row.label)
    return LeftOut(row.path, f"the same picture stands under {labels}, as {other!r}")


def _sorted_out(dataset: Dataset, judged: Sequence[Row | LeftOut]) -> Dataset:
    rows = tuple(item for item in judged if isinstance(item, Row))
    left_out = [*dataset.left_out, *(item for item in judged if isinstance(item, LeftOut))]
    return replace(dataset, rows=rows, left_out=tuple(sorted(left_out, key=lambda out: out.path)))


def _refuse_lookalikes(labels: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for label in sorted(labels):
        other = seen.setdefault("".join(label.split()).casefold(), label)
        if other != label:
            raise DatasetError(
                f"labels {other!r} and {label!r} differ by case or blanks alone: "
                "make them one, or give them names that differ in letters."
            )


def _refuse_few(dataset: Dataset) -> None:
    where = f" in {dataset.root!r}" if dataset.root else ""
    why = f" {_unusable(dataset)}" if dataset.left_out else ""
    if not dataset.rows:
        raise DatasetError(f"no picture{where} can be used.{why}")
    if len(dataset.classes) == 1:
        raise DatasetError(f"only one class{where}, {dataset.classes[0]!r}: expected two at least.{why}")


def _unusable(dataset: Dataset) -> str:
    count = f"{len(dataset.left_out)} picture{'s' if len(dataset.left_out) > 1 else ''}"
    return f"{count} cannot be used: {some([f'{out.path!r} ({out.reason})' for out in dataset.left_out])}."
