"""Which layers change nothing in inference."""

import keras
import numpy as np
import pytest
from keras import layers

from topwork.cut import Cut
from topwork.networks.model import create
from topwork.networks.places import graph_of
from topwork.networks.replay import is_idle
from topwork.networks.weights.pretrained import on_disk
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone, Head, Phase, Views
from topwork.store import request
from topwork.store.runtimes.base import resolved

X = keras.Input((8, 8, 3))
IDLE = [
    layers.RandomFlip(),
    layers.RandomRotation(0.1),
    layers.RandomContrast(0.2),
    layers.RandAugment(),
    layers.Pipeline([layers.RandomZoom(0.1), layers.RandomBrightness(0.2)]),
    layers.Dropout(0.5),
    layers.SpatialDropout2D(0.5),
    layers.GaussianNoise(1.0),
]
BUSY = [
    layers.AutoContrast(),
    layers.BatchNormalization(),
    layers.Rescaling(0.5),
    layers.ReLU(),
    layers.Conv2D(3, 1),
    layers.MultiHeadAttention(1, 3),
]


@pytest.mark.parametrize("layer", IDLE, ids=lambda layer: type(layer).__name__)
def test_layers_that_do_nothing_in_inference(layer):
    assert is_idle(layer, [X], {"training": True, "mask": None})


@pytest.mark.parametrize("layer", BUSY, ids=lambda layer: type(layer).__name__)
def test_layers_that_do_something(layer):
    layer(X, X) if isinstance(layer, layers.MultiHeadAttention) else layer(X)
    assert not is_idle(layer, [X], {})


def test_what_is_frozen_drops_nothing_while_live_views_train_what_is_above():
    """In Keras the training mode of the complete model overrides the argument of a single call."""
    start = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, kernel_initializer=keras.initializers.GlorotNormal(seed=1), name="conv")(start)
    x = layers.Dropout(0.5, name="frozen")(x)
    own = keras.Model(
        start, layers.Conv2D(4, 3, kernel_initializer=keras.initializers.GlorotNormal(seed=2), name="above")(x)
    )
    backbone = resolved(on_disk(Backbone("mine", model=own, size=16)))
    term = Cut.parse("mine@frozen").only
    below = [request.resolve(term, backbone, graph_of(backbone))]
    network = create(Recipe((Phase("mine@frozen"),), head=Head(dropout=0, batch_norm=False)), below, 3)
    network.head.layers[-1].set_weights([np.ones((4, 3), "float32"), np.zeros(3, "float32")])
    network.freeze(below, "frozen")
    live = network.live(below, Views(2, rotation=0, shift=0, zoom=0, flip="none"), seed=0)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    trained, answered = (np.asarray(live(pixels, training=mode)) for mode in (True, False))
    assert np.ptp(answered) > 1
    np.testing.assert_array_equal(trained, answered)
