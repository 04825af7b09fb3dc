"""Why a path that someone wrote finds no file: the usual causes, each tried against what is on the disk.

Nothing is taken in the place of what was written: a hint says how to write it.
"""

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from urllib.parse import unquote

_SCHEME = re.compile(r"^file:(//(localhost)?)?(?=/)|^file:(//)?", re.IGNORECASE)

Repair = tuple[str, Callable[[str, str], str]]
"""What was wrong, and what the path should be: of the folder that it is relative to, and of the path."""


def hint(root: str, path: str) -> str:
    """A sentence on how to write a path whose file is there under another spelling; ``""`` where no cause is known.

    Args:
        root: the absolute folder that paths are relative to.
        path: as it was written.

    Example:
        >>> hint("/d", "https://example.org/1.jpg")
        "'https://example.org/1.jpg' is an address: download the pictures first."
    """
    if re.match(r"(https?|ftp|s3|gs)://", path, re.IGNORECASE):
        return f"{path!r} is an address: download the pictures first."
    spellings = () if os.path.exists(os.path.join(root, path)) else _repaired(root, path)
    for causes, found in spellings:
        if os.path.exists(os.path.join(root, found)):
            return f"{path!r} {' and '.join(causes)}: write {found!r}."
    if re.match(r"[A-Za-z]:[\\/]|\\\\", path):
        return f"{path!r} is a Windows path, which does not work here: write paths relative to {root!r}, with '/'."
    return ""


def hints(root: str, paths: list[str], tried: int = 20) -> str:
    """The `hint` on the first of some paths that there is one for; *tried*: how many are looked at."""
    return next((found for path in paths[:tried] if (found := hint(root, path))), "")


def _repaired(root: str, path: str) -> Iterator[tuple[list[str], str]]:
    """Other spellings of a path: with one cause mended, then with two and three at once."""
    for count in (1, 2, 3):
        for some in combinations(REPAIRS, count):
            causes, found = [], path
            for cause, repair in some:
                mended = repair(root, found)
                if mended == found:
                    break
                causes.append(cause)
                found = mended
            else:
                yield causes, found


def _in_working_folder(root: str, path: str) -> str:
    return os.path.relpath(path, root) if path and not os.path.isabs(path) and os.path.exists(path) else path


def _same_stem(root: str, path: str) -> str:
    """The path with the suffix of the one file that is called as it otherwise."""
    folder, name = os.path.split(path)
    stem = os.path.splitext(name)[0]
    there = [other for other in _names(os.path.join(root, folder)) if os.path.splitext(other)[0] == stem]
    return os.path.join(folder, there[0]) if stem and len(there) == 1 else path


def _tail(root: str, path: str) -> str:
    """The longest end of the path that is below *root*."""
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
    ("is relative to the working directory", _in_working_folder),
    ("begins with folders that the file is not in", _tail),
)


def _as_there(root: str, path: str, key: Callable[[str], str]) -> str:
    """The path as the folders on its way spell it, where one name in each has the same *key*."""
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
