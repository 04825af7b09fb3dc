"""The time to read a folder of photos, with near-copies kept together, compared with the time to hash their bytes.

The folder is read a first and a second time.
"""

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
"""One in this many pictures is saved again, as a near-copy."""

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
"""For each thing that was timed, the seconds of each round, including imports."""


@dataclass(frozen=True)
class Plan:
    """How many pictures are read, and in how many rounds."""

    pictures: int = 10_000
    rounds: int = 3

    @property
    def copies(self) -> int:
        """How many of the pictures are saved again."""
        return -(-self.pictures // EACH)

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=40, rounds=1)


def measure(plan: Plan, scratch: Path) -> Measured:
    """Run all rounds. All files are written below *scratch*."""
    folder = draw(scratch / "drawn", plan.pictures)
    for path in sorted(folder.glob("*/*.jpg"))[::EACH]:
        Image.open(path).save(path.with_name(f"{path.stem}-again.jpg"), quality=80)
    found: Measured = {HASHED: [], ALONE: [], FIRST: [], SECOND: []}
    _seconds(scratch / "home", _HASH, folder)  # not counted: brings files into memory, compiles bytecode
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
