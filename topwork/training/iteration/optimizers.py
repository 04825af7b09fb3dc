"""Keras optimizers and learning-rate schedules from the settings of a phase."""

import inspect
from math import log, pi
from typing import Any

import keras

from topwork.errors import RecipeError, nearest
from topwork.recipes.settings import SOLVER, Iteration
from topwork.system import gpu, keras_backend


def optimizer(phase: Iteration, steps: int) -> keras.optimizers.Optimizer:
    """Make the Keras optimizer for a phase, with its learning rate, schedule, momentum, clipping and weight decay.

    Args:
        phase: the settings.
        steps: the number of steps per epoch.

    Raises:
        RecipeError: Keras has no such optimizer, the optimizer has no momentum, or settings contradict each other.
    """
    known: dict[str, Any] = {}
    for name, kind in vars(keras.optimizers).items():
        takes = inspect.signature(kind).parameters if isinstance(kind, type) else {}
        if "learning_rate" in takes and name.lower() not in ("optimizer", "lossscaleoptimizer"):
            known[name.lower()] = kind

    if phase.optimizer.lower() not in known:
        names = sorted(known)
        hint = nearest(phase.optimizer.lower(), [*names, SOLVER]) or "."
        raise RecipeError(
            f"no optimizer {phase.optimizer!r}{hint} Expected 'auto', or one that Keras has: {', '.join(names)}.",
            "optimizer",
        )
    chosen = known[phase.optimizer.lower()]
    options: dict[str, Any] = {"momentum": phase.momentum} if phase.momentum else {}
    if phase.momentum and "momentum" not in inspect.signature(chosen).parameters:
        raise RecipeError(
            f"the optimizer {phase.optimizer!r} has no momentum: use 'sgd' or 'rmsprop', or omit momentum.",
            "momentum",
        )
    options |= {"global_clipnorm": phase.global_clipnorm} if phase.global_clipnorm else {}
    options |= {"weight_decay": phase.weight_decay} if phase.weight_decay else {}
    if chosen is keras.optimizers.Adam and keras_backend.name() == "tensorflow" and not gpu.at_hand():
        from topwork.training.iteration.adam import Adam

        chosen = Adam
    return chosen(learning_rate=_rate(phase, steps), **options)


def _rate(phase: Iteration, steps: int) -> Any:
    """Return the learning rate: a number, or Keras' `CosineDecay`, which is only a warm-up if its floor is 1."""
    if phase.schedule == "plateau" and phase.warmup_epochs:
        raise RecipeError(
            "schedule = 'plateau' has no warm-up: use 'constant' or 'cosine', or omit warmup_epochs.", "warmup_epochs"
        )
    if phase.schedule == "restarts":
        return Restarts(phase.learning_rate, phase.cycle_epochs * steps, round(phase.warmup_epochs * steps))
    if phase.schedule != "cosine" and not phase.warmup_epochs:
        return phase.learning_rate
    rising = round(phase.warmup_epochs * steps)
    falling = max(1, phase.epochs * steps - rising)
    floor = 0.0 if phase.schedule == "cosine" else 1.0
    if not rising:
        return keras.optimizers.schedules.CosineDecay(phase.learning_rate, falling, floor)
    return keras.optimizers.schedules.CosineDecay(
        0.0, falling, floor, warmup_target=phase.learning_rate, warmup_steps=rising
    )


@keras.saving.register_keras_serializable("topwork")
class Restarts(keras.optimizers.schedules.LearningRateSchedule):
    """A cosine that falls to 0 in cycles; each is twice as long as the one before, and has its rate divided by sqrt(2).

    At the end of each cycle the model is as good as at the end of a schedule of that length, so that a search can
    compare tries there, and train the better ones further. With ``r`` the learning rate, ``c`` the length of the first
    cycle, ``i = floor(log2(t / c + 1))`` the number of the cycle of step ``t``, and ``x = (t / c + 1) / 2^i - 1`` the
    share of the cycle that has passed, the rate is

        r / 2^(i/2) min((1 + cos(pi x)) / 2, x c / warm_up)

    The cycles are those of Loshchilov & Hutter 2017, arXiv:1608.03983, who begin each at the same rate and without a
    warm-up. That made Adam diverge at the third cycle: the gradients that it remembers from the end of the second are
    tiny, so its first steps are huge (docs/log.md, 2026-11-29).

    Args:
        learning_rate: the largest rate.
        cycle: the steps of the first cycle.
        warm_up: the steps of the first cycle in which the rate rises from 0; in each cycle, it is the same share.
    """

    def __init__(self, learning_rate: float, cycle: int, warm_up: int) -> None:
        super().__init__()
        self.learning_rate, self.cycle, self.warm_up = learning_rate, cycle, warm_up

    def __call__(self, step: Any) -> Any:
        """Return the rate at a step."""
        ops = keras.ops
        t = ops.cast(step, "float32")
        # Half a step keeps the logarithm off whole numbers, where rounding would choose the wrong cycle.
        power = ops.power(2.0, ops.floor(ops.log((t + 0.5) / self.cycle + 1) / log(2)))
        passed = (t / self.cycle + 1) / power - 1
        share = (1 + ops.cos(pi * passed)) / 2
        if self.warm_up:
            share = ops.minimum(share, passed * self.cycle / self.warm_up)
        return self.learning_rate / ops.sqrt(power) * share

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"learning_rate": self.learning_rate, "cycle": self.cycle, "warm_up": self.warm_up}
