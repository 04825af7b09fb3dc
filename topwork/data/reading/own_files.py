"""Recognise what topwork wrote itself, so that it is not read as pictures: runs, stores and plots.

The name of a folder has no effect, because a class may be called ``runs``. A folder with ``recipe.toml`` and
``environment.json`` is a run. A folder with ``cut.json`` is a store. A PNG with the text chunk ``topwork`` is a plot or
a preview.
"""

from collections.abc import Collection
from pathlib import Path

PLOT = {"topwork": "plot"}
"""The text chunk in every PNG that topwork draws, as metadata for matplotlib."""

_HEAD = 1024
"""How many bytes at the beginning of a file are searched for the chunk, which follows the header."""


def kind_of_folder(names: Collection[str]) -> str:
    """Return what a folder with these entries is: ``"a run"``, ``"a store"``, or ``""`` for any other folder.

    >>> kind_of_folder(["recipe.toml", "environment.json", "curves.png"]), kind_of_folder(["1.jpg"])
    ('a run', '')
    """
    if {"recipe.toml", "environment.json"} <= set(names):
        return "a run"
    return "a store" if "cut.json" in names else ""


def is_plot(path: Path) -> bool:
    """Return whether a file is a PNG that topwork drew; ``False`` if the file cannot be read."""
    if path.suffix.lower() != ".png":
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head.startswith(b"\x89PNG") and b"tEXttopwork\0" in head
