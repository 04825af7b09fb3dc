"""Keras optimizers and learning-rate schedules from the settings of a phase."""

import inspect
from typing import Any

import keras

from topwork.errors import RecipeError, nearest
from topwork.recipes.settings import SOLVER, Iteration


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
    return chosen(learning_rate=_rate(phase, steps), **options)


def _rate(phase: Iteration, steps: int) -> Any:
    """Return the learning rate: a number, or Keras' `CosineDecay`, which is only a warm-up if its floor is 1."""
    if phase.schedule == "plateau" and phase.warmup_epochs:
        raise RecipeError(
            "schedule = 'plateau' has no warm-up: use 'constant' or 'cosine', or omit warmup_epochs.", "warmup_epochs"
        )
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
