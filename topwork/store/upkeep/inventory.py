"""List the contents of topwork's home: activations, converted trunks, graphs, random weights, models.

Only files and folders with names in topwork's formats are listed; symbolic links are not followed.
"""

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from topwork.errors import StoreError
from topwork.networks.backbones import catalogue
from topwork.networks.weights import efficientnet_lite0, files
from topwork.store.tables import Tables
from topwork.system.files import HALF_MADE, MEND, alone, digest, home

Kind = Literal["activations", "trunk", "graph", "random weights", "model", "left over"]

Said = tuple[dict[str, Any], str | None, int | None]
"""The header of a store, its dtype of floats on disk, and its number of rows."""

ASIDE = ".pruned-"
"""Prefix of the names that things get while they are being removed; a killed process leaves them behind."""

_DIGEST = r"(?P<backbone>\w+)-[0-9a-f]{16}"
_PLACES: tuple[tuple[Kind, str, str], ...] = (
    ("activations", "store", _DIGEST + r"(-float32)?"),
    ("trunk", "trunks", _DIGEST),
    ("graph", "graphs", _DIGEST + r"\.json"),
    ("random weights", "weights", r"(?P<backbone>\w+?)-random-.+\.weights\.h5"),
    ("model", "models", r"(?P<backbone>)[0-9a-f]{64}\.keras"),
)
_HALF_MADE = "[a-z0-9_]{8}".join(map(re.escape, HALF_MADE))
_LEFT_OVER = rf"{re.escape(ASIDE)}.+|{_HALF_MADE}"
"""Matches names that a killed process leaves: things renamed for removal, temporary folders of half-written files."""


@dataclass(frozen=True)
class Thing:
    """One folder or file in topwork's home.

    Args:
        kind: activations, trunk, graph, random weights, model, or left over by a killed process.
        path: its path.
        name: a name for people, such as ``mobilenet_v2@pool``; with several tensors, ``resnet50@{a, b}``.
        backbone: the name of its backbone; ``"pixels"`` for activations at ``input``, ``""`` for a model.
        bytes: its size on disk.
        used: when it was last opened or made, in seconds since 1970.
        size: the side of the pictures in pixels. This and the following fields are only for activations; ``None`` if
            not known.
        weights: ``"imagenet"``, ``"random"`` or ``"file"``.
        precision: the precision in which the trunk ran.
        dtype: the dtype on disk.
        rows: the number of stored views of pictures.
    """

    kind: Kind
    path: Path
    name: str
    backbone: str
    bytes: int
    used: float
    size: int | None = None
    weights: str | None = None
    precision: str | None = None
    dtype: str | None = None
    rows: int | None = None


def contents() -> list[Thing]:
    """Return all things in topwork's home, the largest first.

    Raises:
        StoreError: topwork's home is a file.
    """
    if home().is_file():
        raise StoreError(f"cannot look into topwork's home: {str(home())!r} is a file. {MEND}")
    listed = list(_listed())
    stores = {path: header_of(path) for kind, path, _ in listed if kind == "activations"}
    cuts = {}  # folder name of a trunk -> its cut, which only the header of a store that the trunk filled states
    for path, (header, _, _) in stores.items():
        backbone, about = path.name.split("-")[0], header.get("description", {})
        network = {key: about[key] for key in about.keys() - {"rule", "runtime", "precision"}}
        cuts[f"{backbone}-{digest(network)}"] = _name(backbone, about.get("tensors", []))
    found = []
    for kind, path, backbone in listed:
        with suppress(FileNotFoundError):  # removed meanwhile
            name = cuts.get(path.name, backbone or path.name)
            inside = path.rglob("*") if path.is_dir() else ()
            taken = sum(512 * one.lstat().st_blocks for one in (path, *inside))
            thing = Thing(kind, path, name, backbone, taken, path.stat().st_mtime)
            if path in stores:
                header, dtype, rows = stores[path]
                about, tensors = header.get("description", {}), header.get("tensors", [])
                if dtype and all(tensor["dtype"] == "uint8" for tensor in tensors):
                    dtype = "uint8"
                side = next(map(int, re.findall(r"/(\d+)x", about.get("rule") or "")), None)
                thing = replace(
                    thing,
                    name=_name(backbone, about.get("tensors", [])),
                    size=about.get("size") or side,
                    weights=_weights(backbone, about.get("weights")),
                    precision=about.get("precision"),
                    dtype=dtype,
                    rows=rows,
                )
            found.append(thing)
    return sorted(found, key=lambda thing: (-thing.bytes, thing.name, str(thing.path)))


def header_of(folder: Path) -> Said:
    """Return the header, dtype and number of rows of a store; ``{}`` or ``None`` for those that cannot be read."""
    if not (folder / "data.mdb").exists():
        return {}, None, None
    names = "header", "dtype", "overflow"
    try:
        with closing(Tables(folder)) as tables:
            texts, rows = tables.run(lambda txn: ([tables.get(txn, name) for name in names], tables.count(txn)))
        header, dtype, overflow = texts
        if overflow:
            return json.loads(header or "{}"), *header_of(folder / "float32")[1:]
        return json.loads(header or "{}"), dtype, rows
    except StoreError:
        with suppress(OSError, ValueError):  # for a damaged store: its header is also in the copy for people
            return json.loads((folder / "cut.json").read_text(encoding="utf-8")), None, None
        return {}, None, None


def _listed() -> Iterator[tuple[Kind, Path, str]]:
    for kind, folder, pattern in _PLACES:
        for path in sorted((home() / folder).glob("*")):
            match = re.fullmatch(pattern, path.name)
            if match and not path.is_symlink() and path.is_dir() == (kind in ("activations", "trunk")):
                yield kind, path, match["backbone"]
            elif re.fullmatch(_LEFT_OVER, path.name) and not path.is_symlink():
                yield "left over", path, ""


def _name(backbone: str, tensors: list[str]) -> str:
    if backbone == "pixels":
        return "x@input"
    places = [tensor.removesuffix(":0") for tensor in tensors]
    if not places:
        return backbone
    return f"{backbone}@{places[0]}" if len(places) == 1 else f"{backbone}@{{{', '.join(places)}}}"


def _weights(backbone: str, identity: str | None) -> str | None:
    if identity is None:
        return None
    if identity.startswith("random-"):
        return "random"
    record = catalogue.TABLE.get(backbone)
    if record and record.is_packaged:
        return "imagenet" if identity == efficientnet_lite0.SHA256 else "file"
    official = [path for path in record.paths(files.folder()) if path.is_file()] if record else []
    return "imagenet" if identity in map(files.sha256, official) else "file"


GRACE = 86_400
"""Files are kept for this many seconds after their last use, because processes that read them do not hold them."""

_INSIDE = r"(data|lock)\.mdb|cut\.json|float32|trunk\.(xml|bin)|" + _HALF_MADE
"""Matches the names that topwork uses in the folders of stores and trunks."""


@dataclass(frozen=True)
class Need:
    """The things in topwork's home that one run needs.

    Args:
        run: the folder of the run.
        paths: the paths of the things that it certainly needs.
        backbones: the names of backbones; the run may need anything that belongs to them.
        everything: whether the run may need anything, because nothing is known about its needs.
    """

    run: Path
    paths: frozenset[Path] = frozenset()
    backbones: frozenset[str] = frozenset()
    everything: bool = False


@dataclass(frozen=True)
class Item:
    """A thing, the runs that need it, and any other reason to keep it.

    Args:
        thing: the file or folder.
        runs: the folders of the runs that need it, or may need it.
        stays: why it stays though no run needs it; empty if there is no such reason. ``"in use"``: a process holds it.
            ``"recent"``: the file was used within the last day. ``"foreign"``: its folder also contains something that
            is not topwork's. ``"yours"``: it is the user's own network, which topwork cannot make again.
    """

    thing: Thing
    runs: tuple[Path, ...]
    stays: str = ""

    @property
    def goes(self) -> bool:
        """Whether `topwork.store.upkeep.prune.prune` would remove the thing."""
        return not self.runs and not self.stays


def inventory(needs: Sequence[Need]) -> list[Item]:
    """Return all things in topwork's home with the runs that need them, the largest thing first.

    Args:
        needs: the needs of each known run, from `topwork.runs.needs.needs`.

    Example:
        >>> sum(item.thing.bytes for item in inventory([]) if item.goes)  # doctest: +SKIP
        2340864
    """
    found = []
    for thing in contents():
        runs = tuple(
            need.run
            for need in needs
            if thing.kind != "left over"
            and (need.everything or thing.path in need.paths or thing.backbone in need.backbones)
        )
        if runs:
            stays = ""
        elif thing.kind == "model":
            stays = "yours"
        elif thing.kind in ("activations", "trunk"):
            folders = parts(thing.path)
            inside = [entry.name for folder in folders for entry in folder.iterdir()]
            if all(re.fullmatch(_INSIDE, name) for name in inside):
                with alone(*folders) as is_alone:
                    stays = "" if is_alone else "in use"
            else:
                stays = "foreign"
        else:
            is_recent = time.time() - thing.used < GRACE and not thing.path.name.startswith(ASIDE)
            stays = "recent" if is_recent else ""
        found.append(Item(thing, runs, stays))
    return found


def parts(folder: Path) -> list[Path]:
    """Return the folders that processes hold for a store or trunk: *folder* and, if it exists, its ``float32``."""
    return [one for one in (folder, folder / "float32") if one.is_dir()]
