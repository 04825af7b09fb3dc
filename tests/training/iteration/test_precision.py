"""The precision of a phase is measured once per machine and top, and only if that may save time."""

import json

import keras
import numpy as np
import pytest

from tests.tiny import NAME, tiny
from topwork.cut import Cut
from topwork.networks.places import graph_of
from topwork.recipes.settings import Phase
from topwork.store.request import resolve
from topwork.training.iteration import precision

CUT = f"{NAME}@block_1_project..block_2_add"
PHASE = Phase(CUT, epochs=2, batch_size=4)


@pytest.fixture
def measured(own_home, monkeypatch):
    """Fake a processor with bfloat16 on which any phase is worth measuring.

    Return the seconds that each precision takes, and a list of the measurements made.
    """
    seconds, asked = {"float32": 0.2, "bfloat16": 0.1}, []
    monkeypatch.setattr(precision.gpu, "at_hand", lambda: False)
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    monkeypatch.setattr(precision, "WORTH", 1)
    monkeypatch.setattr(precision, "GPU_WORTH", 1)
    monkeypatch.setattr(precision, "_measure", lambda model, feed, name: asked.append(name) or seconds[name])
    return seconds, asked


@pytest.fixture
def below():
    term = Cut.parse(CUT).only
    return [resolve(term, tiny(), graph_of(tiny()))]


def model():
    start = keras.Input((4,), name="activations")
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(3, name="few")(start))
    return keras.Model(start, keras.layers.Dense(2, name="logits")(x))


class Nine:
    """A part with nine rows."""

    def __len__(self):
        return 9


def chosen(below, phase=PHASE):
    return precision.choose(model(), phase, below, Nine(), None)


def test_the_faster_one_is_taken_and_measured_once(measured, below, own_home, capsys):
    assert [chosen(below), chosen(below)] == ["bfloat16"] * 2
    assert measured[1] == ["float32", "bfloat16"]
    (file,) = (own_home / "precision").iterdir()
    assert json.loads(file.read_text()) == measured[0]
    assert capsys.readouterr().err == "a training step takes 200 ms in float32, 100 ms in bfloat16; measured once.\n"


def test_float32_is_taken_where_it_is_faster(measured, below):
    measured[0]["bfloat16"] = 0.3
    assert chosen(below) == "float32"


def test_another_batch_is_measured_for_itself(measured, below):
    chosen(below)
    chosen(below, Phase(CUT, epochs=2, batch_size=8))
    assert len(measured[1]) == 4


def test_a_measurement_that_was_cut_short_is_made_again(measured, below, own_home):
    chosen(below)
    (file,) = (own_home / "precision").iterdir()
    file.write_text("")
    assert chosen(below) == "bfloat16"
    assert len(measured[1]) == 4
    assert json.loads(file.read_text()) == measured[0]


def test_what_takes_no_time_is_not_measured(measured, below, monkeypatch):
    graph = below[0].graph
    above = graph.ancestors[below[0].end] & ~below[0].frontier.below
    work = sum(node.macs for i, node in enumerate(graph.nodes) if above >> i & 1)
    monkeypatch.setattr(precision, "WORTH", 3 * work * 9 * 2 + 1)
    assert (chosen(below), measured[1]) == ("float32", [])
    monkeypatch.setattr(precision, "WORTH", 3 * work * 9 * 2)
    assert (chosen(below), measured[1]) == ("bfloat16", ["float32", "bfloat16"])


def test_what_is_asked_for_is_not_measured(measured, below):
    assert chosen(below, Phase(CUT, precision="bfloat16")) == "bfloat16"
    assert measured[1] == []


def test_a_processor_without_bfloat16_trains_in_float32(measured, below, monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)
    assert (chosen(below), measured[1]) == ("float32", [])


def test_a_gpu_has_float16(measured, below, monkeypatch):
    monkeypatch.setattr(precision.gpu, "at_hand", lambda: True)
    measured[0]["float16"] = 0.05
    assert (chosen(below), measured[1]) == ("float16", ["float32", "float16"])


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_measuring_leaves_the_model_as_it_was(name):
    whole = model()
    before = [np.array(keras.ops.convert_to_numpy(value)) for value in whole.variables]
    feed = [(np.random.default_rng(0).normal(size=(4, 4)).astype("float32"), np.eye(2, dtype="float32")[[0, 1, 0, 1]])]
    assert precision._measure(whole, feed, name) > 0
    assert before
    for value, variable in zip(before, whole.variables, strict=True):
        np.testing.assert_array_equal(value, keras.ops.convert_to_numpy(variable))
    assert {layer.compute_dtype for layer in whole.layers if layer.weights} == {"float32"}


def test_float16_has_its_loss_scaled():
    """A gradient of 1e-9 is 0 in float16, but not if the loss is scaled."""
    plain = keras.optimizers.SGD(1.0)
    assert precision.scaled(plain, "bfloat16") is plain
    scaled = precision.scaled(keras.optimizers.SGD(1.0), "float16")
    assert isinstance(scaled, keras.optimizers.LossScaleOptimizer)
    assert np.float16(1e-9) == 0
    assert np.float16(scaled.scale_loss(keras.ops.convert_to_tensor(1e-9))) > 0


def test_layers_in_float16_train():
    keras.utils.set_random_seed(0)
    whole = model()
    x, y = np.random.default_rng(0).normal(size=(8, 4)).astype("float32"), np.eye(2, dtype="float32")[[0, 1] * 4]
    before = whole.get_layer("few").get_weights()[0]
    with precision.applied(whole, "float16"):
        whole.compile(precision.scaled(keras.optimizers.SGD(0.1), "float16"), keras.losses.MeanSquaredError())
        whole.fit(x, y, verbose=0)
    after = whole.get_layer("few").get_weights()[0]
    assert np.isfinite(after).all() and (after != before).any()


def test_a_home_that_cannot_be_written_stops_nothing(measured, below, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TOPWORK_HOME", str(tmp_path / "file"))
    assert [chosen(below), chosen(below)] == ["bfloat16", "bfloat16"]
    assert len(measured[1]) == 4, "it is measured again where it could not be kept"
