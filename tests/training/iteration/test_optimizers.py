"""Optimizers and schedules follow from a phase's settings."""

import keras
import numpy as np
import pytest

from topwork.errors import RecipeError
from topwork.recipes.settings import Iteration
from topwork.training.iteration.optimizers import Restarts, optimizer


def rates(phase, steps):
    rate = optimizer(phase, steps)._learning_rate
    return [float(rate(step)) if callable(rate) else float(rate) for step in range(phase.epochs * steps + 1)]


def test_words_are_passed_to_keras():
    made = optimizer(
        Iteration(optimizer="SGD", learning_rate=0.5, momentum=0.9, global_clipnorm=2.0, weight_decay=1e-4), 10
    )
    assert isinstance(made, keras.optimizers.SGD)
    assert (made.momentum, made.global_clipnorm, made.weight_decay) == (0.9, 2.0, 1e-4)
    assert float(made.learning_rate) == 0.5


def test_a_constant_rate_is_a_number():
    assert set(rates(Iteration(learning_rate=0.25, epochs=2), 5)) == {0.25}


def test_cosine_goes_down_to_nothing():
    found = rates(Iteration(learning_rate=1.0, epochs=4, schedule="cosine"), 5)
    expected = 0.5 * (1 + np.cos(np.pi * np.arange(21) / 20))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("schedule", "last"), [("constant", 1.0), ("cosine", 0.0)])
def test_a_warmup_rises_from_nothing(schedule, last):
    found = rates(Iteration(learning_rate=1.0, epochs=4, schedule=schedule, warmup_epochs=1.0), 5)
    np.testing.assert_allclose(found[:6], np.arange(6) / 5, atol=1e-6)
    assert found[-1] == pytest.approx(last, abs=1e-6)


def test_a_plateau_has_no_warmup():
    with pytest.raises(RecipeError) as error:
        optimizer(Iteration(schedule="plateau", warmup_epochs=1.0), 5)
    assert str(error.value) == (
        "schedule = 'plateau' has no warm-up: use 'constant' or 'cosine', or omit warmup_epochs."
    )


def test_an_optimizer_without_momentum():
    with pytest.raises(RecipeError) as error:
        optimizer(Iteration(optimizer="adam", momentum=0.9), 5)
    assert str(error.value) == "the optimizer 'adam' has no momentum: use 'sgd' or 'rmsprop', or omit momentum."


def test_an_unknown_optimizer():
    with pytest.raises(RecipeError) as error:
        optimizer(Iteration(optimizer="adamm", learning_rate=1e-3), 5)
    assert str(error.value).startswith(
        "no optimizer 'adamm'; did you mean 'adam'? Expected 'auto', or one that Keras has: adadelta, adafactor, "
    )
    names = str(error.value).partition("Keras has: ")[2].rstrip(".").split(", ")
    for name in names:
        assert float(optimizer(Iteration(optimizer=name, learning_rate=1e-3), 5).learning_rate) == pytest.approx(1e-3)


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop", "adamw", "lion", "adagrad"])
def test_every_optimizer_takes_decay_and_clipping(name):
    made = optimizer(Iteration(optimizer=name, learning_rate=1e-3, global_clipnorm=1.0, weight_decay=0.01), 5)
    assert made.weight_decay == 0.01


def test_restarts_are_those_of_keras_without_a_warm_up():
    ours = Restarts(0.1, 10, 0)
    theirs = keras.optimizers.schedules.CosineDecayRestarts(0.1, 10, t_mul=2.0, m_mul=0.5**0.5)
    rates = [float(ours(step)) for step in range(150)]
    assert rates == pytest.approx([float(theirs(step)) for step in range(150)], abs=1e-6)
    assert [rates[step] for step in (0, 10, 30, 70)] == pytest.approx([0.1 / 2 ** (cycle / 2) for cycle in range(4)])
    assert max(rates[step] for step in (9, 29, 69)) < 0.004


def test_each_cycle_of_restarts_has_a_warm_up_of_the_same_share():
    ours = Restarts(0.1, 20, 5)
    found = [float(ours(step)) for step in (0, 2, 4, 20, 24, 28)]
    assert found == pytest.approx([0.0, 0.04, 0.08, 0.0, 0.04 / 2**0.5, 0.08 / 2**0.5])


def test_a_phase_with_restarts(tmp_path):
    made = optimizer(Iteration(schedule="restarts", cycle_epochs=3, warmup_epochs=1, learning_rate=0.2), 7)
    found = made._learning_rate
    assert (found.learning_rate, found.cycle, found.warm_up) == (0.2, 21, 7)
    assert Restarts(**found.get_config()).cycle == 21
