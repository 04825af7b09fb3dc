"""Copy pictures into a folder for each answer. Nothing is moved, and nothing is overwritten."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

from topwork.shipping.answers import Guess
from topwork.system.files import NewNames, named_if_full

LONGEST = 100
"""The longest name of a folder, in bytes: file systems allow about 255, and paths are limited as well."""

_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}


class Copies:
    """A new folder with a folder for each class, and one for pictures that are unknown.

    Args:
        place: the folder; it is made now.
        labels: the classes.
    """

    def __init__(self, place: Path, labels: Sequence[str]) -> None:
        self._place, self._new = place, NewNames()
        self.folders: dict[str | None, str] = {}
        """The folder of each class; under ``None``, that of unknown pictures."""
        for label in labels:
            self.folders[label] = self._free(safe(label))
        self.folders[None] = self._free("unknown")
        place.mkdir()

    def _free(self, name: str) -> str:
        """Return a name that no folder has, also where capital letters do not count."""
        taken = {_compared(one) for one in self.folders.values()}
        found, number = name, 1
        while _compared(found) in taken:
            number += 1
            found = f"{name}-{number}"
        return found

    def add(self, guess: Guess) -> Path:
        """Copy the picture of an answer, and return the copy. If there is one of this name, it gets a number."""
        source = Path(guess.path)
        folder = self._place / self.folders[None if guess.known is False else guess.label]
        folder.mkdir(exist_ok=True)
        target = self._new.path(folder / source.name)
        with named_if_full(target), source.open("rb") as file, target.open("xb") as copy:
            try:
                shutil.copyfileobj(file, copy)
                copy.flush()
            except OSError:
                target.unlink()  # half a copy would look like a picture
                raise
        shutil.copystat(source, target)
        return target


def _compared(name: str) -> str:
    """Return a name as file systems compare names that ignore capital letters and how accents are written."""
    return normalize("NFC", name).casefold()


def safe(label: str) -> str:
    r"""Return a name for the folder of a class, which Linux, macOS and Windows allow.

    >>> safe("dog/cat: big?"), safe(".."), safe("CON"), safe("")
    ('dog_cat_ big_', '_', '_CON', '_')
    """
    whole = label.encode(errors="replace")[:LONGEST].decode(errors="ignore")
    name = "".join(one if one.isprintable() and one not in '<>:"/\\|?*' else "_" for one in whole).strip(" .")
    return f"_{name}" if name.split(".")[0].strip().lower() in _RESERVED else name or "_"
