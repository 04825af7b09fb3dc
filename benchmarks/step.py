"""Compare two training steps of the same top: topwork's, which reads the store, and one on a batch in memory."""

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks.draw import draw
from benchmarks.stepping import bound, clock
from topwork.data.readers import read
from topwork.recipes.settings import Backbone, Phase
from topwork.system.messages import say
from topwork.training.train import train

CUTS = (
    ("mobilenet_v2_035@pool", 224, 25, 2000, 25),
    ("inception_v3@mixed8", 299, 3, 400, 3),
    ("inception_v3@64", 84, 3, 800, 3),
)
BATCH = 32


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Args:
        cuts: for each cut, the tuple (cut, size, epochs, drawn pictures, rounds). Cuts with short steps have more
            epochs and rounds. 80 % of the pictures are trained on, and make only full batches.
        precision: the precision of the part that trains.
        rounds: the number of rounds for every cut; ``None``: the number in *cuts*.
    """

    cuts: tuple[tuple[str, int, int, int, int], ...] = CUTS
    precision: str = "auto"
    rounds: int | None = None

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, cuts=tuple((cut, min(size, 96), 3, 80, 1) for cut, size, *_ in self.cuts[:1]))


@dataclass(frozen=True)
class Step:
    """The milliseconds per step and per epoch for one cut, in each round.

    Args:
        cut, size, precision: what was trained, at which picture size, in which precision.
        topwork: milliseconds per step of topwork, which reads the store; bound: per step on one batch in memory.
        steps: the number of steps in an epoch.
        epoch: milliseconds per epoch, including the scores of the validation part and of a training sample.
    """

    cut: str
    size: int
    precision: str
    topwork: list[float]
    bound: list[float]
    steps: int
    epoch: list[float]

    @property
    def shares(self) -> list[float]:
        """For each round, the bound divided by topwork's milliseconds per step."""
        return [bound / topwork for topwork, bound in zip(self.topwork, self.bound)]


def measure(plan: Plan, scratch: Path) -> list[Step]:
    """Measure each cut. All files are written below *scratch*."""
    return [
        _step(cut, size, epochs, pictures, plan.rounds or rounds, plan.precision, scratch)
        for cut, size, epochs, pictures, rounds in plan.cuts
    ]


def _step(cut: str, size: int, epochs: int, pictures: int, rounds: int, precision: str, scratch: Path) -> Step:
    data = read(draw(scratch / f"drawn-{pictures}", pictures), draw="stratified")
    phase = Phase(cut, epochs=epochs, learning_rate=1e-5, patience=0, batch_size=BATCH, precision=precision)
    backbone = Backbone(cut.partition("@")[0], "random", size)
    found = Step(cut, size, "", [], [], -(-len(data.part("train")) // BATCH), [])
    for number in range(rounds):
        timer = clock()
        out = scratch / f"{backbone.name}-{size}-{number}"
        run = train(data, phases=[phase], backbones=[backbone], out=out, callbacks=[timer])
        found.topwork.append(median(timer.phases[0][1:]))
        found.epoch.append(1000 * median(line.seconds for line in run.journal[2:]))
        found.bound.append(bound(run, 0, epochs))
        say(f"{cut} at {size} px: {found.topwork[-1]:.2f} ms a step, {found.bound[-1]:.2f} on one batch in memory")
    return replace(found, precision=run.journal[-1].precision)
