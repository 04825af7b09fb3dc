"""Folders: find the pictures in a folder. Their labels and parts come from the names of its subfolders.

See `topwork.data.reading.parts` for the rules on parts.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from topwork.data import labels
from topwork.data.dataset import Dataset, LeftOut, Row
from topwork.data.reading import own_files, parts
from topwork.errors import DatasetError
from topwork.system.messages import some

READ = ("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "webp", "bmp", "gif", "tif", "tiff")
NAMED = ("heic", "heif", "hif", "avif")
"""Suffixes of pictures, in lower case: `READ` may be read, `NAMED` are refused with advice."""
HIDDEN = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir"})
"""Files and folders of other programs, in lower case. They are skipped, like all names that start with a dot."""


@dataclass(frozen=True)
class Tree:
    """The content of a folder, as relative paths.

    Args:
        files: in sorted order.
        folders: in sorted order, with a ``/`` at the end.
        passed: path -> kind (such as ``"a run"``), for files and folders that are ignored because topwork made them.
    """

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    passed: dict[str, str] = field(default_factory=dict)


def read_folder(root: str, chosen: Mapping[str, str] | None = None) -> Dataset:
    """Return the pictures below *root*, sorted by path, with labels and given parts; digests are still empty.

    Args:
        root: the folder.
        chosen: part -> its folder, if the user names the folders.

    Raises:
        DatasetError: there is no picture or no class folder, or it is unclear which part a folder is.
    """
    tree = visible(root)
    not_read = []
    if tree.passed:
        made = [f"{_shown(name.rstrip('/'))!r} ({kind})" for name, kind in sorted(tree.passed.items())]
        not_read.append(f"Ignored, because topwork made them: {some(made)}.")
    others = [repr(_shown(name)) for name in tree.files if not is_picture(name)]
    if len(others) == 1:
        not_read.append(f"Skipped: {others[0]}, which is not named as a picture.")
    elif others:
        not_read.append(f"Skipped: {len(others):,} files that are not named as pictures: {some(others)}.")

    listed = [name for name in tree.files if is_picture(name)]
    if not listed:
        told = " ".join(not_read)
        raise DatasetError(
            f"no picture in {root!r}: expected a folder for each class, with pictures in it.{told and f' {told}'}"
        )
    found = parts.chosen(listed, tree.folders, root, chosen) if chosen else parts.layout(listed, tree.folders, root)
    unprintable = {name for name in listed if not name.isascii() and _shown(name) != name}
    places = {name: place for name in listed if name not in unprintable and (place := found.place(name))}
    if not places:
        raise DatasetError(
            f"no class folders in {root!r}: its pictures are not in class folders, for example {_shown(listed[0])!r}. "
            "Expected a folder for each class, as in 'daisy/1.jpg', or a CSV file with the columns path and label.",
            unlabelled=True,
        )
    named = {label for label, _ in places.values()}
    read_as = dict(zip(sorted(named), labels.column(sorted(named))))
    rows = tuple(Row(name, "", read_as[label], part) for name, (label, part) in places.items())
    left_out = []
    for name in listed:
        if name not in places and not (chosen and found.folder(name) is None):
            reason = "its name is not UTF-8; rename it" if name in unprintable else "it is not in a class folder"
            left_out.append(LeftOut(_shown(name), reason))

    notes = [*found.notes, *not_read]
    folders = [folder for folder in tree.folders if folder and not any(one.startswith(folder) for one in tree.passed)]
    if empty := {place[0] for folder in folders if (place := found.place(folder))} - named:
        notes.append(f"Class folders without a picture: {some([repr(_shown(name)) for name in sorted(empty)])}.")
    return Dataset(root, rows, tuple(left_out), tuple(notes))


def visible(root: str) -> Tree:
    """Return the content of a folder, without hidden files and folders. What topwork made is listed separately.

    A folder is visited once, however many links lead to it. Folders in *root* come before linked folders.

    Raises:
        DatasetError: a folder cannot be read.
    """
    found = Tree()
    linked: list[str] = []
    real, seen = [""], set()
    while real or linked:
        folder = real.pop() if real else linked.pop(0)
        path = os.path.realpath(Path(root, folder))
        if path in seen:
            continue
        seen.add(path)
        try:
            with os.scandir(path) as listed:
                entries = [e for e in listed if not e.name.startswith(".") and e.name.lower() not in HIDDEN]
        except OSError as error:
            raise DatasetError(f"cannot read the folder {path!r}: {error.strerror}.") from None
        entries.sort(key=lambda entry: entry.name)
        if folder and (kind := own_files.kind_of_folder([entry.name for entry in entries])):
            found.passed[folder] = kind
            continue
        found.folders.append(folder)
        for entry in entries:
            if entry.is_dir():
                (linked if entry.is_symlink() else real).append(f"{folder}{entry.name}/")
            elif own_files.is_plot(Path(entry.path)):
                found.passed[folder + entry.name] = "a plot"
            else:
                found.files.append(folder + entry.name)
    found.files.sort()
    found.folders.sort()
    return found


def is_picture(name: str) -> bool:
    """Return whether a file is a picture, judged by its name."""
    _, dot, suffix = name.rpartition(".")
    return bool(dot) and suffix.lower() in READ + NAMED


def _shown(name: str) -> str:
    """Return the name with escapes for bytes that are not UTF-8, so that it can be printed."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def walk(folder: str | os.PathLike[str]) -> list[str]:
    """Return the sorted paths of all files below a folder that `is_picture` accepts, without hidden files and folders.

    Raises:
        DatasetError: a folder cannot be read.
    """
    return [str(Path(folder, name)) for name in visible(os.fspath(folder)).files if is_picture(name)]
