"""The time and memory of `topwork audit` on many pictures, the first time and with the store filled."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.draw import draw
from benchmarks.process import Finished, run
from topwork.system.messages import say

READ, FIRST, AGAIN = "topwork read, the first time", "topwork audit, the first time", "topwork audit, store filled"
SIZES = ((640, 480), (480, 640), (640, 427), (613, 460))
"""Width and height of the drawn photos: 0.3 megapixels, about."""


@dataclass(frozen=True)
class Plan:
    """How many pictures are drawn, and how often the audit is timed with the store filled."""

    pictures: int = 10_000
    rounds: int = 3

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, rounds=1)


def measure(plan: Plan, scratch: Path) -> dict[str, list[Finished]]:
    """Return what was measured of each command. All files are written below *scratch*."""
    folder = draw(scratch / "drawn", plan.pictures, sizes=SIZES)
    found: dict[str, list[Finished]] = {
        READ: [_run("read", folder, scratch / "home-read")],
        FIRST: [_run("audit", folder, scratch / "home")],
        AGAIN: [],
    }
    for _ in range(plan.rounds):
        found[AGAIN].append(_run("audit", folder, scratch / "home"))
    for name, each in found.items():
        say(f"{name}: {each[-1].seconds:.1f} s")
    return found


def _run(command: str, folder: Path, home: Path) -> Finished:
    statuses = (0, 1)  # drawn pictures may look alike
    return run([sys.executable, "-m", "topwork", command, str(folder)], statuses, TOPWORK_HOME=str(home))
