"""A training step of topwork, its data read from the store, against the same top stepped on one batch in memory."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.draw import draw
from topwork.network import restore
from topwork.plan import steps
from topwork.readers import read
from topwork.recipe import Backbone, Phase
from topwork.run import Run
from topwork.talk import say
from topwork.train import train

CUTS = (
    ("mobilenet_v2_035@pool", 224, 25, 2000, 9),
    ("inception_v3@mixed8", 299, 4, 800, 3),
    ("inception_v3@64", 84, 4, 800, 3),
)
BATCH = 32


@dataclass(frozen=True)
class Plan:
    """Which cuts, as (cut, size, epochs, drawn pictures, rounds): short steps want more; 80 % train: whole batches."""

    cuts: tuple[tuple[str, int, int, int, int], ...] = CUTS

    def quick(self) -> "Plan":
        """Tiny: to see that it works, not to measure."""
        return replace(self, cuts=(("mobilenet_v2_035@pool", 96, 3, 80, 1),))


@dataclass(frozen=True)
class Step:
    """Milliseconds a step, one a round: topwork's, from the store, and the bound; and of a whole epoch.

    Args:
        cut, size, precision: of what was trained.
        topwork, bound: a step; steps: how many an epoch has.
        epoch: with the scores of the validation part and of a training sample.
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
        """The bound over topwork's, round by round."""
        return [bound / topwork for topwork, bound in zip(self.topwork, self.bound)]


def measure(plan: Plan, scratch: Path) -> list[Step]:
    """Measure each cut; everything that is written goes below *scratch*."""
    return [_step(*cut, scratch) for cut in plan.cuts]


def _step(cut: str, size: int, epochs: int, pictures: int, rounds: int, scratch: Path) -> Step:
    data = read(draw(scratch / f"drawn-{pictures}", pictures), draw="stratified")
    phase = Phase(cut, epochs=epochs, rate=1e-5, patience=0, batch=BATCH)
    backbone = Backbone(cut.partition("@")[0], "random", size)
    found = Step(cut, size, "", [], [], -(-len(data.part("train")) // BATCH), [])
    for number in range(rounds):
        clock = _clock()
        out = scratch / f"{backbone.name}-{size}-{number}"
        run = train(data, phases=[phase], backbones=[backbone], out=out, callbacks=[clock])
        found.topwork.append(median(clock.milliseconds[1:]))
        found.epoch.append(1000 * median(line["seconds"] for line in run.journal[2:]))
        found.bound.append(_bound(run, epochs))
        say(f"{cut} at {size} px: {found.topwork[-1]:.2f} ms a step, {found.bound[-1]:.2f} on one batch in memory")
    return replace(found, precision=run.journal[-1]["precision"])


def _clock() -> Any:
    import keras

    class Clock(keras.callbacks.Callback):
        """Milliseconds a step of each epoch, its scores apart."""

        def __init__(self) -> None:
            super().__init__()
            self.milliseconds: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._start = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self._last, self._steps = time.perf_counter(), batch + 1

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.milliseconds.append(1000 * (self._last - self._start) / self._steps)

    return Clock()


def _bound(run: Run, epochs: int) -> float:
    """The compiled step, on one batch that the backend holds."""
    import keras
    import tensorflow as tf

    from topwork import precision
    from topwork.optimizers import optimizer
    from topwork.phase import steps_a_call

    network, step = restore(run.folder), steps(run.recipe)[0]
    below = step.trunks()
    model = network.above(below)
    network.freeze(below, step.phase.batch_norm)
    inputs = [np.random.default_rng(0).random((BATCH, *tensor.shape), np.float32) for tensor in below[0].tensors]
    targets = np.eye(len(run.data.classes), dtype=np.float32)[np.arange(BATCH) % len(run.data.classes)]
    count = -(-len(run.data.part("train")) // BATCH)
    with precision.applied(model, run.journal[-1]["precision"]):
        model.compile(
            optimizer(step.phase, count),
            keras.losses.CategoricalCrossentropy(from_logits=True),
            steps_per_execution=steps_a_call(model, count),
            jit_compile=False,
        )
        batch = tf.data.Dataset.from_tensors((inputs[0] if len(inputs) == 1 else tuple(inputs), targets))
        data = batch.cache().repeat(count * epochs)
        clock = _clock()
        model.fit(data, epochs=epochs, steps_per_epoch=count, verbose=0, callbacks=[clock])
    return median(clock.milliseconds[1:])
