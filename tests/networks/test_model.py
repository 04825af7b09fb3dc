"""Law 1 for everything that a run can train (sums, ends, several pictures or tensors); which layers are trained."""

from functools import cache

import keras
import numpy as np
import pytest

from tests.shared import once
from topwork.cut import Cut
from topwork.networks.backbones.builder import build
from topwork.networks.graph import Frontier
from topwork.networks.halves import trunk
from topwork.networks.keras_graph import open_backbone
from topwork.networks.model import Network, create
from topwork.networks.places import graph_of
from topwork.networks.weights.pretrained import weights_file
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone, Views
from topwork.store.examples import pooled
from topwork.store.plan import steps

A, B, RESIDUAL, CAFFE = "start_025", "start_050", "mobilenet_v2_035", "vgg16"
EARLY = f"{A}@conv_pw_1_relu..conv_pw_2_relu + {A}@conv_pw_1_relu..conv_dw_2_bn"
TWO = f"{A}@conv_pw_2_relu..conv_pw_2_relu + {B}@conv_pw_2_relu..conv_pw_2_relu"
SIDES = f"{A}@conv_dw_2..conv_pw_2_relu[front] + {A}@conv_dw_2..conv_pw_2_relu[side]"
STILL = Views(2, "live", rotation=0.0, shift=0.0, zoom=0.0, flip="none")


def start(alpha, side):
    """Write the first blocks of MobileNet into a file, so that no test has to build the other 60 layers."""

    def save(path):
        backbone = Backbone(f"mobilenet_{alpha}", "random", side)
        whole = build(backbone, weights_file(backbone))
        keras.Model(whole.input, whole.get_layer("conv_pw_3_relu").output).save(path)

    return str(once(f"start_{alpha}.keras", save))


@cache
def table(name):
    """Return the options of a backbone."""
    if name in (RESIDUAL, CAFFE):
        return {"weights": "random", "size": 32}
    alpha, side = {A: ("025", 32), B: ("050", 40)}[name]
    return {"model": start(alpha, side), "size": side, "scale": "unit"}


def planned(*cuts):
    """Return a run's network and the trunks of its phases; the head's last layer, which starts at zero, gets values."""
    names = {term.backbone for term in Cut.parse(cuts[0]).terms}
    recipe = Recipe.from_mapping(
        {"phase": [{"cut": cut} for cut in cuts], "backbones": {name: table(name) for name in names}}
    )
    for backbone in recipe.backbones.values():
        graph_of(backbone)
    found = [step.trunks() for step in steps(recipe)]
    network = create(recipe, found[-1], 3)
    last = network.head.layers[-1]
    last.set_weights([np.random.default_rng(1).normal(size=w.shape).astype("float32") for w in last.get_weights()])
    return network, found


@pytest.fixture(scope="module")
def networks():
    """Return a function that builds a cut's network once; a test that trains a network builds its own."""
    made = {}

    def get(cut):
        if cut not in made:
            made[cut] = planned(cut)
        return made[cut]

    return get


@pytest.fixture(scope="module")
def opened():
    """Return a function that opens a backbone once more, separate from the copies in any network."""
    made = {}

    def get(name):
        if name not in made:
            backbone = Backbone(name, **table(name))
            made[name] = open_backbone(backbone, weights_file(backbone))
        return made[name]

    return get


def pixels(network, count=4):
    """Return pictures for each input of the complete model, each picture brighter than the one before it."""
    draw, light = np.random.default_rng(0), np.arange(1, count + 1)[:, None, None, None] / count
    return [(light * draw.integers(0, 256, (count, *fit.size, 3))).astype("uint8") for _, fit in network.inputs]


def given(network, one):
    """Return, for each term, the input that its branch reads."""
    where = {}
    for branch in network.branches:
        place = network.inputs.index((branch.picture, network.trunks[branch.terms[0]].fit))
        where |= dict.fromkeys(branch.terms, one[place])
    return [where[i] for i in range(len(network.trunks))]


def said(model, inputs):
    """Return a model's outputs in inference mode; for a single call, `predict` would take longer to trace a graph."""
    out = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(array) for array in (out if isinstance(out, list) else [out])]


def run(opened, below, frontier, x):
    return said(trunk(opened(below.backbone.name), frontier), [x])


def activations(opened, network, below, x):
    pairs = zip(below, given(network, x))
    return [array for one, own in pairs for array in run(opened, one, one.frontier, own)]


def logits_of_flat(network, x):
    flat = network.flat()
    return said(keras.Model(flat.inputs, flat.get_layer("probabilities").input), x)[0]


def differ(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


def outputs(opened, network, below):
    """Return the logits from the part above activations, the complete model, and the head on separate copies."""
    x = pixels(network)
    above = said(network.above(below), activations(opened, network, below, x))[0]
    ends = [run(opened, one, Frontier(0, ((one.end, 0),)), own)[0] for one, own in zip(below, given(network, x))]
    flat, apart = logits_of_flat(network, x), said(network.head, ends)[0]
    for found in (above, flat, apart):
        assert found.shape == (4, 3)
        assert found.std(0).min() > 1e-2 * np.abs(found).max()
    return above, flat, apart


LAW_1 = [
    f"{RESIDUAL}@20..block_2_add",
    EARLY,
    f"{A}@pool + {B}@pool",
    f"{B}@conv_pw_1..conv_pw_2_relu + {A}@conv_pw_1..conv_pw_3_relu",
    SIDES,
    f"{A}@pool[front] + {B}@conv_pw_2..conv_pw_3[side] + {A}@conv1..conv_pw_3[side]",
    f"{A}@input..conv_pw_2_relu + {A}@input..conv1",
]


@pytest.mark.parametrize("cut", [*LAW_1[:3], *(pytest.param(cut, marks=pytest.mark.full) for cut in LAW_1[3:])])
def test_law_1(networks, opened, cut):
    network, (below,) = networks(cut)
    above, flat, apart = outputs(opened, network, below)
    assert differ(above, flat) <= 1e-5
    assert differ(apart, flat) <= 1e-5


def test_a_number_may_leave_several_tensors_alive(networks):
    network, (below,) = networks(LAW_1[0])
    assert len(below[0].tensors) > 1
    assert len(network.above(below).inputs) == len(below[0].tensors)


@pytest.mark.parametrize("where", ["above", "below"])
def test_law_1_notices_a_fault(opened, where):
    network, (below,) = planned(EARLY)
    name = "conv_pw_2" if where == "above" else "conv1"
    layer = next(o for o in network.branches[0].opened.operations if o.name == name)
    layer.set_weights([1.01 * array for array in layer.get_weights()])
    above, flat, apart = outputs(opened, network, below)
    assert differ(apart, flat) > 1e-3
    assert (differ(above, flat) > 1e-3) == (where == "below")


def test_every_phase_has_the_same_answer(opened):
    network, found = planned(TWO, TWO.replace("@conv_pw_2_relu", "@conv_pw_1"))
    answers = [outputs(opened, network, below)[0] for below in found]
    assert differ(*answers) <= 1e-5


def test_terms_of_one_backbone_and_picture_share_its_layers(networks):
    network, _ = networks(EARLY)
    assert len(network.branches) == 1
    assert [layer.name for layer in network.trained()] == [
        "conv_dw_2",
        "conv_dw_2_bn",
        "conv_pw_2",
        "conv_pw_2_bn",
        "head_batch_norm",
        "logits",
    ]


def test_other_pictures_have_layers_of_their_own_that_start_alike():
    network, _ = planned(SIDES)
    values = network.values()
    sides = [{k: v for k, v in values.items() if k.startswith(f"{A}_{side}_")} for side in ("front", "side")]
    assert [len(side) for side in sides] == [3, 3]
    for (a, first), (b, second) in zip(*(side.items() for side in sides)):
        assert a.replace("front", "side", 1) == b
        for x, y in zip(first, second, strict=True):
            np.testing.assert_array_equal(x, y)
    layer = next(layer for layer in network.trained() if layer.name == f"{A}_front_conv_pw_2")
    layer.set_weights([2 * array for array in layer.get_weights()])
    now = network.values()
    changed = {name for name in values if any((x != y).any() for x, y in zip(values[name], now[name]))}
    assert changed == {layer.name}


def test_inputs_are_one_for_each_picture_and_size(networks):
    names = {cut: [tensor.name for tensor in networks(cut)[0].flat().inputs] for cut in LAW_1}
    assert names[LAW_1[1]] == names[LAW_1[6]] == ["pixels"]
    assert names[LAW_1[2]] == names[SIDES] == ["pixels_1", "pixels_2"]
    network = networks(LAW_1[5])[0]
    assert [(picture, fit.size) for picture, fit in network.inputs] == [
        ("front", (32, 32)),
        ("side", (40, 40)),
        ("side", (32, 32)),
    ]


def test_names_differ_in_the_whole_model(networks):
    for cut in LAW_1:
        names = [layer.name for layer in networks(cut)[0].flat().layers]
        assert len(names) == len(set(names))


def test_values_come_back():
    network, _ = planned(EARLY)
    x = pixels(network)
    before, kept = logits_of_flat(network, x), network.values()
    network.load({name: [array + 0.1 for array in arrays] for name, arrays in kept.items()})
    assert differ(logits_of_flat(network, x), before) > 1e-2
    network.load(kept)
    np.testing.assert_array_equal(logits_of_flat(network, x), before)


def norms(names):
    return {name for name in names if name.endswith("_bn")}


@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
@pytest.mark.parametrize("live", [False, True])
def test_what_is_above_the_cut_trains_and_nothing_else(batch_norm, live):
    deeper = EARLY.replace("@conv_pw_1_relu", "@conv_dw_1")
    network, (first, _) = planned(EARLY, deeper)
    x = pixels(network, 8)
    layers = {o.name: o for o in network.branches[0].opened.operations if isinstance(o, keras.Layer) and o.weights}
    model = network.live(first, STILL, 0) if live else network.above(first)
    network.freeze(first, batch_norm)
    above = {name for name in layers if name.startswith(("conv_dw_2", "conv_pw_2"))}
    expected = above if batch_norm == "train" else above - norms(above)
    assert {name for name, layer in layers.items() if layer.trainable_variables} == expected
    before = {name: layer.get_weights() for name, layer in layers.items()}
    inputs = (
        given(network, x) if live else [np.random.default_rng(0).normal(size=(8, *t.shape[1:])) for t in model.inputs]
    )
    model.compile(keras.optimizers.SGD(0.1), keras.losses.CategoricalCrossentropy(from_logits=True))
    model.train_on_batch(inputs, np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2, 0, 1]])
    moved = {name for name, b in before.items() if any((x != y).any() for x, y in zip(b, layers[name].get_weights()))}
    assert moved == expected


@pytest.mark.parametrize("cut", [EARLY, TWO, f"{CAFFE}@block1_conv1..block1_conv2"])
def test_live_models_answer_as_the_whole_model(cut):
    network, (below,) = planned(cut)
    x = pixels(network)
    live = network.live(below, Views(3, "live", rotation=40.0), 0)
    expected = logits_of_flat(network, x)
    assert expected.std(0).min() > 1e-2 * np.abs(expected).max()
    assert differ(said(live, given(network, x))[0], expected) <= 1e-5
    inputs = given(network, x)
    assert differ(np.asarray(live(inputs if len(inputs) > 1 else inputs[0], training=True)), expected) > 1e-2


def test_the_whole_model_has_no_random_layer_of_live_views():
    network, (below,) = planned(EARLY)
    live = network.live(below, Views(3, "live"), 0)
    assert any(layer.name.startswith("views_") for layer in live.layers)
    assert not any(layer.name.startswith("views_") for layer in network.flat().layers)


def test_nothing_is_built_where_the_head_alone_trains():
    network, (below,) = planned(f"{A}@pool + {B}@pool")
    assert isinstance(network, Network)
    network.above(below)
    network.freeze(below, "frozen")
    assert not any("opened" in vars(branch) for branch in network.branches)
    assert [layer.name for layer in network.trained()] == ["head_batch_norm", "logits"]


def test_maps_that_are_pooled_beforehand_give_the_same_logits(networks, opened):
    network, (below,) = networks(TWO)
    maps = activations(opened, network, below, pixels(network))
    expected = said(network.above(below), maps)[0]
    pools = network.above_pools()
    assert [tuple(tensor.shape[1:]) for tensor in pools.inputs] == [(array.shape[-1],) for array in maps]
    assert expected.std(0).min() > 1e-2 * np.abs(expected).max()
    assert differ(said(pools, [pooled(array, "avg") for array in maps])[0], expected) <= 1e-5
