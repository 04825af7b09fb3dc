"""One phase: the part above a cut trains on activations, and ends with its best weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from topwork.networks.model import Network
from topwork.networks.trunk import Trunk
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Phase
from topwork.runs.checkpoints import Checkpoints, State
from topwork.store.examples import Part
from topwork.system import keras_backend
from topwork.system.messages import counted, duration, say
from topwork.training import precision
from topwork.training.batches import Feed
from topwork.training.callbacks import Keeper, Plateau, Saver, Shown, under_their_settings
from topwork.training.device_batches import streamed
from topwork.training.optimizers import optimizer

SAMPLE = 1000
"""Training pictures scored in inference mode after each epoch, at most; no more than the validation part has."""


@dataclass(frozen=True)
class Journey:
    """What the phases of one run share.

    Args:
        recipe: the run's.
        network: its layers.
        classes: how many there are.
        note: takes each line of the journal.
        checkpoints: where the run's state is kept.
        callbacks: the user's own.
        about: what every checkpoint says beside its own.
    """

    recipe: Recipe
    network: Network
    classes: int
    note: Callable[[dict[str, Any]], None]
    checkpoints: Checkpoints
    callbacks: Sequence[keras.callbacks.Callback] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


def run_phase(
    journey: Journey, number: int, below: Sequence[Trunk], parts: dict[str, Part], state: State | None = None
) -> Keeper:
    """Train one phase; the network then holds the weights of its best epoch, of epoch 0 if none was better.

    Args:
        journey: the run.
        number: which of its phases, from 1.
        below: the trunks of this phase's cut, one a term.
        parts: ``"train"`` and ``"val"`` (which may be empty) of the activations there.
        state: of this phase, to go on from.
    """
    recipe, phase = journey.recipe, journey.recipe.phases[number - 1]
    begun = state.about["epoch"] if state else 0
    feed = Feed(parts["train"], journey.classes, phase.batch_size, (begun, phase.epochs), number, recipe.training)
    model = _model(journey, number, below)
    chosen = state.about["precision"] if state else precision.choose(model, phase, below, parts["train"], feed)
    with precision.applied(model, chosen):
        model.compile(
            optimizer=precision.scaled(optimizer(phase, feed.steps), chosen),
            loss=_loss(recipe),
            steps_per_execution=steps_a_call(model, feed.steps),
            jit_compile=keras_backend.compiles(),
        )
        model.optimizer.build(model.trainable_variables)  # else TensorFlow traces the step twice
        about = {"phase": number, "cut": phase.cut, "precision": chosen}
        keeper = Keeper(_scored(parts), journey.network.values, journey.note, about, phase.patience)
        keeper.set_model(model)
        plateau = [Plateau(phase, keeper)] if phase.schedule == "plateau" else []
        if state:
            _restore(model, journey.network, keeper, plateau, state)
        else:
            keeper.begin()
        if not (state.about["over"] if state else keeper.is_over):
            _fit(journey, model, feed, keeper, plateau, phase, number)
    journey.network.load(keeper.best)
    _tell(keeper, phase, number)
    return keeper


def _model(journey: Journey, number: int, below: Sequence[Trunk]) -> keras.Model:
    views, network = journey.recipe.views, journey.network
    live = views.mode == "live" and views.count > 1
    model = network.live(below, views, journey.recipe.training.seed) if live else network.above(below)
    network.freeze(below, journey.recipe.phases[number - 1].batch_norm)
    return model


def _fit(
    journey: Journey,
    model: keras.Model,
    feed: Feed,
    keeper: Keeper,
    plateau: list[Plateau],
    phase: Phase,
    number: int,
) -> None:
    def save(last: bool) -> None:
        if last or journey.checkpoints.due:
            state = _state(model, keeper, plateau, last)
            journey.checkpoints.write(replace(state, about={**journey.about, **state.about}))

    with Shown(number, phase) as shown:
        every = [keeper, *plateau, *under_their_settings(journey.callbacks), shown, Saver(save, phase.epochs)]
        model.fit(
            streamed(model, feed),
            initial_epoch=keeper.epochs,
            epochs=phase.epochs,
            steps_per_epoch=feed.steps,
            verbose=0,
            callbacks=every,
            shuffle=False,
        )


def _state(model: keras.Model, keeper: Keeper, plateau: Sequence[Plateau], last: bool) -> State:
    arrays = {f"model/{i}": np.asarray(v) for i, v in enumerate(model.variables)}
    arrays |= {f"optimizer/{i}": np.asarray(v) for i, v in enumerate(model.optimizer.variables)}
    arrays |= {f"best/{layer}/{i}": a for layer, some in keeper.best.items() for i, a in enumerate(some)}
    waits = [one.waits for one in plateau]
    return State({**keeper.about, "waits": waits, "over": last}, arrays)


def _restore(model: keras.Model, network: Network, keeper: Keeper, plateau: Sequence[Plateau], state: State) -> None:
    pairs: list[tuple[Any, np.ndarray]] = []
    for name, variables in (("model/", model.variables), ("optimizer/", model.optimizer.variables)):
        pairs += zip(variables, state.part(name).values(), strict=True)
    best: dict[str, list[np.ndarray]] = {}
    for key, array in state.part("best/").items():
        best.setdefault(key.rsplit("/", 1)[0], []).append(array)
    network.load(best)  # layers that a later phase opens are in it alone
    for variable, array in pairs:
        variable.assign(array)
    keeper.restore(state.about, best)
    for one, waits in zip(plateau, state.about["waits"]):
        one.waits = waits


def _loss(recipe: Recipe) -> keras.losses.Loss:
    smoothing = recipe.training.label_smoothing
    if recipe.training.loss == "binary":
        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)


def _scored(parts: dict[str, Part]) -> dict[str, Part]:
    count = min(len(parts["val"]) or SAMPLE, SAMPLE)
    scored = {"train": parts["train"].sample(count, seed=0)}
    return scored | {"val": parts["val"]} if len(parts["val"]) else scored


def steps_a_call(model: keras.Model, steps: int) -> int:
    """Steps a call into TensorFlow: several where a step is so small that the call counts; they fill the epoch."""
    small = keras_backend.name() == "tensorflow" and model.count_params() < 5_000_000 and len(model.layers) < 12
    return max(n for n in range(1, min(steps, 50) + 1) if steps % n == 0) if small else 1


def _tell(keeper: Keeper, phase: Phase, number: int) -> None:
    scores = f"validation loss {keeper.best_loss:.3f}" if keeper.has_validation else "no validation"
    kept = f"epoch {keeper.best_epoch} of {keeper.epochs}" if keeper.best_epoch else "the weights it began with"
    say(f"phase {number}, {phase.cut}: kept {kept} ({scores}), {duration(keeper.seconds)}")
    if not keeper.best_epoch and not keeper.diverged:
        tried = counted(keeper.epochs, "epoch")
        say(f"phase {number} made nothing better in {tried}: try a smaller rate than {phase.learning_rate:g}.")
    if keeper.diverged:
        rate = phase.learning_rate
        say(f"phase {number} stopped: its loss was no finite number at rate {rate}; the best weights are kept.")
