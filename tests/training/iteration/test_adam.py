"""Adam in one operation gives what Keras' Adam gives."""

import keras
import numpy as np
import pytest

from topwork.training.iteration.adam import Adam


def trained(optimizer):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3)])
    model.compile(optimizer, keras.losses.CategoricalCrossentropy(from_logits=True))
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(64, 6)).astype("float32"), np.eye(3, dtype="float32")[draw.integers(0, 3, 64)]
    before = model.get_weights()
    model.fit(x, y, batch_size=16, epochs=5, shuffle=False, verbose=0)
    return before, model


@pytest.mark.parametrize("options", [{}, {"global_clipnorm": 0.1}, {"weight_decay": 0.1}])
def test_weights_and_state_are_those_of_keras_but_for_rounding(options):
    before, expected = trained(keras.optimizers.Adam(0.01, **options))
    _, found = trained(Adam(0.01, **options))
    assert np.abs(before[0] - expected.get_weights()[0]).max() > 0.05
    for name in ("variables", "optimizer"):
        pairs = [getattr(one, name) for one in (expected, found)]
        pairs = [one.variables for one in pairs] if name == "optimizer" else pairs
        for one, other in zip(*pairs, strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=2e-4, atol=1e-6)
