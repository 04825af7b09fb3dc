"""What happens at the end of each epoch: scores in inference mode, the journal, the best weights, early stopping."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from topwork.recipes.settings import Iteration
from topwork.runs.journal import Epoch
from topwork.scoring.answers import score
from topwork.store.examples import Examples
from topwork.system import keras_settings

Logs = dict[str, Any]


class Keeper(keras.callbacks.Callback):
    """Score epochs, write each one to the journal, keep the best weights and stop early (law 7).

    Args:
        parts: a sample of the training part; and the validation part, if it has pictures.
        values: returns a copy of the weights that training may change.
        note: is called with each epoch, to write it to the journal.
        about: the values that are the same in every epoch of this phase (phase, cut and precision).
        settings: the settings of the phase: its patience, and which epochs are scored.
        new: the classes that the incoming weights were not trained on. If there are any, these weights are not kept.
    """

    def __init__(
        self,
        parts: dict[str, Examples],
        values: Callable[[], Any],
        note: Callable[[Epoch], None],
        about: dict[str, Any],
        settings: Iteration,
        new: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.new = list(new)
        self._parts, self._values, self._note, self._about, self._settings = parts, values, note, about, settings
        self.has_validation = "val" in parts
        self.best_loss, self.best_epoch = np.inf, 0
        self.best: Any = None
        self.diverged, self.epochs = False, 0
        self._begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the phase started."""
        return time.perf_counter() - self._begun

    @property
    def about(self) -> dict[str, Any]:
        """The state without the best weights, as JSON: what `restore` needs, and the phase, cut and precision."""
        known = {"epoch": self.epochs, "best_epoch": self.best_epoch, "best_loss": self.best_loss}
        return {**self._about, **known, "diverged": self.diverged, "new": self.new}

    def restore(self, about: dict[str, Any], best: Any) -> None:
        """Set the state from a saved `about` and the best weights."""
        self.epochs, self.best_epoch, self.best_loss = about["epoch"], about["best_epoch"], about["best_loss"]
        self.diverged, self.best = about["diverged"], best
        self.new = about.get("new", [])

    def begin(self) -> None:
        """Score the incoming weights as epoch 0."""
        self._close(0, time.perf_counter(), {})

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Score the epoch, write it to the journal, keep the weights if they are the best, and stop if `is_over`.

        Whether it is scored is a setting of the phase (`Iteration.is_scored`). The scores are added to *logs*, for the
        callbacks that are called later.
        """
        self.epochs = epoch + 1
        scores = self._close(epoch + 1, self._start, {"loss": float((logs or {})["loss"])})
        if logs is not None:
            logs.update({k: v for k, v in scores.items() if k.startswith(("val_", "train_"))})
        if self.is_over:
            self.model.stop_training = True

    @property
    def is_over(self) -> bool:
        """Whether the phase stops now: its loss is not finite, or it did not improve within the patience."""
        counts = self.has_validation and self._settings.is_scored(self.epochs)
        waited = self.epochs - self.best_epoch if counts else 0
        return self.diverged or 0 < self._settings.patience <= waited

    def _close(self, epoch: int, start: float, scores: dict[str, float]) -> dict[str, float]:
        is_scored = self._settings.is_scored(epoch)
        for name, part in self._parts.items() if is_scored else ():
            scores |= {f"{name}_{what}": value for what, value in score(self.model, part).items()}
        self.diverged = not all(np.isfinite(value) for value in scores.values())
        loss = scores.get("val_loss", -float(epoch))
        is_better = loss < self.best_loss or (self.new and not self.best_epoch)
        kept = self.best is None or (is_scored and is_better and not self.diverged)
        if kept:
            self.best_loss, self.best_epoch, self.best = loss, epoch, self._values()
        seconds = round(time.perf_counter() - start, 4)
        measured: dict[str, Any] = {**self._about, **scores}
        self._note(Epoch(**measured, epoch=epoch, kept=bool(kept), seconds=seconds))
        return scores


class Plateau(keras.callbacks.ReduceLROnPlateau):
    """Keras' callback, with a state that can be saved and restored.

    After half the patience without improvement, it divides the learning rate by ten.
    """

    def __init__(self, phase: Iteration, keeper: Keeper) -> None:
        monitor = "val_loss" if keeper.has_validation else "train_loss"
        super().__init__(monitor, factor=0.1, patience=max(1, phase.patience // 2), min_delta=0.0)
        self.waits: dict[str, Any] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Let Keras reset the state, then restore it."""
        super().on_train_begin(logs)
        for name, value in self.waits.items():
            setattr(self, name, value)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Apply Keras' rule, then record the state."""
        super().on_epoch_end(epoch, logs)
        self.waits = {name: getattr(self, name) for name in ("best", "wait", "cooldown_counter")}


HOOKS = tuple(f"on_{what}_{when}" for what in ("train", "epoch", "train_batch", "batch") for when in ("begin", "end"))
"""The methods of a callback that Keras calls in training.

By default, ``on_train_batch_begin`` calls ``on_batch_begin``, and ``on_train_batch_end`` calls ``on_batch_end``.
"""


def under_their_settings(callbacks: Sequence[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
    """Return the user's callbacks between two of topwork's, which switch to the user's Keras settings and back.

    The two have only those hooks that a callback of the user has, because a batch hook makes a GPU wait at each step.
    """
    found = keras.tree.flatten(list(callbacks))
    own = []
    for hook in HOOKS:
        methods = [getattr(one, hook) for one in found]
        if not all(getattr(method, "_is_default", False) for method in methods):  # Keras' own methods do nothing
            own.append(hook)
    if not own:
        return found

    first, last = keras.callbacks.Callback(), keras.callbacks.Callback()
    for hook in own:
        setattr(first, hook, lambda *_, **__: keras_settings.give_back())
        setattr(last, hook, lambda *_, **__: keras_settings.take_over())
    return [first, *found, last]
