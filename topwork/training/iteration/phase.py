"""Train one phase: the layers above a cut are trained on stored activations and end with their best weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from topwork.networks.model import Network
from topwork.networks.trunk import Trunk
from topwork.recipes.recipe import Recipe
from topwork.runs.checkpoints import Checkpoints, State
from topwork.runs.journal import Epoch
from topwork.store.examples import Examples
from topwork.system import keras_backend
from topwork.system.messages import Bar, counted, duration, say, some
from topwork.training.iteration import precision
from topwork.training.iteration.batches import Feed
from topwork.training.iteration.callbacks import Keeper, Logs, Plateau, under_their_settings
from topwork.training.iteration.device_batches import reader
from topwork.training.iteration.optimizers import optimizer

SAMPLE = 1000
"""The largest number of training pictures that are scored after each epoch.

If there are validation pictures but fewer than this, their number is the limit.
"""


@dataclass
class PhaseTraining:
    """A phase that is ready to train.

    Args:
        recipe: the recipe of the run.
        number: the number of the phase, from 1.
        network: the layers of the run, with the weights that the phase starts from.
        below: the trunks below this phase's cut, one per term.
        examples: the activations of ``"train"`` and ``"val"``; ``"val"`` may be empty.
        classes: the number of classes.
        name: its name beside the bar; by default, its number.
        new: the classes that the weights at the start were not trained on. If there are any, the phase does not end
            with these weights (law 7), because the validation part may have no picture of such a class.
    """

    recipe: Recipe
    number: int
    network: Network
    below: Sequence[Trunk]
    examples: dict[str, Examples]
    classes: int
    name: str = ""
    new: Sequence[str] = ()

    def run(
        self,
        note: Callable[[Epoch], None],
        checkpoints: Checkpoints,
        about: Mapping[str, Any],
        callbacks: Sequence[keras.callbacks.Callback] = (),
        state: State | None = None,
    ) -> Keeper:
        """Train. The network then has the weights of the best epoch, which may be epoch 0 (law 7).

        Args:
            note: is called with each epoch, to write it to the journal.
            checkpoints: where the state of the run is saved.
            about: values that are added to every checkpoint.
            callbacks: the user's own Keras callbacks.
            state: a checkpoint of this phase to continue from.
        """
        self.begin(note, state)
        was_over = self._is_over
        self.train(self.settings.epochs, checkpoints, about, callbacks)
        self.network.load(self.keeper.best)
        self._tell("" if was_over else f", {duration(self.keeper.seconds)}")
        return self.keeper

    def begin(self, note: Callable[[Epoch], None], state: State | None = None) -> None:
        """Make the model, and score it as epoch 0 or restore *state*; see `run`."""
        recipe, below = self.recipe, self.below
        train, val = self.examples["train"], self.examples["val"]
        pools = self._pools_only()
        if pools:
            train, val = train.pooled(recipe.head.pooling), val.pooled(recipe.head.pooling)
        phase = recipe.phases[self.number - 1]
        self.settings = settings = phase.iteration
        self.part = train
        feed = self._feed(0, settings.epochs)

        is_live = recipe.views.mode == "live" and recipe.views.count > 1
        seed = recipe.training.seed
        if is_live:
            self.model = self.network.live(below, recipe.views, seed)
        elif pools:
            self.model = self.network.above_pools()
        else:
            self.model = self.network.above(below)
        self.network.freeze(below, phase.batch_norm)

        chosen = state.about["precision"] if state else precision.choose(self.model, phase, below, train, feed)
        scored = {"train": train.sample(min(len(val) or SAMPLE, SAMPLE), seed=0)}
        scored |= {"val": val} if len(val) else {}
        with precision.applied(self.model, chosen):
            self.model.compile(
                optimizer=precision.scaled(optimizer(settings, feed.steps), chosen),
                loss=_loss(recipe),
                steps_per_execution=steps_a_call(self.model, feed.steps),
                jit_compile=keras_backend.compiles(),
            )
            self.model.optimizer.build(self.model.trainable_variables)  # otherwise TensorFlow traces the step twice
        known = {"phase": self.number, "cut": phase.cut, "precision": chosen}
        self.keeper = Keeper(scored, self.network.values, note, known, settings, self.new)
        self.keeper.set_model(self.model)
        self.plateau = [Plateau(settings, self.keeper)] if settings.schedule == "plateau" else []
        self._is_over = False
        self._read = reader(self.model, feed)
        with precision.applied(self.model, chosen):
            if state:
                self._restore(state)
                self._is_over = state.about["over"]
            else:
                self.keeper.begin()
                self._is_over = self.keeper.is_over

    def train(
        self,
        until: int,
        checkpoints: Checkpoints,
        about: Mapping[str, Any],
        callbacks: Sequence[keras.callbacks.Callback] = (),
        clock: Sequence[keras.callbacks.Callback] = (),
    ) -> None:
        """Train until an epoch has ended; see `run`. The network has the weights of that epoch, not those of the best.

        Args:
            until: the number of the epoch.
            checkpoints, about, callbacks: as in `run`.
            clock: topwork's own callbacks, which may stop the training.
        """
        if self._is_over or self.keeper.epochs >= until:
            return
        own = under_their_settings(callbacks)
        feed = self._feed(self.keeper.epochs, until)
        with (
            Bar(self.name or f"phase {self.number}") as bar,
            precision.applied(self.model, self.keeper.about["precision"]),
        ):

            def show_and_save(epoch: int, logs: Logs) -> None:
                loss = logs.get("val_loss")
                bar.update(epoch + 1, until, note="" if loss is None else f"validation loss {loss:.3f}")
                self._is_over = bool(self.model.stop_training) or epoch + 1 == self.settings.epochs
                if self._is_over or epoch + 1 == until or checkpoints.due:
                    state = self.state()
                    checkpoints.write(replace(state, about={**about, **state.about}))

            ours_last = keras.callbacks.LambdaCallback(on_epoch_end=show_and_save)  # the others may stop training
            self.model.fit(
                self._read(feed),
                initial_epoch=self.keeper.epochs,
                epochs=until,
                steps_per_epoch=feed.steps,
                verbose=0,
                callbacks=[self.keeper, *self.plateau, *own, ours_last, *clock],
                shuffle=False,
            )

    def _feed(self, first: int, last: int) -> Feed:
        recipe = self.recipe
        return Feed(self.part, self.classes, self.settings.batch_size, (first, last), self.number, recipe.training)

    def _pools_only(self) -> bool:
        """Whether the phase does nothing with the backbones' maps but pool them, which is then done once."""
        head, views = self.recipe.head, self.recipe.views
        is_live = views.mode == "live" and views.count > 1
        is_frozen = all(one.frontier.tensors == ((one.end, 0),) for one in self.below)
        has_maps = any(len(tensor.shape) == 3 for one in self.below for tensor in one.tensors)
        return is_frozen and has_maps and not is_live and not head.file and head.pooling != "flatten"

    def state(self) -> State:
        """Return the state after the last epoch, from which training continues bit for bit."""
        model, keeper = self.model, self.keeper
        arrays = {f"model/{i}": np.asarray(v) for i, v in enumerate(model.variables)}
        arrays |= {f"optimizer/{i}": np.asarray(v) for i, v in enumerate(model.optimizer.variables)}
        arrays |= {f"best/{layer}/{i}": a for layer, some in keeper.best.items() for i, a in enumerate(some)}
        waits = [one.waits for one in self.plateau]
        return State({**keeper.about, "waits": waits, "over": self._is_over}, arrays)

    def _restore(self, state: State) -> None:
        pairs: list[tuple[Any, np.ndarray]] = []
        variables = {"model/": self.model.variables, "optimizer/": self.model.optimizer.variables}
        for name, these in variables.items():
            pairs += zip(these, state.part(name).values(), strict=True)
        best: dict[str, list[np.ndarray]] = {}
        for key, array in state.part("best/").items():
            best.setdefault(key.rsplit("/", 1)[0], []).append(array)
        self.network.load(best)  # this includes layers that are not in the model, as only later phases train them
        for variable, array in pairs:
            variable.assign(array)
        self.keeper.restore(state.about, best)
        for one, waits in zip(self.plateau, state.about["waits"]):
            one.waits = waits

    def _tell(self, time: str) -> None:
        keeper, number, rate = self.keeper, self.number, self.settings.learning_rate
        scores = f"validation loss {keeper.best_loss:.3f}" if keeper.has_validation else "no validation"
        if keeper.new and not keeper.best_epoch:
            scores = f"not trained on {some([*map(repr, keeper.new)])}"
        kept = f"epoch {keeper.best_epoch} of {keeper.epochs}" if keeper.best_epoch else "the weights it started with"
        say(f"phase {number}, {self.recipe.phases[number - 1].cut}: kept {kept} ({scores}){time}")
        if not keeper.best_epoch and not keeper.diverged:
            tried = counted(keeper.epochs, "epoch")
            say(f"phase {number} did not improve in {tried}: try a lower learning rate than {rate:g}.")
        if keeper.diverged:
            say(f"phase {number} stopped: its loss was not finite at learning rate {rate}; the best weights are kept.")


def _loss(recipe: Recipe) -> keras.losses.Loss:
    smoothing = recipe.training.label_smoothing
    if recipe.training.loss == "binary":
        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)


def steps_a_call(model: keras.Model, steps: int) -> int:
    """Return the number of steps per call into TensorFlow: a divisor of *steps*, above 1 only for small models."""
    small = keras_backend.name() == "tensorflow" and model.count_params() < 5_000_000 and len(model.layers) < 12
    return max(n for n in range(1, min(steps, 50) + 1) if steps % n == 0) if small else 1
