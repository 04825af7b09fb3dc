"""Calibration: a temperature changes no answer, and makes probabilities say how often the answers are right."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import topwork as tw
from tests.inference import outputs
from tests.tiny import tiny
from topwork.data.pictures import Fit, decode
from topwork.networks import heads
from topwork.networks.fusion import Mixture, Stack, learned, softmax
from topwork.networks.heads import LinearHead
from topwork.recipes.settings import Head
from topwork.runs.predictions import Exam
from topwork.scoring.calibration.temperature import HIGH, LOW, fitted
from topwork.scoring.metrics import cross_entropy


def drawn(count, classes=3, seed=0):
    """Return logits and labels that were drawn from their probabilities, so that these are right."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, (count, classes))
    labels = (softmax(logits).cumsum(1) < draw.random((count, 1))).sum(1)
    return logits, labels


@pytest.mark.parametrize("factor", [0.6, 1.5, 3.0])
def test_it_finds_the_factor_by_which_answers_are_too_sure(factor):
    logits, labels = drawn(5000)
    assert fitted(logits * factor, labels) == pytest.approx(factor, rel=0.05)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60), st.integers(2, 4), st.floats(0.1, 20))
def test_it_is_within_its_limits_and_never_raises_the_loss(seed, count, classes, factor):
    logits, labels = drawn(count, classes, seed)
    found = fitted(logits * factor, labels)
    assert LOW <= found <= HIGH
    if count:
        assert cross_entropy(labels, logits * factor / found) <= cross_entropy(labels, logits * factor) + 1e-9


def test_it_is_one_where_other_pictures_gain_nothing():
    assert fitted(np.zeros((0, 3)), np.zeros(0, int)) == 1
    assert fitted(np.eye(2)[:1], np.zeros(1, int)) == 1
    # the first half wants surer answers and the second half wants less sure ones
    logits = np.tile([[2.0, 0.0]], (40, 1))
    labels = np.where(np.arange(40) % 2, 0, np.arange(40) % 4 // 2)
    assert fitted(logits, labels) == 1


def test_answers_that_are_all_right_do_not_become_as_sure_as_can_be():
    assert fitted(np.eye(2)[np.arange(20) % 2], np.arange(20) % 2) == LOW


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("temperature", [LOW, 1.0, 1.7, HIGH])
def test_heads_and_rules_are_divided(temperature, single):
    draw = np.random.default_rng(0)
    ones, zeros = np.ones(4, np.float32), np.zeros(4, np.float32)
    width = 1 if single else 3
    head = LinearHead(
        draw.normal(size=(4, width)).astype("float32"),
        draw.normal(size=width).astype("float32"),
        (ones, zeros, zeros, ones),
    )
    x = draw.normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(head.divided(temperature).logits(x), head.logits(x) / temperature, rtol=1e-4, atol=1e-6)
    each = softmax(draw.normal(size=(2, 5, 3)))
    for rule in (Mixture(np.array([0.3, 0.7])), Stack(draw.normal(size=(6, 3)), draw.normal(size=3))):
        expected = softmax(np.log(rule(each)) / temperature)
        divided = rule.divided(temperature)
        np.testing.assert_allclose(divided(each), expected, rtol=1e-6)
        np.testing.assert_allclose(learned(divided.values())(each), expected, rtol=1e-6)
        starts = [keras.Input((3,)) for _ in each]
        model = keras.Model(starts, divided.join(starts))
        joined = softmax(outputs(model, [np.log(one).astype("float32") for one in each]))
        np.testing.assert_allclose(joined, expected, rtol=1e-4, atol=1e-6)


def test_a_join_of_an_earlier_version_has_temperature_one():
    assert learned({"mixture": [np.array([0.5, 0.5])]}).temperature == 1


def test_the_last_dense_layer_of_a_head_is_found():
    layers = keras.layers
    start = keras.Input((4,))
    assert heads.last_dense(heads.build(Head("mlp"), [(4,)], 3, 0)).name == "logits"
    nested = keras.Model(start, keras.Sequential([layers.Dense(3, name="inner")])(start))
    assert heads.last_dense(nested).name == "inner"
    assert heads.last_dense(keras.Model(start, layers.Rescaling(2.0)(layers.Dense(3)(start)))) is None
    assert heads.last_dense(keras.Model(start, layers.Dense(3, "relu")(start))) is None


@pytest.mark.parametrize("epochs", [None, 5])
def test_everything_that_answers_has_the_same_calibrated_values(pictures, tmp_path, epochs):
    """The losses in the journal are those before; the answers of the finished run have the temperature."""
    phases = [tw.Phase("tiny@pool", epochs=epochs)] if epochs else [tw.Phase("tiny@pool")]
    run = tw.train(pictures, phases=phases, backbones=[tiny()], out=tmp_path / "run", progress=False)
    temperature = json.loads((run.path / "results.json").read_text())["temperature"]
    assert temperature == run.results.temperature != 1
    rows = run.data.part("test")
    sources = [f"{run.data.root}/{row.path}" for row in rows]
    from_model = outputs(run.model(), np.stack([decode(one, Fit((32, 32))) for one in sources]))
    exam = Exam.at(run.path)
    assert [row.path for row in exam.rows] == [row.path for row in rows]
    np.testing.assert_allclose(exam.probabilities, from_model, atol=1e-4)
    exported = [guess.probabilities for guess in run.export(tmp_path / "m.onnx", progress=False)(sources)]
    np.testing.assert_allclose([list(one.values()) for one in exported], from_model, atol=1e-4)


def test_a_head_that_does_not_end_in_a_dense_layer_stays_as_it_is_and_a_line_says_so(
    pictures, tmp_path, capsys, monkeypatch
):
    layers = keras.layers
    start = keras.Input((64,))
    head = keras.Model(start, layers.Rescaling(20.0)(layers.Dense(3, kernel_initializer="zeros")(start)))
    monkeypatch.setattr("topwork.training.calibrating.fitted", lambda *_: 2.0)
    phases = [tw.Phase("tiny@pool", epochs=1)]
    run = tw.train(pictures, phases=phases, backbones=[tiny()], head=head, out=tmp_path / "run")
    assert run.results.temperature == 1
    assert (
        "The head's last layer is no dense layer, so its answers are not calibrated (by 2.00)."
        in capsys.readouterr().err
    )
