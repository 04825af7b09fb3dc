"""The memory that ``topwork train`` uses with a cut at ``@pool``, for few and for many pictures."""

from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.draw import draw
from benchmarks.frozen import weights
from benchmarks.process import Finished, topwork
from topwork.networks.backbones import catalogue
from topwork.system.messages import say


@dataclass(frozen=True)
class Plan:
    """The two numbers of pictures to compare, and what is trained on them."""

    counts: tuple[int, int] = (5000, 20_000)
    weights: str = "random"
    backbone: str = "mobilenet_v2_035"
    size: int | None = None
    epochs: int = 5

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, counts=(60, 120), size=self.size or 96, epochs=1)


def measure(plan: Plan, scratch: Path) -> dict[int, Finished]:
    """Return the time and memory of a run, by its number of pictures. All files are written below *scratch*."""
    size = plan.size or catalogue.record(plan.backbone).size
    file, found = weights(plan, size), {}
    for count in plan.counts:
        folder = draw(scratch / f"drawn-{count}", count)
        words = ["--cut", f"{plan.backbone}@pool", "--weights", file, "--size", str(size)]
        words += ["--epochs", str(plan.epochs), "--out", str(scratch / f"run-{count}")]
        found[count] = topwork(scratch / f"home-{count}", "train", folder, *words)
        say(f"{count:,} pictures: {found[count].seconds:.0f} s")
    return found
