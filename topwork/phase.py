"""One phase: the part above a cut trains on activations, and ends with its best weights."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from topwork.callbacks import Keeper, Shown
from topwork.errors import RecipeError, nearest
from topwork.feed import Feed
from topwork.network import Network, freeze
from topwork.part import Part
from topwork.recipe import Phase, Recipe
from topwork.talk import duration, say
from topwork.trunk import Trunk

SAMPLE = 1000
"""Training pictures scored in inference mode after each epoch, at most; no more than the validation part has."""


def run_phase(
    network: Network,
    below: Trunk,
    parts: dict[str, Part],
    recipe: Recipe,
    number: int,
    note: Callable[[dict[str, Any]], None],
    callbacks: Sequence[keras.callbacks.Callback],
) -> Keeper:
    """Train one phase; the network then holds the weights of its best epoch, of epoch 0 if none was better.

    Args:
        network: the run's layers.
        below: the trunk of this phase's cut.
        parts: ``"train"`` and ``"val"`` (which may be empty) of the activations at that cut.
        recipe: the run's recipe; number: which of its phases, from 1.
        note: takes each line of the journal.
        callbacks: the user's own.
    """
    phase = recipe.phases[number - 1]
    model = network.above(below)
    freeze(model, phase.batch_norm)
    feed = Feed(parts["train"], phase.batch, phase.epochs, (recipe.training.seed, number))
    model.compile(
        optimizer=optimizer(phase),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=_steps(model, feed.steps),
        jit_compile=False,
    )
    keeper = Keeper(_scored(parts), network.values, note, {"phase": number, "cut": phase.cut}, phase.patience)
    keeper.set_model(model)
    keeper.begin()
    with Shown(number, phase) as shown:
        every = [keeper, *callbacks, shown]
        model.fit(feed, epochs=phase.epochs, steps_per_epoch=feed.steps, verbose=0, callbacks=every, shuffle=False)
    network.load(keeper.best)
    _tell(keeper, phase, number)
    return keeper


def optimizer(phase: Phase) -> keras.optimizers.Optimizer:
    """Keras' optimizer of that name, with the phase's rate and momentum.

    Raises:
        RecipeError: Keras has none of that name, or it knows no momentum.
    """
    known = {name.lower(): kind for name, kind in vars(keras.optimizers).items() if isinstance(kind, type)}
    if phase.optimizer.lower() not in known or phase.optimizer.lower() == "optimizer":
        names = sorted(known.keys() - {"optimizer", "lossscaleoptimizer"})
        hint = nearest(phase.optimizer.lower(), names) or "."
        raise RecipeError(f"no optimizer {phase.optimizer!r}{hint} Keras has: {', '.join(names)}.")
    options = {"momentum": phase.momentum} if phase.momentum else {}
    try:
        return known[phase.optimizer.lower()](learning_rate=phase.rate, **options)
    except (TypeError, ValueError):
        raise RecipeError(
            f"the optimizer {phase.optimizer!r} knows no momentum: use 'sgd' or 'rmsprop', or leave it out."
        ) from None


def _scored(parts: dict[str, Part]) -> dict[str, Part]:
    count = min(len(parts["val"]) or SAMPLE, SAMPLE)
    scored = {"train": parts["train"].sample(count, seed=0)}
    return scored | {"val": parts["val"]} if len(parts["val"]) else scored


def _steps(model: keras.Model, steps: int) -> int:
    """Steps a call into the backend: several where a step is so small that the call counts; they fill the epoch."""
    small = model.count_params() < 5_000_000 and len(model.layers) < 12
    return max(n for n in range(1, min(steps, 50) + 1) if steps % n == 0) if small else 1


def _tell(keeper: Keeper, phase: Phase, number: int) -> None:
    scores = f"validation loss {keeper.best_loss:.3f}" if keeper.has_validation else "no validation"
    epoch = f"epoch {keeper.best_epoch} of {keeper.epochs}"
    say(f"phase {number}, {phase.cut}: {scores} at {epoch}, {duration(keeper.seconds)}")
    if keeper.diverged:
        say(f"phase {number} stopped: its loss was no finite number at rate {phase.rate}; the best weights are kept.")
