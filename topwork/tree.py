"""The tree of a folder: its pictures, and what their folders say of label and part."""

import os
from collections.abc import Iterable
from pathlib import Path

from topwork.dataset import Dataset, LeftOut, Row
from topwork.errors import DatasetError
from topwork.splits import some

READ = ("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "webp", "bmp", "gif", "tif", "tiff")
NAMED = ("heic", "heif", "hif", "avif")
"""Suffixes of pictures, in small letters: those that may be read, and those that are named with the way out."""
HIDDEN = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir"})
"""What other programs leave behind, in small letters; skipped, as is all that starts with a dot."""
WORDS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""What a part may be called, in small letters."""

Parts = dict[str, str | None]


def read_folder(root: str) -> Dataset:
    """The pictures below *root*, sorted by path, with labels and given parts; digests are still empty.

    Raises:
        DatasetError: no picture, no class folders, or parts beside other folders.
    """
    files, folders = visible(root)
    listed = [name for name in files if is_picture(name)]
    if not listed:
        raise DatasetError(f"no picture in {root!r}: expected a folder for each class, with pictures in it.")
    parts = _parts(root, {name.split("/")[0] for name in listed if "/" in name})
    depth = 1 if parts else 0
    bad = {name: reason for name in listed if (reason := _misplaced(name, depth))}
    rows = tuple(_row(name, depth, parts) for name in listed if name not in bad)
    if not rows:
        raise DatasetError(
            f"no class folders in {root!r}: its pictures lie in none, as {_shown(listed[0])!r}. "
            "Expected a folder for each class, as in 'daisy/1.jpg', or a CSV file with the columns path and label."
        )
    labels = {name.split("/")[depth] for name in folders if name.count("/") > depth} - {row.label for row in rows}
    left_out = tuple(LeftOut(_shown(name), reason) for name, reason in bad.items())
    return Dataset(root, rows, left_out, tuple(_notes(files, labels, parts)))


def visible(root: str) -> tuple[list[str], list[str]]:
    """The files below *root* and the folders (these with a ``/`` behind), relative and sorted, hidden ones left away.

    A folder is visited once, however many links lead to it; what lies in *root* itself comes before what is linked.

    Raises:
        DatasetError: a folder that cannot be read.
    """
    files: list[str] = []
    folders: list[str] = []
    linked: list[str] = []
    real, seen = [""], set()
    while real or linked:
        folder = real.pop() if real else linked.pop(0)
        path = os.path.realpath(Path(root, folder))
        if path in seen:
            continue
        seen.add(path)
        folders.append(folder)
        for entry in _entries(path):
            if entry.is_dir():
                (linked if entry.is_symlink() else real).append(f"{folder}{entry.name}/")
            else:
                files.append(folder + entry.name)
    return sorted(files), sorted(folders)


def is_picture(name: str) -> bool:
    """Whether a file's name says that it is a picture."""
    _, dot, suffix = name.rpartition(".")
    return bool(dot) and suffix.lower() in READ + NAMED


def _entries(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            shown = [e for e in entries if not e.name.startswith(".") and e.name.lower() not in HIDDEN]
    except OSError as error:
        raise DatasetError(f"cannot read the folder {path!r}: {error.strerror}.") from None
    return sorted(shown, key=lambda entry: entry.name)


def _parts(root: str, names: set[str]) -> Parts:
    """Folder -> part, where the folders are the parts of a split; empty where they are classes.

    A folder ``train`` among others is a class (a bus is another); ``train`` alone gives no split, and one is drawn.
    """
    parts: Parts = {name: WORDS[name.lower()] for name in sorted(names) if name.lower() in WORDS}
    others = [repr(name) for name in sorted(names - parts.keys())]
    found = set(parts.values())
    if "train" not in found or (others and found == {"train"}):
        return {}
    if others:
        raise DatasetError(
            f"{root!r} holds {some(others)} beside {' and '.join(map(repr, parts))}: "
            "expected a folder for each class, or train, val and test and nothing else."
        )
    return parts if found != {"train"} else dict.fromkeys(parts)


def _misplaced(name: str, depth: int) -> str:
    if not _is_utf8(name):
        return "its name is not UTF-8; rename it"
    return "" if name.count("/") > depth else "it lies in no class folder"


def _row(name: str, depth: int, parts: Parts) -> Row:
    pieces = name.split("/")
    return Row(name, "", pieces[depth], parts.get(pieces[0]))


def _notes(files: list[str], empty: set[str], parts: Parts) -> Iterable[str]:
    others = [repr(_shown(name)) for name in files if not is_picture(name)]
    if others:
        yield f"Skipped, as they are no pictures by their names: {some(others)}."
    if empty:
        yield f"Class folders without a picture: {some([repr(_shown(name)) for name in sorted(empty)])}."
    if parts and not any(parts.values()):
        yield "There is a train folder alone: all parts are drawn from it."


def _is_utf8(name: str) -> bool:
    return name.isascii() or _shown(name) == name


def _shown(name: str) -> str:
    """The name with what is no UTF-8 in it spelled out, so that it can be printed."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
