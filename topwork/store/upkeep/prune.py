"""Remove the things in topwork's home that no run needs.

Law 3 says that committed activations are never computed again. This module makes the one exception: activations that no
run needs are removed, and computed again if they are requested later.

Besides the things that runs need, these are kept:

- folders that a process holds, because it fills or reads that store, or converts or loads that trunk
- random weights and graphs that were used within the last day
- the user's own networks
- things that may be needed by a run with a recipe that can no longer be resolved
- folders that also contain other files, and files with names that topwork does not use

Each thing is renamed before it is deleted, so that a killed process never leaves half a store. The next prune removes
the renamed things.
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
    """The result of `prune`.

    Args:
        gone: the things that were removed.
        stayed: the things that stayed though no run needs them; `Item.stays` is the reason.
    """

    gone: tuple[Thing, ...]
    stayed: tuple[Item, ...]

    @property
    def bytes(self) -> int:
        """The number of bytes that were freed."""
        return sum(thing.bytes for thing in self.gone)


def prune(needs: Callable[[], list[Need]], runs: Callable[[], list[Path]]) -> Pruned:
    """Remove the things in topwork's home that no run needs; return the things that were removed and that stayed.

    A run is known at the path where topwork made it. A run that was moved is known again after it is resumed or
    evaluated; activations that were removed in the meantime are then computed again.

    Args:
        needs: returns the needs of each known run (`topwork.runs.needs.needs`).
        runs: returns the folders of the known runs (`topwork.runs.registry.runs`).

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
    """Remove a thing, unless a process holds it or a run has begun meanwhile; return whether it was removed."""
    aside = thing.path
    try:
        if thing.kind != "left over":
            aside = thing.path.with_name(f"{ASIDE}{thing.path.name}-{os.getpid()}")
            with alone(*parts(thing.path)) as is_alone:  # `parts` is empty for a file
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
