"""Law 1: top(trunk(x)) == backbone(x) for every legal place of every backbone."""

import random
from functools import cache

import keras
import numpy as np
import pytest

from topwork.errors import BackboneError, CutError
from topwork.networks.halves import halves
from topwork.networks.halves import top as top_of
from topwork.networks.halves import trunk as trunk_of
from topwork.networks.keras_graph import open_backbone, open_model
from topwork.networks.weights import pretrained
from topwork.recipes.settings import Backbone

FAMILIES = {
    "xception": 71,
    "vgg16": 32,
    "resnet50": 32,
    "resnet50_v2": 32,
    "inception_v3": 75,
    "inception_resnet_v2": 75,
    "mobilenet": 32,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 32,
    "mobilenet_v3_large": 32,
    "densenet121": 32,
    "nasnet_mobile": 32,
    "efficientnet_lite0": 32,
    "efficientnet_b0": 32,
    "efficientnet_v2_b0": 32,
    "convnext_tiny": 32,
}
BOUND = 1e-5
SEED = 20261123


@cache
def opened(name):
    backbone = Backbone(name, weights="random", size=FAMILIES[name])
    return open_backbone(backbone, pretrained.weights_file(backbone))


@cache
def graph_of(name):
    """Return a backbone's graph without waiting for random weights."""
    return open_backbone(Backbone(name, weights="random", size=FAMILIES[name]), None).graph


def pixels(side, count=4):
    draw = np.random.default_rng(1)
    patches = draw.integers(0, 200, (count, 4, 4, 3)).repeat(-(-side // 4), 1).repeat(-(-side // 4), 2)
    return (patches[:, :side, :side] + draw.integers(0, 56, (count, side, side, 3))).astype("uint8")


def run(model, x):
    return model(x, training=False)


def difference(name, place, end="pool"):
    """Compare the two halves with the complete network: max|a-b| / max|b|."""
    network, expected = opened(name), whole(name, end)
    frontier, last = network.graph.resolve(place, end), network.graph.end(end)
    below = run(trunk_of(network, frontier), pixels(FAMILIES[name]))
    halved = np.asarray(run(top_of(network, frontier, last), below))
    return np.abs(halved - expected).max() / np.abs(expected).max()


@cache
def whole(name, end):
    """Return what the uncut network outputs at its end."""
    network = opened(name)
    model = keras.Model(network.tensors[0][0], network.tensors[network.graph.end(end)][0])
    found = np.asarray(run(model, pixels(FAMILIES[name])))
    assert found.std(axis=0).max() > 1e-2 * np.abs(found).max(), "the outputs do not differ between pictures"
    return found


def places(name, count, seed, numbers=None):
    """Return places to try: names with one tensor, and *numbers* numbers, most of which leave several tensors alive."""
    graph = opened(name).graph
    draw = random.Random(f"{name}{seed}")
    names = [graph.nodes[i].name for i in graph.legal()]
    layers = max(node.layer or 0 for node in graph.nodes)
    return draw.sample(names, min(count, len(names))) + draw.sample(range(layers + 2), numbers or count)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v2", "vgg16"])
def test_law_1_on_some_families(name):
    """The test tries the default network, another network with additions, and a chain of layers."""
    for place in places(name, 1, SEED, numbers=2):
        assert difference(name, place) <= BOUND, f"{name}@{place}"


@pytest.mark.full
@pytest.mark.parametrize("name", FAMILIES)
def test_law_1_on_every_family(name):
    graph = opened(name).graph
    layers = max(node.layer or 0 for node in graph.nodes)
    several = [n for n in range(layers) if len(graph.resolve(n).tensors) > 1]
    assert bool(several) == (name not in ("vgg16", "mobilenet")), "which networks are chains"
    for place in places(name, 5, SEED + 1) + several[len(several) // 2 :][:1]:
        assert difference(name, place) <= BOUND, f"{name}@{place}"


def test_law_1_sees_a_planted_fault():
    network = opened("mobilenet_v2")
    frontier = network.graph.resolve("block_12_add")
    trunk, top = trunk_of(network, frontier), top_of(network, frontier, network.graph.pool)
    x = pixels(32)
    whole = np.asarray(run(keras.Model(network.tensors[0][0], network.tensors[network.graph.pool][0]), x))
    layer = top.get_layer("block_16_project_BN")
    before = layer.get_weights()
    layer.set_weights([before[0] * 1.001, *before[1:]])
    broken = np.asarray(run(top, run(trunk, x)))
    layer.set_weights(before)
    assert np.abs(broken - whole).max() / np.abs(whole).max() > BOUND


def test_ends_drop_the_rest():
    assert difference("mobilenet_v2", "block_3_expand", "block_6_expand") <= BOUND
    network = opened("mobilenet_v2")
    top = top_of(
        network, network.graph.resolve("block_3_expand", "block_6_expand"), network.graph.end("block_6_expand")
    )
    assert not any(layer.name.startswith("block_7") for layer in top.layers)


def test_a_number_and_a_name_are_one_cut():
    graph = opened("mobilenet_v2").graph
    assert graph.resolve(27) == graph.resolve("block_2_add")
    assert len(graph.resolve(26).tensors) == 2


@pytest.mark.full
def test_the_numbers_of_the_articles_are_these_cuts():
    graph = graph_of("inception_v3")
    assert graph.resolve(249) == graph.resolve("mixed8")
    assert graph.resolve(64) == graph.resolve("mixed1")
    assert graph_of("xception").resolve(36) == graph_of("xception").resolve("add_2")
    assert len(graph_of("xception").resolve(35).tensors) == 2


def test_numbers_below_the_network_are_the_pixels():
    graph = graph_of("efficientnet_b0")
    assert graph.resolve(0) == graph.resolve(1) == graph.resolve("input")
    assert graph.nodes[0].dtype == "uint8"


def test_places_are_those_of_a_fresh_process_whatever_was_built_before():
    first = [node.name for node in graph_of("xception").nodes]
    keras.applications.Xception(include_top=False, weights=None, input_shape=(71, 71, 3))
    again = open_backbone(Backbone("xception", "random", 71), None)
    assert [node.name for node in again.graph.nodes] == first
    assert "conv2d" in first


def test_our_names_leave_the_counters_of_the_caller_alone():
    before = keras.layers.Dense(1).name
    open_backbone(Backbone("mobilenet_v2", "random", 32), None)
    after = keras.layers.Dense(1).name
    assert int(after.rpartition("_")[2]) == int((before + "_0" if before == "dense" else before).rpartition("_")[2]) + 1


def test_a_model_of_your_own_is_cut_as_it_is():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="a"), keras.layers.Dense(2, name="b")])
    trunk, top = halves(model, "a")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    assert trunk.output.shape == (None, 3)
    np.testing.assert_array_equal(np.asarray(top(trunk(x))), np.asarray(model(x)))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_a_model_of_your_own_keeps_its_dtypes(policy):
    start = keras.Input((4, 4, 3))
    made = keras.layers.Conv2D(2, 1, dtype=policy, name="b")(keras.layers.Conv2D(3, 1, dtype=policy, name="a")(start))
    model = keras.Model(start, made)
    trunk, top = halves(model, "a")
    assert {layer.dtype_policy.name for half in (trunk, top) for layer in half.layers[1:]} == {policy}
    x = np.random.default_rng(0).normal(size=(5, 4, 4, 3)).astype("float32")
    halved, whole = np.asarray(run(top, run(trunk, x))), np.asarray(run(model, x))
    assert halved.dtype == whole.dtype == model.output.dtype != "float32"
    np.testing.assert_array_equal(halved, whole)
    assert open_model(model).tensors[-1][0].dtype == model.output.dtype  # the dtype of the average at the end


def test_a_model_of_your_own_that_ends_in_a_map_is_cut_there_unless_a_place_is_named():
    start = keras.Input((8, 8, 3))
    model = keras.Model(start, keras.layers.Conv2D(4, 3, name="last")(keras.layers.Conv2D(5, 3, name="first")(start)))
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    for place in (None, "first", 2):
        trunk, top = halves(model, place)
        np.testing.assert_allclose(top(trunk(x)), model(x), rtol=1e-5, atol=1e-6)
    assert halves(model)[0].output.shape == (None, 4, 4, 4)
    with pytest.raises(CutError, match="'pool': it is above the end, 'last'"):
        halves(model, "pool")


def test_nested_models_are_flattened():
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(4, name="a"), keras.layers.ReLU(name="r")], name="inner"
    )
    start = keras.Input((4,))
    model = keras.Model(start, keras.layers.Dense(2, name="b")(inner(start)))
    trunk, top = halves(model, "a")
    assert [layer.name for layer in top.layers][1:] == ["r", "b"]
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_array_equal(np.asarray(top(trunk(x))), np.asarray(model(x)))


def test_a_shared_layer_has_two_places():
    start = keras.Input((4,))
    dense = keras.layers.Dense(4, name="twice")
    model = keras.Model(start, dense(dense(start)))
    graph = open_model(model).graph
    assert [node.name for node in graph.nodes] == ["input", "twice", "twice:1"]
    trunk, top = halves(model, "twice")
    x = np.ones((1, 4), "float32")
    np.testing.assert_array_equal(np.asarray(top(trunk(x))), np.asarray(model(x)))


def test_a_half_can_be_halved_again():
    trunk, top = halves("mobilenet_v2@block_5_add", backbone=Backbone("mobilenet_v2", "random", 32))
    lower, upper = halves(top, "block_12_add")
    x = pixels(32)
    np.testing.assert_allclose(
        np.asarray(run(upper, run(lower, run(trunk, x)))), np.asarray(run(top, run(trunk, x))), rtol=1e-5, atol=1e-5
    )


class Hidden(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def test_a_subclassed_model_is_refused():
    model = Hidden()
    model(np.ones((1, 4), "float32"))
    with pytest.raises(BackboneError) as error:
        halves(model, "dense")
    assert str(error.value) == (
        f"cannot cut {model.name!r}, a Hidden: its graph is hidden in Python code. "
        "Expected a functional or Sequential keras.Model that has been built."
    )


def test_several_inputs_are_refused():
    a, b = keras.Input((2,)), keras.Input((2,))
    model = keras.Model([a, b], keras.layers.Add()([a, b]), name="two")
    with pytest.raises(BackboneError) as error:
        halves(model, "add")
    assert str(error.value) == "cannot cut 'two': it has 2 inputs and 1 outputs; expected one of each."


def test_what_is_alive_is_named():
    with pytest.raises(CutError) as error:
        graph_of("resnet50").resolve("conv4_block3_1_conv")
    assert str(error.value) == (
        "cannot cut resnet50 at 'conv4_block3_1_conv' with one tensor: 'conv4_block2_out' is still read above it. "
        "Cut at 'conv4_block2_out' below or 'conv4_block3_add' above."
    )


def test_an_unknown_place_has_a_neighbour():
    with pytest.raises(CutError) as error:
        graph_of("resnet50").resolve("conv4_block2_ot")
    assert str(error.value) == (
        "no place 'conv4_block2_ot' in resnet50; did you mean 'conv4_block2_out'? "
        "topwork.cuts('resnet50') lists its places."
    )


def test_a_place_above_the_end():
    with pytest.raises(CutError) as error:
        graph_of("resnet50").resolve("conv5_block3_out", "conv4_block2_out")
    assert str(error.value) == "cannot cut resnet50 at 'conv5_block3_out': it is above the end, 'conv4_block2_out'."
