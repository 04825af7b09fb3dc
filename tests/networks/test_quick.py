"""Layers that are computed faster on a CPU: the same values and gradients as Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from topwork.networks import quick
from topwork.networks.model import create
from topwork.networks.places import graph_of
from topwork.networks.quick import Quick
from topwork.recipes.recipe import Recipe
from topwork.store.plan import unchecked


@pytest.fixture(autouse=True)
def without_a_gpu(monkeypatch):
    monkeypatch.setattr(quick.gpu, "at_hand", lambda: False)


def conv(kernel=5, strides=1, **options):
    return keras.layers.DepthwiseConv2D(kernel, strides, options.pop("padding", "same"), name="dw", **options)


def normal(*shape):
    return tf.constant(np.random.default_rng(0).normal(size=shape).astype("float32"))


def called(layer, *sides):
    """Return the layer that `quick` calls in place of *layer* on a map with these sides (one: a square)."""
    start = keras.Input((sides[0], sides[-1], 6))
    return keras.Model(start, quick.caller()(layer, (start,), {})).layers[-1]


def results(call, x, variables):
    """Return the output and the gradients of a loss."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = call(x)
        loss = tf.reduce_sum(y * tf.cos(y))
    return [y, *tape.gradient(loss, [x, *variables])]


def same(layer, x, tolerance=1e-5, **training):
    """Check that a layer and what is called in its place give the same results, of which none is only zeros."""
    faster = called(layer, *x.shape[1:3])
    assert isinstance(faster, Quick)
    expected = results(lambda x: layer(x, **training), x, layer.trainable_variables)
    found = results(lambda x: faster(x, **training), x, layer.trainable_variables)
    for one, other in zip(expected, found, strict=True):
        size = np.abs(one).max()
        assert size > 0
        np.testing.assert_allclose(other, one, rtol=tolerance, atol=tolerance * size)
    assert [id(v) for v in faster.trainable_variables] == [id(v) for v in layer.trainable_variables]


@pytest.mark.parametrize("options", [{}, {"activation": "relu", "use_bias": True, "depth_multiplier": 2}])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "side"), [(3, 1), (3, 2), (5, 1), (5, 2), (5, 3), (5, 4), (5, 7), (5, 14), (5, 56), (7, 2), (7, 9)]
)
def test_depthwise(kernel, side, strides, options):
    same(conv(kernel, strides, bias_initializer="normal", **options), normal(5, side, side, 6))


@pytest.mark.parametrize("strides", [1, 2])
def test_depthwise_without_padding_and_on_a_map_that_is_no_square(strides):
    same(conv(5, strides, padding="valid"), normal(5, 9, 9, 6))
    same(conv((3, 5)), normal(4, 2, 9, 6))


def test_what_touches_only_padding_gets_no_gradient():
    layer, x = conv(5), normal(5, 2, 2, 6)
    faster = called(layer, 2)
    gradient = np.array(results(faster, x, layer.trainable_variables)[2])
    assert np.abs(gradient[1:4, 1:4]).min() > 0
    gradient[1:4, 1:4] = 0
    assert not gradient.any()


@pytest.mark.parametrize("options", [{}, {"activation": "relu", "bias_initializer": "normal", "padding": "same"}])
@pytest.mark.parametrize("side", [1, 2, 7, 14])
def test_pointwise(side, options):
    same(keras.layers.Conv2D(9, 1, use_bias=bool(options), **options), normal(5, side, side, 6))


@pytest.mark.parametrize("side", [1, 2, 7, 56])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(training, side):
    """Also the moving statistics are the same; Keras and TensorFlow differ in what the variance is divided by."""
    moving = []
    for way in (lambda layer: layer, lambda layer: called(layer, side)):
        layer = keras.layers.BatchNormalization(momentum=0.7, beta_initializer="normal")
        layer.build((None, side, side, 6))
        for number in range(3):
            way(layer)(normal(3, side, side, 6) * (number + 2) + 1, training=training)
        moving.append([layer.moving_mean.numpy(), layer.moving_variance.numpy()])
    assert training == (np.abs(moving[0][0]).max() > 0)
    np.testing.assert_allclose(moving[0], moving[1], rtol=1e-5, atol=1e-6)
    tolerance = 1e-5 if side < 56 else 1e-3  # Keras' gradient is 9e-5 from that in float64, this one 8e-5
    same(layer, normal(5, side, side, 6) * 3 + 1, tolerance, training=training)


def test_batch_norm_that_does_not_train_uses_moving_statistics():
    layer = keras.layers.BatchNormalization()
    faster, x = called(layer, 4), normal(5, 4, 4, 6) * 3 + 1
    layer.trainable = False
    np.testing.assert_allclose(faster(x, training=True), x / np.sqrt(1 + layer.epsilon), rtol=1e-5)
    assert not faster.trainable_variables
    assert not layer.moving_mean.numpy().any()


@pytest.mark.parametrize(
    ("layer", "side"),
    [
        (conv(3), 3),
        (conv(3, padding="valid"), 4),
        (conv(5, dilation_rate=2), 4),
        (conv(5, activity_regularizer="l2"), 4),
        (keras.layers.Conv2D(6, 5, padding="same"), 4),
        (keras.layers.Conv2D(6, 1, strides=2), 4),
        (keras.layers.Conv2D(6, 1, groups=2), 4),
        (keras.layers.BatchNormalization(axis=1), 4),
        (keras.layers.BatchNormalization(scale=False), 4),
        (keras.layers.BatchNormalization(renorm=True), 4),
    ],
)
def test_others_are_called_as_they_are(layer, side):
    assert called(layer, side) is layer


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("layer", [conv(5), keras.layers.Conv2D(9, 1), keras.layers.BatchNormalization()])
@pytest.mark.parametrize("training", [True, False])
def test_mixed_precision(policy, layer, training):
    faster, x = called(layer, 4), normal(4, 4, 4, 6)
    faster.dtype_policy = policy
    weights = layer.get_weights()
    expected = results(lambda x: layer(x, training=training), x, layer.trainable_variables)
    layer.set_weights(weights)
    found = results(lambda x: tf.cast(faster(x, training=training), "float32"), x, layer.trainable_variables)
    assert faster(x, training=training).dtype.name == policy.removeprefix("mixed_")
    assert all(variable.dtype == "float32" for variable in layer.variables)
    for one, other in zip(expected, found, strict=True):
        assert np.abs(np.asarray(other) - one).max() <= 0.04 * np.abs(one).max()


def test_a_layer_that_is_called_twice_and_one_that_is_called_by_name():
    """Networks of your own may call layers in both ways."""
    call, layer, start = quick.caller(), conv(5), keras.Input((4, 4, 6))
    y = call(layer, (call(layer, (start,), {}),), {})
    y = call(keras.layers.DepthwiseConv2D(5, padding="same", name="other"), (), {"inputs": y})
    model = keras.Model(start, y)
    assert len(model.trainable_variables) == 4


def test_other_backends_and_gpus_call_layers_as_they_are(monkeypatch):
    layer = conv(5)
    monkeypatch.setattr(quick.gpu, "at_hand", lambda: True)
    assert called(layer, 4) is layer
    monkeypatch.undo()
    monkeypatch.setattr(quick.keras_backend, "name", lambda: "jax")
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
    assert "topwork_quick_block7a_dwconv" in [layer.name for layer in top.layers if isinstance(layer, Quick)]
    paths = [variable.path for variable in top.trainable_variables]
    assert "block7a_dwconv/kernel" in paths
    assert len(paths) == len(set(paths))
    assert "block7a_dwconv" in network.values()
