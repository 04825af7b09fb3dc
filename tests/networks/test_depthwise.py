"""Depthwise convolutions of small maps: padding them beforehand gives the same values and gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from topwork.networks import depthwise
from topwork.networks.depthwise import Padded
from topwork.networks.model import create
from topwork.networks.places import graph_of
from topwork.recipes.recipe import Recipe
from topwork.store.plan import unchecked


def conv(kernel=5, strides=1, **options):
    return keras.layers.DepthwiseConv2D(kernel, strides, options.pop("padding", "same"), name="dw", **options)


def called(layer, side):
    """Return the layer that `depthwise` calls in place of *layer* on a map with this side length."""
    start = keras.Input((side, side, 6))
    return keras.Model(start, depthwise.caller()(layer, (start,), {})).layers[-1]


@pytest.mark.parametrize("options", [{}, {"activation": "relu", "use_bias": True, "depth_multiplier": 2}])
@pytest.mark.parametrize(("side", "kernel", "strides"), [(4, 5, 1), (4, 5, 2), (3, 5, 2), (2, 3, 1), (1, 3, 2)])
def test_values_and_gradients_are_the_same(side, kernel, strides, options):
    layer = conv(kernel, strides, bias_initializer="normal", **options)
    x = tf.constant(np.random.default_rng(0).normal(size=(5, side, side, 6)).astype("float32"))
    found = []
    for each in (layer, called(layer, side)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = each(x)
            loss = tf.reduce_sum(y * tf.cos(y))
        found.append([y, *tape.gradient(loss, [x, *layer.trainable_variables])])
    assert isinstance(called(layer, side), Padded)
    for plain, padded in zip(*found, strict=True):
        assert np.abs(plain).max() > 0
        np.testing.assert_allclose(padded, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "side"),
    [
        (conv(5), 5),
        (conv(3, padding="valid"), 4),
        (conv(5, dilation_rate=2), 4),
        (keras.layers.Conv2D(6, 5, padding="same"), 4),
    ],
)
def test_others_are_called_as_they_are(layer, side):
    assert called(layer, side) is layer


def test_a_map_that_is_wider_than_high(monkeypatch):
    layer = conv((3, 5))
    start = keras.Input((2, 9, 6))
    model = keras.Model(start, depthwise.caller()(layer, (start,), {}))
    x = np.random.default_rng(0).normal(size=(4, 2, 9, 6)).astype("float32")
    assert isinstance(model.layers[-1], Padded)
    np.testing.assert_allclose(np.asarray(model(x)), np.asarray(layer(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    layer = conv(5)
    padded = called(layer, 4)
    x = np.random.default_rng(0).normal(size=(4, 4, 4, 6)).astype("float32")
    expected = np.asarray(layer(x))
    padded.dtype_policy = policy
    found = padded(x)
    assert found.dtype.name == policy.removeprefix("mixed_")
    assert layer.kernel.dtype == "float32"
    assert np.abs(np.asarray(tf.cast(found, "float32")) - expected).max() <= 0.03 * np.abs(expected).max()


def test_a_layer_that_is_called_twice_and_one_that_is_called_by_name():
    """Networks of your own may call layers in both ways."""
    call, layer, start = depthwise.caller(), conv(5), keras.Input((4, 4, 6))
    y = call(layer, (call(layer, (start,), {}),), {})
    y = call(keras.layers.DepthwiseConv2D(5, padding="same", name="other"), (), {"inputs": y})
    model = keras.Model(start, y)
    assert len(model.trainable_variables) == 4


def test_other_backends_call_layers_as_they_are(monkeypatch):
    monkeypatch.setattr(depthwise.keras_backend, "name", lambda: "jax")
    layer = conv(5)
    assert called(layer, 4) is layer


@pytest.mark.full
def test_what_a_phase_trains_has_its_weights_under_their_own_names():
    backbone = {"weights": "random", "size": 64, "precision": "float32"}
    cut = "efficientnet_lite0@block6d_add"
    recipe = Recipe.from_mapping({"phase": [{"cut": cut}], "backbones": {"efficientnet_lite0": backbone}})
    below = [one.trunk_in(graph_of(one.backbone)) for one in unchecked(recipe)[0].requests]
    network = create(recipe, below, 3)
    top = network.above(below)
    network.freeze(below, "frozen")
    assert [layer.name for layer in top.layers if isinstance(layer, Padded)] == ["topwork_padded_block7a_dwconv"]
    paths = [variable.path for variable in top.trainable_variables]
    assert "block7a_dwconv/kernel" in paths
    assert len(paths) == len(set(paths))
    assert "block7a_dwconv" in network.values()
