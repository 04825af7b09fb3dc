"""Views: what is drawn at random, where a view moves the pixels, and the key that identifies it in the store."""

from dataclasses import astuple, fields, replace
from hashlib import sha256
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import picture
from topwork.data import views as module
from topwork.data.picture_files import digest_array
from topwork.data.views import FILLS, Drawn, affine, apply, draw, key, view
from topwork.recipes.settings import Views

CONTENT = "0123456789abcdef" * 4
ALL = Views(rotation=20, shift=0.2, shear=10, zoom=0.3, flip="both", brightness=0.2, contrast=0.3)
OTHERWISE = Views(
    rotation=1, shift=0.2, shear=1, zoom=0.2, flip="none", brightness=0.1, contrast=0.1, fill_mode="reflect"
)
GOLDEN_DRAWN = Drawn(
    rotation=15.1024107142463,
    right=0.18121024387747836,
    down=0.05550731272157346,
    shear=-6.660535449673701,
    zoom=0.2073569305716897,
    left_right=False,
    top_bottom=True,
    brightness=0.13861177713554915,
    contrast=0.2514909388895092,
)
GOLDEN_PIXELS = "61d65972f48735aba62a09f5fb2b3141c937caccad042a96ffd57f3e47faf8b0"

contents = st.binary(min_size=32, max_size=32).map(bytes.hex)
numbers = st.integers(1, 1000)
drawings = st.builds(
    Drawn,
    rotation=st.floats(-180, 180),
    right=st.floats(-1, 1),
    down=st.floats(-1, 1),
    shear=st.floats(-45, 45),
    zoom=st.floats(-0.9, 0.9),
    left_right=st.booleans(),
    top_bottom=st.booleans(),
)
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def noise(height=24, width=24, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_what_is_drawn_never_changes_under_one_rule():
    """Anyone who changes these lines must also change ``RULE``, or stores would mix old views with new ones."""
    assert module.RULE == "views-1"
    assert key(ALL, 2) == (
        "views-1/2/rotation=20.0/shift=0.2/shear=10.0/zoom=0.3/flip=both/brightness=0.2/contrast=0.3/fill=nearest"
    )
    assert draw(ALL, 2, CONTENT) == GOLDEN_DRAWN
    pixels = np.asarray(picture((40, 180, 60), 7))
    assert sha256(view(pixels, ALL, 2, CONTENT).tobytes()).hexdigest() == GOLDEN_PIXELS


def test_view_0_is_the_picture_itself():
    pixels = noise()
    assert view(pixels, ALL, 0, CONTENT) is pixels
    assert key(ALL, 0) == ""


@settings(deadline=None, max_examples=50)
@given(contents, numbers, st.integers(1, 100), st.sampled_from(["stored", "live"]))
def test_count_and_mode_change_neither_draw_nor_key(content, number, count, mode):
    other = replace(ALL, count=count, mode=mode)
    assert draw(other, number, content) == draw(ALL, number, content)
    assert key(other, number) == key(ALL, number)


@pytest.mark.parametrize("name", [field.name for field in fields(Views) if field.name not in ("count", "mode")])
def test_every_other_setting_changes_draw_and_key(name):
    other = replace(ALL, **{name: getattr(OTHERWISE, name)}) if name != "shift" else replace(ALL, shift=0.1)
    assert draw(other, 1, CONTENT) != draw(ALL, 1, CONTENT)
    assert key(other, 1) != key(ALL, 1)


def test_whole_numbers_are_the_numbers_they_are():
    assert key(Views(rotation=20, shift=0), 1) == key(Views(rotation=20.0, shift=0.0), 1)


@settings(deadline=None, max_examples=50)
@given(contents, numbers)
def test_what_is_drawn_keeps_to_its_settings(content, number):
    drawn = draw(ALL, number, content)
    for name, most in (("rotation", 20), ("right", 0.2), ("down", 0.2), ("shear", 10), ("zoom", 0.3)):
        assert -most <= getattr(drawn, name) <= most
    assert -0.2 <= drawn.brightness <= 0.2
    assert -0.3 <= drawn.contrast <= 0.3


def test_nothing_varies_where_settings_are_zero():
    still = Views(rotation=0, shift=0, zoom=0, flip="none")
    assert {draw(still, number, CONTENT) for number in range(1, 20)} == {Drawn()}


def test_views_differ_and_so_do_contents():
    drawn = [draw(ALL, n, digest_array(noise(2, 2, seed))) for n, seed in product(range(1, 20), range(20))]
    assert len(set(drawn)) == len(drawn)


def test_draws_are_uniform_and_independent():
    values = np.array([astuple(draw(ALL, n, CONTENT)) for n in range(1, 2001)], float)
    most = np.array([20, 0.2, 0.2, 10, 0.3, 1, 1, 0.2, 0.3])
    for share in ((values / most)[:, i] for i in (0, 1, 2, 3, 4, 7, 8)):
        tenths = np.histogram(share, 10, (-1, 1))[0]
        assert (np.abs(tenths - 200) < 60).all()  # 4.5 standard deviations of 13.4
    assert (np.abs(values[:, 5:7].mean(0) - 0.5) < 0.05).all()
    assert np.abs(np.corrcoef(values.T) - np.eye(9)).max() < 0.1


@pytest.mark.parametrize(("flip", "seen"), [("none", {(0, 0)}), ("horizontal", {(0, 0), (1, 0)})])
def test_a_flip_is_along_the_side_it_is_named_for(flip, seen):
    drawn = [draw(Views(flip=flip), n, CONTENT) for n in range(1, 40)]
    assert {(d.left_right, d.top_bottom) for d in drawn} == seen
    swapped = [draw(Views(flip={"none": "none", "horizontal": "vertical"}[flip]), n, CONTENT) for n in range(1, 40)]
    assert {(d.top_bottom, d.left_right) for d in swapped} == seen


def test_both_flips_are_drawn_each_on_its_own():
    drawn = [draw(Views(flip="both"), n, CONTENT) for n in range(1, 60)]
    assert {(d.left_right, d.top_bottom) for d in drawn} == set(product((False, True), repeat=2))


@pytest.mark.parametrize("resample", ["bilinear", "nearest"])
@pytest.mark.parametrize("fill", FILLS)
def test_moves_by_whole_pixels_are_exact(fill, resample):
    pixels = noise()
    for drawn, expected in (
        (Drawn(), pixels),
        (Drawn(left_right=True), pixels[:, ::-1]),
        (Drawn(top_bottom=True), pixels[::-1]),
        (Drawn(rotation=90), np.rot90(pixels)),
        (Drawn(rotation=-180), np.rot90(pixels, 2)),
        (Drawn(rotation=90, left_right=True), np.rot90(pixels[:, ::-1])),
    ):
        np.testing.assert_array_equal(apply(pixels, drawn, fill, resample), expected)


@pytest.mark.parametrize("resample", ["bilinear", "nearest"])
@settings(deadline=None, max_examples=40)
@given(sizes, st.integers(-40, 40), st.integers(-40, 40), st.sampled_from(list(FILLS)))
def test_a_shift_is_a_slice_of_the_filled_picture(resample, size, right, down, fill):
    height, width = size
    right, down = max(-width, min(right, width)), max(-height, min(down, height))
    filled = np.pad(noise(height, width), ((height, height), (width, width), (0, 0)), FILLS[fill])
    expected = filled[height - down : 2 * height - down, width - right : 2 * width - right]
    drawn = Drawn(right=right / width, down=down / height)
    np.testing.assert_array_equal(apply(noise(height, width), drawn, fill, resample), expected)


def test_a_picture_is_zoomed_about_its_centre():
    pixels = noise()
    twice = apply(pixels, Drawn(zoom=-0.5), "nearest", "nearest")  # half of each side remains visible
    np.testing.assert_array_equal(twice, pixels[6:18, 6:18].repeat(2, 0).repeat(2, 1))


def test_a_shear_slides_rows_about_the_middle_one():
    pixels = np.zeros((41, 41, 3), np.uint8)
    pixels[:, 20] = 255
    leaning = apply(pixels, Drawn(shear=45), "constant")[..., 0]
    np.testing.assert_array_equal(leaning, np.eye(41, dtype=np.uint8) * 255)


def test_a_turn_is_counter_clockwise():
    pixels = np.zeros((101, 101, 3), np.uint8)
    pixels[50, 90] = 255
    y, x = np.argwhere(apply(pixels, Drawn(rotation=30), "constant", "nearest")[..., 0])[0]
    assert (x, y) == (round(50 + 40 * np.cos(np.pi / 6)), round(50 - 40 * np.sin(np.pi / 6)))


def exact(pixels, drawn, fill):
    """Compute the expected view directly: float64 bilinear in a frame wide enough for any map."""
    height, width = pixels.shape[:2]
    frame = 4 * max(height, width) + 4
    wide = np.pad(pixels, ((frame, frame), (frame, frame), (0, 0)), FILLS[fill]).astype(float)
    y, x = np.mgrid[:height, :width] + 0.5
    x, y = affine(drawn, (height, width)) @ (x.ravel(), y.ravel(), np.ones(x.size)) - 0.5 + frame
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, down = (x - left)[:, None], (y - top)[:, None]
    above = wide[top, left] * (1 - right) + wide[top, left + 1] * right
    below = wide[top + 1, left] * (1 - right) + wide[top + 1, left + 1] * right
    return (above * (1 - down) + below * down).reshape(pixels.shape)


@settings(deadline=None, max_examples=100)
@given(drawings, sizes, st.sampled_from(list(FILLS)))
def test_any_map_agrees_with_the_book_in_every_pixel(drawn, size, fill):
    pixels = noise(*size)
    made = apply(pixels, drawn, fill)
    assert (made.dtype, made.shape) == (np.uint8, pixels.shape)
    below = exact(pixels, drawn, fill) - made
    assert below.min() > -1e-3
    assert below.max() < 1 + 1e-3


@settings(deadline=None, max_examples=30)
@given(contents, numbers, sizes, st.sampled_from(list(FILLS)))
def test_a_view_is_the_same_each_time_and_leaves_its_picture_alone(content, number, size, fill):
    pixels = noise(*size)
    before, chosen = pixels.copy(), replace(ALL, fill_mode=fill)
    made = view(pixels, chosen, number, content)
    assert (made.dtype, made.shape, made.flags.writeable) == (np.uint8, pixels.shape, True)
    np.testing.assert_array_equal(made, view(pixels, chosen, number, content))
    np.testing.assert_array_equal(pixels, before)


def test_a_flat_picture_stays_flat_but_for_black_beyond_the_border():
    flat = np.full((30, 50, 3), (10, 120, 250), np.uint8)
    drawn = Drawn(rotation=33, right=0.31, zoom=0.2, shear=7)
    for fill in ("nearest", "reflect"):
        np.testing.assert_array_equal(apply(flat, drawn, fill), flat)
    black = apply(flat, drawn, "constant")
    assert (black[0, 0] == 0).all() and (black[15, 40] == flat[0, 0]).all()


def test_brightness_adds_white_and_contrast_spreads_about_each_channels_mean():
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0], pixels[1] = (100, 10, 250), (140, 30, 252)
    bright = apply(pixels, Drawn(brightness=0.2), "nearest")
    assert bright[:, 0].tolist() == [[151, 61, 255], [191, 81, 255]]
    strong = apply(pixels, Drawn(contrast=0.5), "nearest")
    assert strong[:, 0].tolist() == [[90, 5, 250], [150, 35, 252]]  # 250, 252 become 249.5, 252.5: ties round to even
    grey = apply(pixels, Drawn(contrast=-1, brightness=-0.1), "nearest")
    assert grey[:, 0].tolist() == [[94, 0, 226], [94, 0, 226]]  # 94.5 and 225.5


def test_pixels_that_lie_otherwise_in_memory_are_read_right():
    pixels = noise()
    np.testing.assert_array_equal(view(pixels[:, ::-1], ALL, 1, CONTENT), view(pixels[:, ::-1].copy(), ALL, 1, CONTENT))


def test_real_photos_keep_their_look(real):
    path = min((real / "flowers5" / "tulip").iterdir())
    pixels = np.asarray(Image.open(path).convert("RGB").resize((160, 160)))
    means = [view(pixels, Views(), n, CONTENT).mean() for n in range(1, 9)]
    assert np.ptp([*means, pixels.mean()]) < 25
