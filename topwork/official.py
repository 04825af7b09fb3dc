"""The official ImageNet files: which each backbone wants, which are at hand, whether they are as Keras publishes them.

Keras is needed only to fetch one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from topwork import backbones, hashes, weights
from topwork.backbones import TABLE, Record

State = Literal["missing", "ok", "wrong", "no published hash"]


@dataclass(frozen=True)
class Official:
    """One official file, there or not.

    Args:
        backbone: the network that wants it.
        path: where it lies, or belongs.
    """

    backbone: str
    path: Path

    @property
    def is_there(self) -> bool:
        """Whether it is at hand."""
        return self.path.is_file()

    @property
    def published(self) -> str | None:
        """The hash that Keras publishes, MD5 or SHA-256 in hex."""
        return hashes.PUBLISHED.get(self.path.name)

    @property
    def found(self) -> str | None:
        """The same of the file that is there, by the same algorithm."""
        if self.published is None or not self.is_there:
            return None
        return weights.digest(self.path, hashes.algorithm(self.published))

    @property
    def state(self) -> State:
        """What its hash says of the file."""
        if not self.is_there:
            return "missing"
        if self.published is None:
            return "no published hash"
        return "ok" if self.found == self.published else "wrong"

    def as_json(self) -> dict[str, Any]:
        """What is known of it; a published hash stands under the name of its algorithm."""
        return {
            "backbone": self.backbone,
            "file": self.path.name,
            "at_hand": self.is_there,
            "bytes": self.path.stat().st_size if self.is_there else None,
            "sha256": weights.sha256(self.path) if self.is_there else None,
            "published": {hashes.algorithm(self.published): self.published} if self.published else None,
            "state": self.state,
        }


def wanted(folder: Path, names: Iterable[str] = TABLE) -> list[Official]:
    """The file of each named backbone at its default size.

    Raises:
        UnknownBackbone: no backbone has that name.
    """
    entries = [backbones.record(name) for name in names]
    return [Official(entry.name, folder / entry.file_at(entry.size)) for entry in entries]


def at_hand(folder: Path) -> list[Official]:
    """Every official file that lies in a folder, those of other sizes than the default ones too."""
    every = [Official(entry.name, folder / file) for entry in TABLE.values() for file in _files(entry)]
    return [one for one in every if one.is_there]


def fetch(one: Official) -> bool:
    """Download a file to where it belongs, unless it is there and nothing says that it is wrong.

    Returns:
        Whether it was downloaded.

    Raises:
        WeightsError: it cannot be; what lies there stays.
    """
    if one.state not in ("missing", "wrong"):
        return False
    entry = backbones.record(one.backbone)
    weights.fetch(one.path, lambda: backbones.source(entry, entry.size))
    return True


def _files(entry: Record) -> list[str]:
    return list(dict.fromkeys(entry.file_at(side) for side in (entry.size, *entry.sides)))
