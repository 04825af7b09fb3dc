"""The end of an epoch, with made-up scores: law 7, early stopping, what a checkpoint needs."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from topwork.recipes.settings import Iteration, Phase
from topwork.system import keras_settings
from topwork.training.iteration import callbacks
from topwork.training.iteration.callbacks import Keeper, Plateau, under_their_settings

ABOUT = {"phase": 1, "cut": "tiny@pool", "precision": "float32"}
NAN = float("nan")


class Course:
    """A phase with made-up losses, in which the epoch's number stands in for the model's weights."""

    def __init__(self, monkeypatch, losses, patience=0, parts=("train", "val"), **settings):
        self.losses, self.model, self.lines, self.epoch = losses, SimpleNamespace(stop_training=False), [], 0
        settings = Iteration(patience=patience, **settings)
        self.keeper = Keeper(dict.fromkeys(parts), lambda: self.epoch, self.lines.append, ABOUT, settings)
        self.keeper.set_model(self.model)
        monkeypatch.setattr(callbacks, "score", lambda model, part: {"loss": self.losses[self.epoch], "accuracy": 0.5})

    def run(self, begin=0):
        """Run epochs until the losses end or the phase stops; return the logs of each epoch."""
        logs = []
        if not begin:
            self.keeper.begin()
        for epoch in range(begin, len(self.losses) - 1):
            self.epoch = epoch + 1
            logs.append({"loss": 1.0})
            self.keeper.on_epoch_begin(epoch)
            self.keeper.on_epoch_end(epoch, logs[-1])
            if self.model.stop_training:
                break
        return logs


@pytest.fixture
def course(monkeypatch):
    return lambda *args, **options: Course(monkeypatch, *args, **options)


@pytest.mark.parametrize(
    ("losses", "best"), [([3, 2, 1], 2), ([1, 2, 3], 0), ([3, 1, 2], 1), ([2, 2, 2], 0), ([3, 1, NAN], 1)]
)
def test_law_7_the_weights_of_the_lowest_loss_are_kept_and_epoch_0_counts(course, losses, best):
    phase = course(losses)
    phase.run()
    assert (phase.keeper.best, phase.keeper.best_epoch, phase.keeper.best_loss) == (best, best, losses[best])
    assert [line.epoch for line in phase.lines if line.kept][-1] == best
    assert [line.epoch for line in phase.lines] == list(range(len(losses)))


CYCLES = {"schedule": "restarts", "cycle_epochs": 2}


def test_within_a_cycle_no_epoch_is_scored_and_none_is_kept(course):
    phase = course([3, 0.1, 2, 0.1, 0.1, 0.1, 1, 0.1], **CYCLES)
    phase.run()
    assert [line.epoch for line in phase.lines if line.val_loss is not None] == [0, 2, 6]
    assert (phase.keeper.best_epoch, phase.keeper.best_loss) == (6, 1)
    assert [line.epoch for line in phase.lines] == list(range(8))


def test_the_last_epoch_is_scored_although_its_cycle_has_not_ended(course):
    phase = course([3, 0.1, 2, 1], **CYCLES, epochs=3)
    phase.run()
    assert phase.keeper.best_epoch == 3


def test_with_cycles_a_phase_stops_early_only_where_it_is_scored(course):
    losses = [3, 9, 1, *[9] * 30]
    phase = course(losses, patience=5, **CYCLES)
    phase.run()
    assert phase.keeper.epochs == 14  # after 6 epochs it had waited 4, after 14 it had waited 12


def test_without_validation_the_last_end_of_a_cycle_is_kept(course):
    phase = course([1, 2, 3, 4], parts=("train",), **CYCLES)
    phase.run()
    assert phase.keeper.best_epoch == 2


@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_a_loss_that_is_not_finite_stops_the_phase_whatever_the_patience(course, value):
    phase = course([3, 2, value, 1])
    phase.run()
    assert (len(phase.lines), phase.keeper.diverged, phase.keeper.best) == (3, True, 1)
    assert phase.model.stop_training


def test_an_epoch_with_a_loss_that_is_not_finite_is_never_the_best(course, monkeypatch):
    """The validation loss of such an epoch may be low, if the weights overflow only on some training pictures."""
    phase = course([3, 1])
    losses = {"train": [3, NAN], "val": [3, 1]}
    phase.keeper._parts = {name: name for name in losses}
    monkeypatch.setattr(callbacks, "score", lambda model, part: {"loss": losses[part][phase.epoch]})
    phase.run()
    assert (phase.keeper.best, phase.keeper.diverged) == (0, True)


@pytest.mark.parametrize(("patience", "epochs"), [(0, 6), (1, 2), (2, 3), (3, 6)])
def test_patience_counts_epochs_since_the_best(course, patience, epochs):
    phase = course([3, 2, 4, 4, 1, 5, 5], patience)
    phase.run()
    assert phase.keeper.epochs == epochs
    assert phase.model.stop_training == (patience in (1, 2))


def test_without_validation_the_last_weights_are_kept_and_nothing_stops(course):
    phase = course([1, 2, 3, 4], patience=1, parts=("train",))
    logs = phase.run()
    assert (phase.keeper.best, phase.keeper.epochs, phase.keeper.has_validation) == (3, 3, False)
    assert not any(name.startswith("val_") for line in logs for name in line)
    assert all(line.val_loss is None for line in phase.lines)


def test_later_callbacks_find_the_scores_in_the_logs(course):
    logs = course([3, 2]).run()
    expected = {"loss": 1.0, "val_loss": 2, "val_accuracy": 0.5, "train_loss": 2, "train_accuracy": 0.5}
    assert logs == [expected]


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_keeper_that_is_restored_goes_on_as_the_whole_one(course, stop):
    losses = [5, 3, 4, 4, 2, 6, 6, 6, 1]
    whole = course(losses, patience=3)
    whole.run()
    first = course(losses[: stop + 1], patience=3)
    first.run()
    second = course(losses, patience=3)
    second.keeper.restore(first.keeper.about, first.keeper.best)
    assert (second.keeper.epochs, second.keeper.about) == (stop, first.keeper.about)
    second.run(begin=stop)
    assert {**second.keeper.about, "best": second.keeper.best} == {**whole.keeper.about, "best": whole.keeper.best}
    told = [(line.epoch, line.kept, line.val_loss) for line in first.lines + second.lines]
    assert told == [(line.epoch, line.kept, line.val_loss) for line in whole.lines]


def compiled():
    """Return a small compiled model, whose learning rate a callback may change."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    return model


def plateau(course, model):
    phase = course([1.0], patience=4)
    made = Plateau(Phase("tiny@pool", patience=4), phase.keeper)
    made.set_model(model)
    return made


def test_a_plateau_that_is_restored_goes_on_as_the_whole_one(course):
    """Keras resets the callback's state when training begins."""
    losses, rates = [1.0, 2.0, 2.0, 2.0, 2.0], []
    for stop in (None, 2):
        model = compiled()
        made = plateau(course, model)
        made.on_train_begin()
        for epoch, loss in enumerate(losses):
            if epoch == stop:
                waits, made = made.waits, plateau(course, model)
                made.waits = waits
                made.on_train_begin()
            made.on_epoch_end(epoch, {"val_loss": loss})
        rates.append(float(model.optimizer.learning_rate.numpy()))
    assert rates == pytest.approx([0.01, 0.01])


def test_callbacks_run_under_the_settings_of_their_user(monkeypatch):
    seen = []
    monkeypatch.setattr(keras_settings, "give_back", lambda: seen.append("theirs"))
    monkeypatch.setattr(keras_settings, "take_over", lambda: seen.append("ours"))
    spy = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append("spy"))
    found = under_their_settings([spy])
    for one in found:
        one.on_epoch_end(0, {})
    assert seen == ["theirs", "spy", "ours"]


def test_hooks_that_are_empty_are_left_as_they_are():
    """A batch hook makes Keras wait for each step."""
    before, _, after = under_their_settings([keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: None)])
    assert all(getattr(one.on_train_batch_end, "_is_default", False) for one in (before, after))
    plain = keras.callbacks.Callback()
    assert under_their_settings([plain]) == [plain]
    assert under_their_settings([]) == []


def test_scores_are_numbers_that_json_takes(course):
    phase = course([np.float32(2), np.float32(1)])
    phase.run()
    assert phase.keeper.about["best_loss"] == 1
