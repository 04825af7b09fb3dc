"""Hints: find out why there is no file at a path. Each of the usual causes is checked on the disk.

A hint only proposes another path. No other file is read instead.
"""

import os
import re
import unicodedata
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from urllib.parse import unquote

_SCHEME = re.compile(r"^file:(//(localhost)?)?(?=/)|^file:(//)?", re.IGNORECASE)

Repair = tuple[str, Callable[[str, str], str]]
"""What is wrong with a path, and a function (root, path) -> corrected path."""


def hint(root: str, path: str) -> str:
    """Return a sentence on how to correct a path that finds no file; ``""`` if no cause is found.

    Args:
        root: the absolute folder that the path is relative to.
        path: the path as the user wrote it.

    Example:
        >>> hint("/d", "https://example.org/1.jpg")
        "'https://example.org/1.jpg' is an address: download the pictures first."
    """
    if re.match(r"(https?|ftp|s3|gs)://", path, re.IGNORECASE):
        return f"{path!r} is an address: download the pictures first."
    at_most = 0 if os.path.exists(os.path.join(root, path)) else 3
    for repairs in (some for count in range(1, at_most + 1) for some in combinations(REPAIRS, count)):
        found = [path]
        for _, repair in repairs:
            found.append(repair(root, found[-1]))
        each_changed = all(before != after for before, after in pairwise(found))
        if each_changed and os.path.exists(os.path.join(root, found[-1])):
            causes = " and ".join(cause for cause, _ in repairs)
            return f"{path!r} {causes}: write {found[-1]!r}."
    if re.match(r"[A-Za-z]:[\\/]|\\\\", path):
        return f"{path!r} is a Windows path, which does not work here: write paths relative to {root!r}, with '/'."
    return ""


def _same_stem(root: str, path: str) -> str:
    """Return the path with the suffix of the only file in its folder that has the same name apart from the suffix."""
    folder, name = os.path.split(path)
    stem = os.path.splitext(name)[0]
    there = [other for other in _names(os.path.join(root, folder)) if os.path.splitext(other)[0] == stem]
    return os.path.join(folder, there[0]) if stem and len(there) == 1 else path


def _tail(root: str, path: str) -> str:
    """Return the longest end of the path that exists in *root*; the path itself if there is none."""
    parts = Path(path).parts
    ends = (os.path.join(*parts[start:]) for start in range(1, len(parts)))
    return next((end for end in ends if os.path.exists(os.path.join(root, end))), path)


REPAIRS: tuple[Repair, ...] = (
    ("has blanks or quotes around it", lambda _, path: path.strip().strip("\"'").strip()),
    ("has the backslashes of Windows", lambda _, path: path.replace("\\", "/")),
    ("begins with 'file:'", lambda _, path: _SCHEME.sub("", path)),
    ("has escapes with '%'", lambda _, path: unquote(path)),
    ("has a '~', which only a shell replaces", lambda _, path: os.path.expanduser(path)),
    (
        "has accents in another Unicode form than the file",
        lambda root, path: _as_there(root, path, lambda name: unicodedata.normalize("NFC", name)),
    ),
    (
        "differs in upper and lower case from the file",
        lambda root, path: _as_there(root, path, lambda name: unicodedata.normalize("NFC", name).casefold()),
    ),
    ("has another suffix than the file", _same_stem),
    (
        "is relative to the working directory",
        lambda root, path: os.path.relpath(path, root) if not os.path.isabs(path) and os.path.exists(path) else path,
    ),
    ("begins with folders that the file is not in", _tail),
)


def _as_there(root: str, path: str, key: Callable[[str], str]) -> str:
    """Return the path as it is spelled on the disk, if each name in it matches exactly one name there by *key*."""
    there = "/" if path.startswith("/") else ""
    for part in filter(None, path.split("/")):
        folder = os.path.join(root, there)
        alike = [part] if os.path.lexists(os.path.join(folder, part)) or part in (".", "..") else []
        alike = alike or [name for name in _names(folder) if key(name) == key(part)]
        if len(alike) != 1:
            return path
        there = os.path.join(there, alike[0])
    return there


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
