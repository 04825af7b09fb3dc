"""What topwork wrote itself and must not read as pictures: runs, stores and plots.

The name of a folder does not count, since a class may be called ``runs``. A run is a folder with ``recipe.toml`` and
``environment.json``; a store has ``cut.json``; a plot or a preview is a PNG that says so in a text chunk.
"""

from collections.abc import Collection
from pathlib import Path

PLOT = {"topwork": "plot"}
"""The text chunk of each PNG that topwork draws, as matplotlib takes it."""

_HEAD = 1024
"""The number of bytes that are searched for the chunk, which follows the header."""


def kind_of_folder(names: Collection[str]) -> str:
    """What a folder with these entries is: ``"a run"``, ``"a store"``, or ``""``.

    >>> kind_of_folder(["recipe.toml", "environment.json", "curves.png"]), kind_of_folder(["1.jpg"])
    ('a run', '')
    """
    if {"recipe.toml", "environment.json"} <= set(names):
        return "a run"
    return "a store" if "cut.json" in names else ""


def is_plot(path: Path) -> bool:
    """Whether a file is a PNG that topwork drew; ``False`` if it cannot be read."""
    if path.suffix.lower() != ".png":
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head.startswith(b"\x89PNG") and b"tEXttopwork\0" in head
