"""Reading a folder of photos a first and a second time, near-copies together, against the hashing of their bytes."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from benchmarks.draw import draw
from benchmarks.process import run
from topwork.system.messages import say

HASHED = "bytes hashed, by the same threads"
ALONE = 'read, near_copies = "ignore"'
FIRST = "read, nothing known of the pictures"
SECOND = "read a second time"
EACH = 20
"""One picture of so many is saved again."""

_HASH = """
import sys
from topwork.data.picture_files import digest
from topwork.data.reading.folders import walk
from topwork.system.threads import each
list(each(digest, walk(sys.argv[1]), "hash"))
"""
_READ = """
import sys
from topwork.data.readers import read
data = read(sys.argv[1], near_copies=sys.argv[2])
print(sum(bool(row.near) for row in data.rows))
"""

Measured = dict[str, list[float]]
"""Seconds of each round, by what was done, imports included."""


@dataclass(frozen=True)
class Plan:
    """How many pictures, and how often."""

    pictures: int = 10_000
    rounds: int = 3

    @property
    def copies(self) -> int:
        """How many are saved again."""
        return -(-self.pictures // EACH)

    def quick(self) -> "Plan":
        """Tiny: to see that it works, not to measure."""
        return replace(self, pictures=40, rounds=1)


def measure(plan: Plan, scratch: Path) -> Measured:
    """All rounds; everything that is written goes below *scratch*."""
    folder = draw(scratch / "drawn", plan.pictures)
    for path in sorted(folder.glob("*/*.jpg"))[::EACH]:
        Image.open(path).save(path.with_name(f"{path.stem}-again.jpg"), quality=80)
    found: Measured = {HASHED: [], ALONE: [], FIRST: [], SECOND: []}
    _seconds(scratch / "home", _HASH, folder)  # the files are in memory, bytecode is compiled
    for number in range(plan.rounds):
        home = scratch / f"home-{number}"
        found[HASHED].append(_seconds(home, _HASH, folder))
        found[ALONE].append(_seconds(home, _READ, folder, "ignore"))
        found[FIRST].append(_seconds(home, _READ, folder, "together", copies=plan.copies))
        found[SECOND].append(_seconds(home, _READ, folder, "together", copies=plan.copies))
        say(", ".join(f"{name}: {seconds[-1]:.1f} s" for name, seconds in found.items()))
    return found


def _seconds(home: Path, code: str, *words: object, copies: int | None = None) -> float:
    done = run([sys.executable, "-c", code, *map(str, words)], TOPWORK_HOME=str(home))
    if copies is not None and int(done.output) < 1.8 * copies:
        raise ValueError(f"{done.output.strip()} pictures have near-copies: expected {2 * copies}.")
    return done.seconds
