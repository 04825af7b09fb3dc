"""Readers: make a dataset from pictures and labels, and list the pictures that cannot be used.

The following kinds of data can be read:

folder                 one folder per class, whose pictures may be in subfolders; or ``train/``, ``val/`` and
                       ``test/`` with one folder per class in each (`topwork.data.reading.folders`)
folder of idx files    MNIST's ``train-images-idx3-ubyte`` and so on, compressed (``.gz``) or not
.csv, .tsv             a header with ``path`` and ``label``, optionally ``split`` and ``group``; or ``label`` and
                       several columns of pictures. Paths are relative to the file's folder. In a run's
                       ``pictures.csv``, paths are relative to the folder of the run's data
.parquet               the same columns as .csv; needs pyarrow
.npz                   ``X`` and ``y``, or ``x_train``, ``y_train``, ``x_test``, ``y_test``
pandas.DataFrame       the columns of a CSV file; paths are relative to the working directory
(X, y)                 uint8 pictures and their labels
tf.data.Dataset        pairs (picture, label), single or in batches. Pixels are integers from 0 to 255. The
                       dataset is read once
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from topwork.data import labels, picture_files, splits
from topwork.data.dataset import TORN, Dataset, LeftOut, Row
from topwork.data.holdout import LOST, refuse_left_out, unusable
from topwork.data.quality import facts
from topwork.data.quality import near_copies as near
from topwork.data.reading import parts, run_folders
from topwork.data.reading.arrays import Block, holds_idx, joined, read_idx, read_npz, read_stream
from topwork.data.reading.dataframes import read_frame, read_parquet
from topwork.data.reading.folders import is_picture, read_folder
from topwork.data.reading.hints import hint
from topwork.data.reading.listing import read_listing
from topwork.errors import DatasetError, PictureError, RecipeError, at
from topwork.recipes.settings import Data, Draw, NearCopies
from topwork.system.messages import counted, some, with_progress
from topwork.system.threads import each

FILES = {".csv": read_listing, ".tsv": read_listing, ".parquet": read_parquet, ".npz": read_npz}
"""Suffix of a file -> the function that reads it."""
_ENDS = ", ".join(FILES)


@with_progress
def read(
    data: Any,
    *,
    split: Sequence[float] = (0.8, 0.1, 0.1),
    draw: Draw = "auto",
    seed: int = 0,
    parts: Mapping[str, str] | None = None,
    max_megapixels: float = picture_files.MAX_MEGAPIXELS,
    strict: bool = False,
    decode: bool = False,
    near_copies: NearCopies = "together",
    progress: bool = True,  # noqa: ARG001
) -> Dataset:
    """Read a dataset and draw its splits. Pictures that cannot be used are skipped, each with its reason.

    Args:
        data: a folder, a file, a DataFrame or a `tf.data.Dataset`, as in the list at the top of this module. Or arrays
            ``(X, y)``: *X* uint8 ``[n, h, w]`` or ``[n, h, w, 1 | 3 | 4]``, *y* whole numbers or strings ``[n]``.
        split: the shares of the parts train, val and test. It applies to rows for which the data names no part. See
            `topwork.data.splits.draw`.
        draw: how rows are assigned to parts: ``"auto"``, ``"hash"``, ``"stratified"`` or ``"last"``. See
            `topwork.data.splits.draw`.
        seed: the seed of the draw.
        parts: part -> subfolder, as in ``{"train": "fit", "test": "check"}``, if *data* is a folder. It is needed if
            the folders' names do not show the parts. If only ``train`` is given, all parts are drawn from that folder.
            See `topwork.data.reading.parts`.
        max_megapixels: the size of the largest picture that is read, in millions of pixels. Larger pictures are
            skipped.
        strict: whether to raise an error instead of skipping a picture.
        decode: whether to decode every picture and skip those that do not decode. Otherwise, only empty files, HEIC and
            AVIF are skipped as unreadable.
        near_copies: ``"together"``: near-copies with the same label share a part. A near-copy is the same picture saved
            again, in another size or file format. Notes name near-copies that have two labels, and near-copies that
            the data put in two parts. ``"ignore"``: pictures are only compared byte by byte. See
            `topwork.data.quality.near_copies`.
        progress: whether to show progress bars and messages.

    Returns:
        The dataset. The rows of a folder are sorted by path. The rows of tables and arrays keep their order.

    Raises:
        DatasetError: there is nothing to read, there is only one class, two labels look alike, or a table or an array
            is faulty. Also if *strict* is set and a picture would be skipped.
        MissingExtra: *data* is a Parquet file, and pyarrow is not installed.
        RecipeError: *split*, *draw*, *seed*, *parts* or *near_copies* is not valid.

    Example:
        >>> import numpy as np
        >>> pixels = np.arange(400, dtype=np.uint8).reshape(100, 2, 2)
        >>> data = read((pixels, ["cat", "dog"] * 50), draw="stratified")
        >>> data.classes, len(data.part("test"))
        (('cat', 'dog'), 10)
    """
    splits.check(split, draw, seed, near_copies)
    found = undrawn(data, decode, parts, max_megapixels, near_copies)
    _refuse_few(found, 2)
    if strict:
        refuse_left_out(found)
    drawn = splits.draw(found, split, draw, seed)
    if drawn.drawn:
        how = replace(drawn.drawn, parts=dict(parts or {}), max_megapixels=max_megapixels, near_copies=near_copies)
        drawn = replace(drawn, drawn=how)
    return drawn


def read_by(data: Any, options: Data, strict: bool = False, decode: bool = False) -> Dataset:
    """Read a dataset with the settings in the ``[data]`` table of a recipe; see `read`."""
    with at("data"):
        return read(data, **vars(options), strict=strict, decode=decode)


def look(data: Any, options: Data) -> None:
    """Refuse a folder or a table that cannot be read. No picture is opened, so this check is quick and can come first.

    Raises:
        DatasetError, RecipeError: as in `read`, for errors that show in file names and tables.
    """
    is_path = isinstance(data, str | os.PathLike)
    if is_path and (os.path.isdir(data) or Path(data).suffix.lower() not in (".parquet", ".npz")):
        with at("data"):
            labels.refuse_lookalikes({row.label for row in _found(data, options.parts).rows})


def undrawn(
    data: Any,
    decode: bool = False,
    parts: Mapping[str, str] | None = None,
    max_megapixels: float = picture_files.MAX_MEGAPIXELS,
    near_copies: NearCopies = "ignore",
) -> Dataset:
    """Read pictures and labels by the rules of `read`, without drawing parts. A single class is allowed.

    Args:
        data, decode, parts, max_megapixels, near_copies: as in `read`.

    Raises:
        DatasetError: as in `read`, except for a single class.
    """
    listed = _found(data, parts)
    named = {row.label for row in listed.rows}
    labels.refuse_lookalikes(named)

    def with_digests(row: Row) -> Row | LeftOut:
        digests: list[str] = []
        try:
            for name, _ in row.pictures:
                digests.append(picture_files.digest(os.path.join(listed.root, name)))
        except PictureError as error:
            return listed.gone(row, len(digests), str(error))
        further = tuple((name, digest) for (name, _), digest in zip(row.further, digests[1:]))
        return replace(row, digest=digests[0], further=further)

    is_files = listed.pixels is None
    found = _sorted_out(listed, list(each(with_digests, listed.rows, "reading"))) if is_files else listed
    where = near.sources(found)
    is_seen = near_copies == "together" or (decode and is_files)
    known = facts.known(where, max_megapixels) if is_seen else {}
    usable = _consistent(found.without(_unread(known, where, decode, max_megapixels)))
    _refuse_few(usable, 1)
    usable = near.joined(usable, known, where) if near_copies == "together" else usable

    lost = [repr(label) for label in sorted(named.difference(usable.classes))]
    told = [f"{LOST}, as none of their pictures can be used: {some(lost)}."] if lost else []
    first: dict[str, str] = {}
    pairs = [(row.path, seen) for row in usable.rows if (seen := first.setdefault(row.content, row.path)) != row.path]
    if pairs:
        twice = some([f"{path!r} (as {seen!r})" for path, seen in pairs])
        told.append(f"Found more than once, {counted(len(pairs), 'picture')}: {twice}. Equal pictures share a part.")
    return replace(usable, notes=(*usable.notes, *told))


def refuse_missing(path: str | os.PathLike[str]) -> None:
    """Refuse a path that does not exist, before anything is read.

    Raises:
        DatasetError: there is no such folder or file.
    """
    if not os.path.exists(path):
        where = str(Path(path).resolve())
        told = f"no file or folder {where!r}: expected a folder of pictures, or a file ({_ENDS})."
        is_cut = re.fullmatch(r"\w+@\w+", os.fspath(path))
        why = "If it is a cut, name the pictures first." if is_cut else hint(os.getcwd(), os.fspath(path))
        raise DatasetError(f"{told} {why}".rstrip())


def _found(data: Any, chosen: Mapping[str, str] | None) -> Dataset:
    """Return a dataset with all listed rows. Their digests are still empty if the pictures are files."""
    is_folder = isinstance(data, str | os.PathLike) and os.path.isdir(data) and not holds_idx(os.fspath(data))
    if chosen and not is_folder:
        raise RecipeError(
            "parts names folders, but DATA is not a folder of pictures: give the parts in DATA, in a column 'split' "
            "of a table or as arrays x_train, y_train, x_test, y_test.",
            "parts",
        )
    if chosen:
        parts.check(chosen)
    kinds = {(str(kind.__module__).split(".")[0], kind.__name__) for kind in type(data).__mro__}
    if ("pandas", "DataFrame") in kinds:
        return read_frame(data)
    if ("tensorflow", "DatasetV2") in kinds:
        return read_stream(data)
    if isinstance(data, tuple | list) and len(data) == 2:
        return joined([Block(*data)])
    if not isinstance(data, str | os.PathLike):
        raise DatasetError(
            f"cannot read {type(data).__name__}: expected a folder, a file, arrays (X, y), a pandas DataFrame "
            "or a tf.data.Dataset."
        )
    refuse_missing(data)
    path = str(Path(data).resolve())
    if run_folders.is_listing(Path(path)):
        return replace(run_folders.read_pictures(path), table=path)
    if os.path.isdir(path):
        run_folders.refuse_run(path)
        if not holds_idx(path):
            return read_folder(path, chosen)
    reader = read_idx if os.path.isdir(path) else FILES.get(Path(path).suffix.lower())
    if not reader:
        told = f"cannot read {path!r}: expected a folder, or a file whose name ends in one of {_ENDS}."
        raise DatasetError(told, unlabelled=is_picture(path))
    found = reader(path)
    return replace(found, table=path) if found.pixels is None else replace(found, source=path)


def _unread(
    known: Mapping[str, facts.Fact | str], where: Mapping[str, facts.Source], decode: bool, max_megapixels: float
) -> dict[str, str]:
    """Return digest -> reason, for pictures that are too large or, if *decode*, that do not decode."""

    def why(digest: str) -> str:
        fact, source = known.get(digest, ""), where[digest]
        try:
            if isinstance(fact, facts.Fact):
                picture_files.refuse_size(fact.width, fact.height, max_megapixels)
            elif decode:
                return fact
            elif isinstance(source, str):
                picture_files.refuse_large(source, max_megapixels)
        except PictureError as error:
            return str(error)
        return ""

    reasons = map(why, where) if known else each(why, list(where), "reading")
    return {digest: reason for digest, reason in zip(where, reasons) if reason}


def _consistent(dataset: Dataset) -> Dataset:
    """Return the dataset without the rows whose pictures also occur with another label. These become skipped rows."""
    contents = [row.content for row in dataset.rows]
    first: dict[str, Row] = {}
    torn: dict[str, dict[str, str]] = {}  # content -> label -> the path of its first row
    for content, row in zip(contents, dataset.rows):
        one = first.setdefault(content, row)
        if one.label != row.label:
            labelled = torn.setdefault(content, {one.label: one.path})
            labelled.setdefault(row.label, row.path)
    judged: list[Row | LeftOut] = []
    for content, row in zip(contents, dataset.rows):
        if content not in torn:
            judged.append(row)
            continue
        named = " and ".join(map(repr, sorted(torn[content])))
        other = next(path for label, path in torn[content].items() if label != row.label)
        reason = f"{TORN}{'s are' if row.further else ' is'} labelled {named}, see {other!r}"
        judged.append(LeftOut(row.path, reason, f"each has a copy with another label ({named})", other, row.label))
    return _sorted_out(dataset, judged)


def _sorted_out(dataset: Dataset, judged: Sequence[Row | LeftOut]) -> Dataset:
    rows = tuple(item for item in judged if isinstance(item, Row))
    left_out = [*dataset.left_out, *(item for item in judged if isinstance(item, LeftOut))]
    return replace(dataset, rows=rows, left_out=tuple(sorted(left_out, key=lambda out: out.path)))


def _refuse_few(dataset: Dataset, classes: int) -> None:
    where = f" in {dataset.root!r}" if dataset.root else ""
    why = "".join(f" {told}" for told in ([unusable(dataset)] if dataset.left_out else []) + [*dataset.notes])
    if not dataset.rows:
        raise DatasetError(f"no picture{where} can be used.{why}")
    if len(dataset.classes) < classes:
        raise DatasetError(f"only one class{where}, {dataset.classes[0]!r}: expected at least two.{why}")
