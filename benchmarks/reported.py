"""The time that `topwork report` takes, the first time and with the audit and the curve kept; the size of its page."""

from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.draw import draw
from benchmarks.process import Finished, topwork
from topwork.system.messages import say

FIRST, AGAIN = "topwork report, the first time", "topwork report, audit and curve kept"


@dataclass(frozen=True)
class Plan:
    """How many pictures are drawn, or which are used, and how often the report is timed."""

    data: Path | None = None
    pictures: int = 20_000
    rounds: int = 3

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, rounds=1)


def measure(plan: Plan, scratch: Path) -> tuple[dict[str, list[Finished]], int]:
    """Return what was measured, and the size of the page in bytes. All files are written below *scratch*."""
    folder = plan.data or draw(scratch / "drawn", plan.pictures)
    out, home = scratch / "run", scratch / "home"
    topwork(home, "train", folder, "--out", out)
    found = {FIRST: [topwork(home, "report", out)], AGAIN: []}
    for _ in range(plan.rounds):
        found[AGAIN].append(topwork(home, "report", out))
    for name, each in found.items():
        say(f"{name}: {each[-1].seconds:.1f} s")
    return found, (out / "report.html").stat().st_size
