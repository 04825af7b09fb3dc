"""The inventory of topwork's home: what lies there, which runs need it, and what `topwork.prune` would drop."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from topwork.contents import ASIDE, Thing, contents
from topwork.needs import needs
from topwork.system.files import alone

GRACE = 86_400
"""Seconds for which files stay after their last use: unlike folders, they are not held by those who read them."""

_INSIDE = r"(data|lock)\.mdb|cut\.json(\.\d+)?|float32|trunk\.(xml|bin)|tmp[a-z0-9_]{8}"
"""What topwork puts into the folders of stores and trunks."""


@dataclass(frozen=True)
class Item:
    """A thing, who needs it, and what else keeps it.

    Args:
        thing: what lies there.
        runs: the folders of the runs that need it, or may.
        stays: why it stays though no run needs it: ``"in use"`` by a process at the moment; ``"recent"``: a file used
            within a day; ``"foreign"``: something else lies in its folder; ``"yours"``: a network of your own, which
            topwork cannot make again; else empty.
    """

    thing: Thing
    runs: tuple[Path, ...]
    stays: str = ""

    @property
    def goes(self) -> bool:
        """Whether pruning would drop it."""
        return not self.runs and not self.stays


def inventory() -> list[Item]:
    """All that lies below topwork's home, the largest first.

    Example:
        >>> sum(item.thing.bytes for item in inventory() if item.goes)  # doctest: +SKIP
        2340864
    """
    known = needs()
    return [_item(thing, tuple(need.run for need in known if need.covers(thing))) for thing in contents()]


def parts(folder: Path) -> list[Path]:
    """A store's or trunk's folders that processes hold: itself, and where float32 took over that one."""
    return [one for one in (folder, folder / "float32") if one.is_dir()]


def _item(thing: Thing, runs: tuple[Path, ...]) -> Item:
    return Item(thing, runs, "" if runs else _stays(thing))


def _stays(thing: Thing) -> str:
    if thing.kind == "model":
        return "yours"
    if thing.kind in ("activations", "trunk"):
        inside = [entry.name for folder in parts(thing.path) for entry in folder.iterdir()]
        if not all(re.fullmatch(_INSIDE, name) for name in inside):
            return "foreign"
        with alone(*parts(thing.path)) as is_alone:
            return "" if is_alone else "in use"
    set_aside = thing.path.name.startswith(ASIDE)
    return "recent" if not set_aside and time.time() - thing.used < GRACE else ""
