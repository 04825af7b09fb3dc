"""What is in topwork's home: activations, converted trunks, graphs, random weights, models.

Only files and folders with names that topwork gives are listed; links are not followed.
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
"""Header, dtype of floats on disk, and number of rows of a store."""

ASIDE = ".pruned-"
"""Prefix of the name of what is being removed; a killed process leaves it there."""

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
"""What a killed process leaves: files set aside for removal, and temporary folders of half-written files."""


@dataclass(frozen=True)
class Thing:
    """One folder or file in topwork's home.

    Args:
        kind: what it is.
        path: where it is.
        name: for people: ``mobilenet_v2@pool``; with several tensors ``resnet50@{a, b}``.
        backbone: its backbone; ``"pixels"`` for activations at ``input``, ``""`` for a model.
        bytes: its size on disk.
        used: when it was last opened or made, in seconds since 1970.
        size: side of the pictures in pixels; weights: ``"imagenet"``, ``"random"`` or ``"file"``; precision: of the
            trunk; dtype: on disk; rows: views of pictures. Only for activations; ``None`` if not known.
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
    """All things in topwork's home, the largest first.

    Raises:
        StoreError: topwork's home is a file.
    """
    if home().is_file():
        raise StoreError(f"cannot look into topwork's home: {str(home())!r} is a file. {MEND}")
    listed = list(_listed())
    stores = {path: header_of(path) for kind, path, _ in listed if kind == "activations"}
    cuts = {}  # by the name of a trunk's folder; only the header of the store that it filled has its cut
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
                side = next(map(int, re.findall(r"/(\d+)x", about.get("rule", ""))), None)
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
    """Header, dtype and rows of a store; empty or ``None`` if they cannot be read."""
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
        with suppress(OSError, ValueError):  # the copy for people has the name of a damaged store
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
"""Seconds for which files stay after their last use: unlike folders, they are not held by their readers."""

_INSIDE = r"(data|lock)\.mdb|cut\.json|float32|trunk\.(xml|bin)|" + _HALF_MADE
"""The names that topwork uses in the folders of stores and trunks."""


@dataclass(frozen=True)
class Need:
    """What one run needs of topwork's home.

    Args:
        run: its folder.
        paths: what it certainly needs.
        backbones: it may need anything of these.
        everything: whether it may need anything, as nothing is known about it.
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
        stays: why it stays though no run needs it: ``"in use"``: a process holds it; ``"recent"``: a file used
            within a day; ``"foreign"``: its folder also holds something else; ``"yours"``: a network of your own, which
            topwork cannot make again; else empty.
    """

    thing: Thing
    runs: tuple[Path, ...]
    stays: str = ""

    @property
    def goes(self) -> bool:
        """Whether pruning would remove it."""
        return not self.runs and not self.stays


def inventory(needs: Sequence[Need]) -> list[Item]:
    """All things in topwork's home with the runs that need them, the largest first.

    Args:
        needs: what each known run needs (`topwork.runs.needs.needs`).

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
    """The folders of a store or trunk that processes hold: itself, and ``float32`` in it if that is there."""
    return [one for one in (folder, folder / "float32") if one.is_dir()]
