"""Live views: Keras' layers do the same as stored views, and do nothing outside of training."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from topwork.data.views import affine, draw
from topwork.networks.augmentation import layers
from topwork.recipes.settings import Views

SIDE = 65
STILL = {"rotation": 0.0, "shift": 0.0, "zoom": 0.0, "flip": "none"}
ALL = Views(rotation=20, shift=0.2, shear=10, zoom=0.3, flip="both", brightness=0.2, contrast=0.3)
CONTENT = "0123456789abcdef" * 4


def run(chosen, pixels, seed=0, training=True):
    for layer in chosen if isinstance(chosen, list) else layers(chosen, seed):
        pixels = layer(pixels, training=training) if layer.name != "views_float" else layer(pixels)
    return np.asarray(pixels)


def noise(count=3, side=24):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def maps(views, count=400):
    """Return the maps that Keras' layers draw, ``[count, 2, 3]``: each pixel's value is the place it came from."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    where = np.stack([x, y, np.ones_like(x)], axis=-1).astype("float32")
    found = run(views, np.broadcast_to(where, (count, SIDE, SIDE, 3)))
    middle = slice(SIDE // 2 - 4, SIDE // 2 + 5)  # these pixels never come from beyond the border
    places, sources = (array[..., middle, middle, :].reshape(-1, 81, 3) for array in (where, found))
    return np.stack([np.linalg.lstsq(places[0], each[:, :2], rcond=None)[0].T for each in sources])


@pytest.mark.parametrize(
    "setting", [{"rotation": 30.0}, {"shift": 0.2}, {"shear": 25.0}, {"zoom": 0.3}, {"flip": "both"}], ids=str
)
def test_live_maps_reach_as_far_as_stored_ones(setting):
    views = Views(**STILL | setting)
    stored = np.stack([affine(draw(views, n, CONTENT), (SIDE, SIDE)) for n in range(1, 401)])
    drawn = maps(views)
    room = 0.04 * np.ptp(stored, axis=0) + 1e-3
    assert (np.abs(drawn.min(0) - stored.min(0)) < room).all()
    assert (np.abs(drawn.max(0) - stored.max(0)) < room).all()


def test_all_together_scatter_as_stored_ones():
    moving = replace(ALL, brightness=0, contrast=0)
    stored = np.stack([affine(draw(moving, n, CONTENT), (SIDE, SIDE)) for n in range(1, 1001)])
    drawn = maps(moving, 1000)
    np.testing.assert_allclose(drawn.std(0), stored.std(0), rtol=0.08)
    assert (np.abs(drawn.mean(0) - stored.mean(0)) < 0.15 * stored.std(0)).all()


def test_contrast_goes_both_ways_about_the_mean():
    pixels = np.zeros((400, 2, 2, 3), np.uint8)
    pixels[:, 0], pixels[:, 1] = 110, 90
    found = run(Views(**STILL, contrast=0.4), pixels)
    np.testing.assert_allclose(found.mean((1, 2, 3)), 100, rtol=1e-5)
    factors = np.ptp(found, axis=1) / 20
    assert 0.6 <= factors.min() < 0.62 and 1.38 < factors.max() <= 1.4 + 1e-5


def test_brightness_is_a_share_of_white():
    found = run(Views(**STILL, brightness=0.2), np.full((400, 2, 2, 3), 100, np.uint8))
    assert 49 <= found.min() < 51 and 149 < found.max() <= 151


@pytest.mark.parametrize(("fill", "beyond"), [("constant", 0), ("nearest", 10), ("reflect", 10)])
def test_what_appears_beyond_the_border(fill, beyond):
    flat = np.full((8, 24, 24, 3), 10, np.uint8)
    for setting in ({"rotation": 60.0}, {"shift": 0.5}, {"shear": 40.0}, {"zoom": 0.5}):
        found = run(Views(**STILL | setting, fill_mode=fill), flat)
        assert found.min() == pytest.approx(beyond, abs=1e-4), setting


def test_nearest_takes_pixels_as_they_are():
    pixels = noise()
    found = run(layers(Views(rotation=30, shear=20), 0, "nearest"), pixels)
    assert set(np.unique(found)) <= set(np.unique(pixels).astype(float))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_outside_of_training_pixels_stay_what_they_are(dtype):
    pixels = noise().astype(dtype)
    found = run(ALL, pixels, training=False)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize(
    "only", [{}, {"brightness": 0.2}, {"contrast": 0.2}, {"shear": 9.0}, {"flip": "vertical"}], ids=str
)
def test_pixels_become_float32_whatever_varies_and_whatever_the_global_precision(only):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        chosen = layers(Views(**STILL | only), 0)
        found = chosen[0](noise())
        for layer in chosen[1:]:
            found = layer(found, training=True)
    finally:
        keras.config.set_dtype_policy(policy)
    assert found.dtype == "float32"
    assert bool(only) == bool((np.asarray(found) != noise()).any())


def test_in_a_model_only_fit_draws():
    chosen = layers(ALL, 0)
    pixels = keras.Input((24, 24, 3), dtype="uint8")
    x = pixels
    for layer in chosen:
        x = layer(x)
    model = keras.Model(pixels, x)
    np.testing.assert_array_equal(model.predict(noise(), verbose=0), noise())
    trained = keras.Model(pixels, keras.layers.Dense(3, kernel_initializer="identity")(x))
    trained.compile(keras.optimizers.SGD(0.0), "mse")
    assert trained.evaluate(noise(), noise(), verbose=0) < 1e-3
    assert trained.fit(noise(), noise(), verbose=0).history["loss"][0] > 100


def test_the_seed_alone_decides():
    first, again, other = (run(ALL, noise(), seed) for seed in (2**32 - 1, 2**32 - 1, 7))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_each_step_draws_afresh_and_each_picture_its_own():
    chosen = layers(ALL, 0)
    same = np.repeat(noise(1), 2, axis=0)
    first, second = run(chosen, same), run(chosen, same)
    assert (first[0] != first[1]).any()
    assert (first != second).any()


def test_layers_stand_in_the_order_of_stored_views():
    assert [layer.name.removeprefix("views_") for layer in layers(ALL, 0)] == (
        ["float", "left_right", "top_bottom", "zoom", "shear", "rotation", "shift", "contrast", "brightness"]
    )
