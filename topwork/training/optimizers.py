"""Keras' optimizers and learning-rate schedules by a phase's words."""

import inspect
from typing import Any

import keras

from topwork.errors import RecipeError, nearest
from topwork.recipes.settings import Phase


def optimizer(phase: Phase, steps: int) -> keras.optimizers.Optimizer:
    """Keras' optimizer of that name, with the phase's rate, schedule, momentum, clipping and weight decay.

    Args:
        phase: its words.
        steps: of an epoch.

    Raises:
        RecipeError: Keras has none of that name, it knows no momentum, or words that do not go together.
    """
    known = _known()
    if phase.optimizer.lower() not in known:
        names = sorted(known)
        hint = nearest(phase.optimizer.lower(), names) or "."
        raise RecipeError(f"no optimizer {phase.optimizer!r}{hint} Keras has: {', '.join(names)}.", "optimizer")
    kind = known[phase.optimizer.lower()]
    options: dict[str, Any] = {"momentum": phase.momentum} if phase.momentum else {}
    if phase.momentum and "momentum" not in inspect.signature(kind).parameters:
        raise RecipeError(
            f"the optimizer {phase.optimizer!r} knows no momentum: use 'sgd' or 'rmsprop', or leave it out.",
            "momentum",
        )
    options |= {"global_clipnorm": phase.global_clipnorm} if phase.global_clipnorm else {}
    options |= {"weight_decay": phase.weight_decay} if phase.weight_decay else {}
    return kind(learning_rate=_rate(phase, steps), **options)


def _known() -> dict[str, Any]:
    """Keras' own by their names, less those that hold others."""
    kinds = {name.lower(): kind for name, kind in vars(keras.optimizers).items() if isinstance(kind, type)}
    none = ("optimizer", "lossscaleoptimizer")
    takes = {name for name, kind in kinds.items() if "learning_rate" in inspect.signature(kind).parameters}
    return {name: kind for name, kind in kinds.items() if name in takes and name not in none}


def _rate(phase: Phase, steps: int) -> Any:
    """A number, or Keras' `CosineDecay`; with a floor of 1 it is a warm-up alone."""
    if phase.schedule == "plateau" and phase.warmup_epochs:
        raise RecipeError(
            "schedule = 'plateau' knows no warmup: use 'constant' or 'cosine', or leave it out.", "warmup_epochs"
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
