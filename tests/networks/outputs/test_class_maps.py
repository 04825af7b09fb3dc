"""Class activation maps: found by structure, and their average is the logits."""

import keras
import numpy as np
import pytest
from keras import layers

from tests.inference import outputs
from topwork.networks.outputs.class_maps import class_maps

PIXELS = keras.Input((8, 6, 3))
DRAW = np.random.default_rng(0)


def scattered(x):
    """Return batch-norm of *x* with weights and statistics that are not those of a new layer."""
    layer = layers.BatchNormalization()
    found = layer(x)
    layer.set_weights([DRAW.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    return found


HEADS = {
    "dense": lambda x: layers.Dense(3)(layers.GlobalAveragePooling2D()(x)),
    "batch-norm": lambda x: layers.Dense(3)(scattered(layers.GlobalAveragePooling2D()(x))),
    "dropout": lambda x: layers.Dense(3)(layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))),
    "two dense layers": lambda x: layers.Dense(3)(layers.Dense(5)(layers.GlobalAveragePooling2D()(x))),
    "averaged twice": lambda x: layers.Dense(1)(
        layers.GlobalAveragePooling2D()(layers.GlobalAveragePooling2D(keepdims=True)(x))
    ),
}


@pytest.mark.parametrize("head", HEADS)
def test_the_average_of_the_map_is_the_logits(head):
    seen = layers.Conv2D(7, 3, activation="relu")(PIXELS)
    logits = HEADS[head](seen)
    model = keras.Model(PIXELS, [logits, class_maps(logits)])
    said, places = (keras.ops.convert_to_numpy(one) for one in model(DRAW.normal(size=(4, 8, 6, 3))))
    assert places.shape == (4, 6, 4, said.shape[1])
    np.testing.assert_allclose(places.mean((1, 2)), said, rtol=1e-3, atol=1e-4)


OTHERS = {
    "activation": lambda x: layers.Dense(3)(layers.Dense(5, "relu")(layers.GlobalAveragePooling2D()(x))),
    "max": lambda x: layers.Dense(3)(layers.GlobalMaxPooling2D()(x)),
    "flat": lambda x: layers.Dense(3)(layers.Flatten()(x)),
    "softmax": lambda x: layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(x)),
    "two maps": lambda x: layers.Dense(3)(
        layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalAveragePooling2D()(x)])
    ),
    "no average": lambda x: layers.Dense(3)(layers.Lambda(lambda y: y[:, 0, 0])(x)),
}


@pytest.mark.parametrize("head", OTHERS)
def test_other_heads_have_none(head):
    assert class_maps(OTHERS[head](layers.Conv2D(7, 3)(PIXELS))) is None


def test_pixels_alone_have_none():
    assert class_maps(keras.Input((5,))) is None


def test_the_logits_stay_as_they_are():
    logits = HEADS["batch-norm"](PIXELS)
    before = keras.Model(PIXELS, logits)
    values = DRAW.normal(size=(2, 8, 6, 3))
    expected = outputs(before, values)
    class_maps(logits)
    np.testing.assert_array_equal(outputs(before, values), expected)
