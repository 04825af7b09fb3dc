"""The official ImageNet files: which each backbone wants, which are at hand, and whether they are as published.

What is at hand decides which network is the default. Keras is needed only to fetch one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from topwork import backbones, efficientnet_lite0_weights, hashes, weights
from topwork.backbones import TABLE
from topwork.errors import WeightsError
from topwork.recipes.settings import Backbone

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
    def is_packaged(self) -> bool:
        """Whether it comes in a Python package, not from Keras' address."""
        return backbones.record(self.backbone).is_packaged

    @property
    def published(self) -> str | None:
        """The hash that Keras publishes, MD5 or SHA-256 in hex; of a package's file the one that topwork knows."""
        return efficientnet_lite0_weights.SHA256 if self.is_packaged else hashes.PUBLISHED.get(self.path.name)

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
            "path": str(self.path),
            "package": efficientnet_lite0_weights.PACKAGE if self.is_packaged else None,
            "at_hand": self.is_there,
            "bytes": self.path.stat().st_size if self.is_there else None,
            "sha256": weights.sha256(self.path) if self.is_there else None,
            "published": {hashes.algorithm(self.published): self.published} if self.published else None,
            "state": self.state,
        }


def wanted(place: Path, names: Iterable[str] = TABLE) -> list[Official]:
    """The file of each named backbone at its default size.

    Raises:
        UnknownBackbone: no backbone has that name.
    """
    entries = [backbones.record(name) for name in names]
    return [Official(entry.name, entry.path(place, entry.size)) for entry in entries]


def at_hand(inside: Path | None = None) -> list[Official]:
    """Every official file here, those of other sizes than the default ones too; with *inside*, those in that folder alone."""
    place = inside or weights.folder()
    every = [Official(entry.name, path) for entry in TABLE.values() for path in entry.paths(place)]
    return [one for one in every if one.is_there and not (inside and one.is_packaged)]


def fetch(one: Official) -> bool:
    """Download a file to where it belongs, unless it is there and nothing says that it is wrong.

    Returns:
        Whether it was downloaded.

    Raises:
        WeightsError: it cannot be, or comes in a package; what is there stays.
    """
    if one.is_packaged:
        efficientnet_lite0_weights.check(one.path)
    if one.state not in ("missing", "wrong"):
        return False
    entry = backbones.record(one.backbone)
    weights.download(one.path, lambda: backbones.source(entry, entry.size))
    return True


DEFAULT = "efficientnet_lite0"
"""The backbone of a run that names none."""


def default(size: int | None = None) -> tuple[Backbone, str]:
    """The backbone of a run that names none, and what to say of it; nothing is fetched.

    `DEFAULT` where its package is installed; else the widest MobileNetV2 at hand; else the largest ImageNet file at
    hand.

    Args:
        size: side of the pictures in pixels, for which a file must be at hand; by default the network's own.

    Raises:
        WeightsError: nothing is at hand, or the package is damaged.
    """
    if efficientnet_lite0_weights.is_installed():
        efficientnet_lite0_weights.check(efficientnet_lite0_weights.path())  # damage must be mended, not passed over
        return Backbone(DEFAULT), f"Backbone: {DEFAULT} with ImageNet weights, the default."
    install = efficientnet_lite0_weights.INSTALL
    files = [(entry.name, entry.path(weights.folder(), size or entry.size)) for entry in TABLE.values()]
    found = [("mobilenet_v2" in name, path.stat().st_size, name) for name, path in files if path.is_file()]
    if not found:
        raise WeightsError(
            f"no ImageNet weights are at hand. Three ways out: install the default network, {install}; put an official "
            f"file into {weights.folder()} (with a network: topwork weights fetch mobilenet_v2); or ask for random "
            "weights, which score poorly: --weights random."
        )
    is_mobilenet_v2, _, name = max(found)
    why = "the widest MobileNetV2" if is_mobilenet_v2 else "the largest network"
    return Backbone(name), (
        f"For the default network, {DEFAULT}: {install}\nBackbone: {name}, {why} whose ImageNet file is at hand."
    )
