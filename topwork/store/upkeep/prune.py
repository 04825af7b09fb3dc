"""Removing what no run needs.

Law 3 says that committed activations are never computed again. This module makes the one exception: what no run needs
is removed, and is computed again if it is requested later.

These stay:

- folders that a process holds, because it fills or reads that store, or converts or loads that trunk
- random weights and graphs that were used within a day
- networks of your own
- what may be needed by a run whose recipe can no longer be resolved
- folders that also hold other files, and files whose names topwork does not use

Each thing is renamed before it is deleted, so that a kill never leaves half a store; the next prune removes the rest.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from topwork.store.upkeep.inventory import ASIDE, Item, Need, Thing, inventory, parts
from topwork.system.files import alone


@dataclass(frozen=True)
class Pruned:
    """What was removed, and what stayed though no run needs it (each with the reason in `Item.stays`)."""

    gone: tuple[Thing, ...]
    stayed: tuple[Item, ...]

    @property
    def bytes(self) -> int:
        """How many bytes were freed."""
        return sum(thing.bytes for thing in self.gone)


def prune(needs: Callable[[], list[Need]], runs: Callable[[], list[Path]]) -> Pruned:
    """Remove what no run needs.

    A run is known where topwork made it. A run that was moved is known again once it is resumed or evaluated; what was
    removed meanwhile is computed again then.

    Args:
        needs: returns what each known run needs (`topwork.runs.needs.needs`).
        runs: returns the folders of the known runs (`topwork.runs.registry.runs`).

    Returns:
        What was removed and what stayed.

    Example:
        >>> prune(needs, registry.runs).bytes  # doctest: +SKIP
        2340864
    """
    noted = runs()
    found = inventory(needs())
    gone = tuple(item.thing for item in found if item.goes and _drop(item.thing, lambda: runs() != noted))
    dropped = {thing.path for thing in gone}
    return Pruned(gone, tuple(item for item in found if not item.runs and item.thing.path not in dropped))


def _drop(thing: Thing, has_begun: Callable[[], bool]) -> bool:
    """Remove a thing, unless a process holds it by now or a run has begun; returns whether it was removed."""
    aside = thing.path
    try:
        if thing.kind != "left over":
            aside = thing.path.with_name(f"{ASIDE}{thing.path.name}-{os.getpid()}")
            with alone(*parts(thing.path)) as is_alone:  # a file has no parts
                if not is_alone or has_begun():
                    return False
                thing.path.rename(aside)
        if aside.is_dir():
            shutil.rmtree(aside)
        else:
            aside.unlink()
    except FileNotFoundError:  # another process removed it
        return False
    return True
