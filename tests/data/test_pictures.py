import hashlib
import io
import math
import os
import re
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from topwork.data import pictures
from topwork.data.picture_files import digest, digest_array
from topwork.data.pictures import FITS, RESAMPLES, Fit, decode, fit_array, load, thumbnail
from topwork.errors import PictureError, RecipeError

REAL = os.environ.get("TOPWORK_REAL")
real = pytest.mark.skipif(not REAL, reason="TOPWORK_REAL is not set: the real pictures are not at hand")
ORIENTATION = 274
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""For each EXIF orientation, the turn that makes the stored picture from the upright one."""


def saved(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(height=40, width=56, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def quarters(height=40, width=60):
    """Return a picture with red, green, blue and black quarters: it looks different in each orientation."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for channel, rows, columns in ((0, slice(0, 20), slice(0, 30)), (1, slice(0, 20), slice(30, 60))):
        pixels[rows, columns, channel] = 255
    pixels[20:, :30, 2] = 255
    return Image.fromarray(pixels)


def turned(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif.tobytes()


def png(width, height, data=b""):
    """Return a PNG file whose header gives any size; *data* is the compressed pixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def reason(source, reader=lambda source: decode(source, Fit((8, 8)))):
    """Return the reason with which *reader* refuses a picture."""
    with pytest.raises(PictureError) as error:
        reader(source)
    return str(error.value)


def color(source):
    """Return the colour of a picture that has only one."""
    pixels = decode(source, Fit((2, 3)))
    assert np.ptp(pixels, axis=(0, 1)).max() <= 2
    return pixels[0, 0].tolist()


def test_the_id_names_rule_size_fit_and_filter():
    assert Fit((224, 192)).id == "pillow-1/224x192/squash/bilinear"
    assert Fit((8, 8), "pad", "nearest").id == "pillow-1/8x8/pad/nearest"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (((0, 8),), "size = (0, 8): expected (height, width) in pixels, each a whole number above 0."),
        (((8, 8, 3),), "size = (8, 8, 3): expected (height, width) in pixels, each a whole number above 0."),
        (((8, 8), "padd"), "fit = 'padd': expected 'squash' or 'crop' or 'pad'; did you mean 'pad'?"),
        (
            ((8, 8), "pad", "bicubic"),
            "resample = 'bicubic': expected 'bilinear' or 'nearest'.",
        ),
    ],
)
def test_a_fit_refuses_values_that_are_none(values, message):
    with pytest.raises(RecipeError) as error:
        Fit(*values)
    assert str(error.value) == message


def test_squash_is_pillows_antialiased_resize():
    image = noise()
    expected = np.asarray(image.resize((24, 16), Image.Resampling.BILINEAR))
    assert np.array_equal(decode(saved(image), Fit((16, 24))), expected)
    assert (
        decode(saved(image), Fit((16, 24))).std() < 60 < decode(saved(image), Fit((16, 24), "squash", "nearest")).std()
    )


def test_nearest_repeats_pixels():
    digit = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    expected = digit.repeat(3, 0).repeat(3, 1)
    np.testing.assert_array_equal(fit_array(digit, Fit((84, 84), resample="nearest")), np.dstack([expected] * 3))


def test_crop_takes_the_largest_middle_of_the_right_proportions():
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = (1, 2, 3)
    assert np.array_equal(decode(saved(Image.fromarray(pixels)), Fit((20, 20), "crop")), pixels[:, 20:40])
    assert np.array_equal(
        decode(saved(Image.fromarray(pixels.transpose(1, 0, 2))), Fit((20, 20), "crop")),
        np.full((20, 20, 3), (1, 2, 3)),
    )


def test_pad_keeps_the_whole_and_centres_it_on_black():
    white = Image.new("RGB", (40, 20), "white")
    pixels = decode(saved(white), Fit((10, 10), "pad"))
    assert (pixels[:2] == 0).all()
    assert (pixels[2:7] == 255).all()
    assert (pixels[7:] == 0).all()
    on_end = decode(saved(white.transpose(Image.Transpose.ROTATE_90)), Fit((10, 10), "pad"))
    assert np.array_equal(on_end, pixels.transpose(1, 0, 2))
    assert (decode(saved(Image.new("RGB", (500, 1), "white")), Fit((9, 9), "pad"))[4] == 255).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "MPO"])
@pytest.mark.parametrize("orientation", [1, *STORED])
def test_a_picture_is_turned_upright(kind, orientation):
    stored = quarters().transpose(STORED[orientation]) if orientation in STORED else quarters()
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}, "MPO": {"save_all": True}}.get(kind, {})
    pixels = decode(saved(stored, kind, exif=turned(orientation), **options), Fit((4, 6), "squash", "nearest"))
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]].astype(int)
    assert np.abs(corners - [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]]).max() < 20


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\0\x09\x01\x12"])
def test_damaged_exif_leaves_the_picture_as_it_is(kind, exif):
    sound, broken = saved(noise(), kind), saved(noise(), kind, exif=exif)
    assert np.array_equal(decode(broken, Fit((8, 8))), decode(sound, Fit((8, 8))))


def test_grey_of_16_bits_is_divided_by_257_and_rounded():
    values = np.array([[0, 128, 129, 257, 65535, 65406, 32768, 1000]], np.uint16)
    expected = np.round(values / 257).astype(np.uint8)
    for kind in ("PNG", "TIFF"):
        pixels = decode(saved(Image.fromarray(values), kind), Fit((1, 8), "squash", "nearest"))
        assert np.array_equal(pixels, np.repeat(expected[..., None], 3, axis=-1))


def test_whole_numbers_of_32_bits_count_as_16_where_they_fit():
    assert color(saved(Image.new("I", (4, 4), 257 * 9), "TIFF")) == [9, 9, 9]
    message = "grey values from 65536 to 65536, expected 0 to 65535; save it with 8 or 16 bits"
    assert reason(saved(Image.new("I", (4, 4), 65536), "TIFF")) == message


def test_grey_in_floating_point_is_refused():
    message = "grey in floating point, where the value of white is unknown; save it with 8 or 16 bits"
    assert reason(saved(Image.new("F", (4, 4), 0.5), "TIFF")) == message


@pytest.mark.parametrize(
    "data",
    [
        saved(Image.new("RGBA", (4, 4), (9, 9, 9, 0))),
        saved(Image.new("RGBA", (4, 4), (9, 9, 9, 0)), "WEBP", lossless=True),
        saved(Image.new("RGBA", (4, 4), (9, 9, 9, 0)), "TIFF"),
        saved(Image.new("LA", (4, 4), (9, 0))),
        saved(Image.new("RGB", (4, 4), "red").quantize(4), transparency=0),
        saved(Image.new("P", (4, 4), 5), "GIF", transparency=5),
        saved(Image.new("L", (4, 4), 5), transparency=5),
        saved(Image.new("1", (4, 4), 0), transparency=0),
        saved(Image.new("RGB", (4, 4), (1, 2, 3)), transparency=(1, 2, 3)),
        saved(Image.fromarray(np.full((4, 4), 700, np.uint16)), transparency=700),
    ],
)
def test_what_is_transparent_becomes_white(data):
    assert color(data) == [255, 255, 255]


def test_half_transparent_is_half_white():
    assert color(saved(Image.new("RGBA", (4, 4), (0, 100, 255, 51)))) == [204, 224, 255]


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"),
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF"),
        (Image.new("LAB", (8, 8), (138, 208, 195)), "TIFF"),
        (Image.new("RGB", (8, 8), (255, 0, 0)).quantize(2), "BMP"),
    ],
)
def test_other_colours_become_rgb(image, kind):
    assert np.abs(np.array(color(saved(image, kind))) - [255, 0, 0]).max() < 12


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_of_an_animation_the_first_frame_counts(kind):
    first, second = Image.new("RGB", (16, 16), (200, 0, 0)), Image.new("RGB", (16, 16), (0, 0, 200))
    data = saved(first, kind, save_all=True, append_images=[second])
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert np.abs(np.array(color(data)) - [200, 0, 0]).max() < 8


sides = st.integers(1, 60)


@given(
    width=st.integers(1, 900),
    height=st.integers(1, 900),
    fit=st.builds(Fit, st.tuples(sides, sides), st.sampled_from(FITS)),
    orientation=st.integers(1, 8),
)
@settings(max_examples=60, deadline=None)
def test_a_jpeg_is_never_decoded_below_twice_the_size(width, height, fit, orientation):
    assume(width * height > 1)  # a single pixel is refused
    data = saved(Image.new("L", (width, height)), "JPEG", exif=turned(orientation))
    drafted, whole = pictures._decoded(data, fit, lambda upright, size: (upright.size, size), math.inf)
    scaled = pictures._scaled(whole, fit)
    assert all(d >= min(w, 2 * s) for d, w, s in zip(drafted, whole, scaled))
    assert drafted == whole or min(w / s for w, s in zip(whole, scaled)) >= 4


def test_a_large_jpeg_is_decoded_small_and_looks_the_same():
    image = noise(20, 30).resize((1200, 800), Image.Resampling.BICUBIC)
    data = saved(image, "JPEG", quality=95)
    assert pictures._decoded(data, Fit((40, 60)), lambda upright, _: upright.size) == (150, 100)
    whole = np.asarray(image.resize((60, 40), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(decode(data, Fit((40, 60))) - whole).mean() < 3


def broken_reasons():
    jpeg, whole = saved(noise(), "JPEG"), saved(noise())
    return [
        (b"", "the file is empty"),
        (b"hello, world", "not a picture: no JPEG, PNG, WebP, BMP, GIF or TIFF"),
        (b"%PDF-1.7 " * 9, "not a picture: no JPEG, PNG, WebP, BMP, GIF or TIFF"),
        (
            b"\0\0\0\x18ftypheic" + bytes(40),
            "HEIC cannot be read; convert it to JPEG, for instance with ImageMagick: magick IN OUT.jpg",
        ),
        (
            b"\0\0\0\x18ftypavif" + bytes(40),
            "AVIF cannot be read; convert it to JPEG, for instance with ImageMagick: magick IN OUT.jpg",
        ),
        (jpeg[: len(jpeg) // 2], "a JPEG file that is cut short"),
        (whole[: len(whole) // 2], "a PNG file that is cut short"),
        (jpeg[:3], "a damaged JPEG file"),
        (whole[:100] + bytes(99) + whole[199:], "a damaged PNG file (broken data stream when reading image file)"),
        (png(0, 7), "a side of 0 pixels"),
        (b"GIF89a\0\0\x05\0" + bytes(20), "a side of 0 pixels"),
        (saved(Image.new("RGB", (1, 1))), "a single pixel"),
        (
            png(20000, 20000),
            "400 megapixels, above the limit of 179; to read it anyway, set max_megapixels (option "
            "--max-megapixels) to 400",
        ),
    ]


@pytest.mark.parametrize(("data", "expected"), broken_reasons())
def test_a_broken_picture_is_refused_in_plain_words(data, expected, tmp_path):
    assert reason(data) == expected
    (tmp_path / "a.jpg").write_bytes(data)
    assert reason(tmp_path / "a.jpg") == expected


def test_a_file_that_cannot_be_opened_says_so(tmp_path):
    assert reason(tmp_path / "none.jpg") == "cannot be opened: no such file or directory"
    assert reason(tmp_path) == "cannot be opened: is a directory"
    assert reason(tmp_path / "none.jpg", digest) == "cannot be opened: no such file or directory"


def encoded():
    """Yield small pictures as files, in every format and mode that topwork reads."""
    rgb = noise()
    grey, palette, alpha, bits = rgb.convert("L"), rgb.quantize(16), rgb.convert("RGBA"), rgb.convert("1")
    deep = Image.fromarray(np.random.default_rng(0).integers(0, 65536, (40, 56), dtype=np.uint16))
    yield from (
        saved(rgb, "JPEG", exif=turned(6)),
        saved(rgb.convert("CMYK"), "JPEG"),
        saved(grey, "JPEG", progressive=True),
    )
    yield saved(rgb, "MPO", save_all=True, append_images=[rgb], exif=turned(8))
    yield from (saved(rgb, exif=turned(5)), saved(palette, transparency=3), saved(alpha), saved(deep), saved(bits))
    yield saved(rgb, save_all=True, append_images=[rgb.rotate(9)])
    yield saved(palette, "GIF", save_all=True, append_images=[palette.rotate(90)], transparency=2)
    yield from (saved(image, "BMP") for image in (rgb, palette, alpha, bits))
    yield from (saved(rgb, "TIFF", compression=how) for how in (None, "tiff_lzw", "jpeg", "tiff_adobe_deflate"))
    yield from (saved(image, "TIFF") for image in (palette, alpha, deep, rgb.convert("CMYK"), rgb.convert("LAB")))
    yield saved(bits, "TIFF", compression="group4")
    yield from (saved(rgb, "WEBP"), saved(alpha, "WEBP", lossless=True))


FILES = list(encoded())


@st.composite
def mutated(draw):
    data = bytearray(draw(st.sampled_from(FILES)))
    for _ in range(draw(st.integers(1, 5))):
        place = draw(st.integers(0, min(len(data), draw(st.sampled_from([64, 400, 10**6])))))
        how = draw(st.sampled_from(["set", "insert", "remove", "cut"]))
        if how == "set":
            data[place : place + 1] = bytes([draw(st.integers(0, 255))])
        elif how == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=8))
        elif how == "remove":
            del data[place : place + draw(st.integers(1, 9))]
        else:
            del data[place:]
    return bytes(data)


@given(data=st.one_of(mutated(), st.binary(max_size=64)), fit=st.sampled_from(FITS))
@settings(max_examples=400, deadline=None)
def test_hostile_bytes_give_pixels_or_a_picture_error_and_no_warning(data, fit):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            pixels = decode(data, Fit((6, 9), fit))
        except PictureError as error:
            told = str(error)
            assert told
            assert "object at" not in told
            return
    assert (pixels.shape, pixels.dtype) == ((6, 9, 3), np.uint8)


def test_a_large_picture_does_not_warn_and_pillows_settings_stay():
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", message="the user's own")
        mine = warnings.filters[0]
        assert reason(png(10000, 10000, zlib.compress(b""))) == "a PNG file that is cut short"
        assert mine in warnings.filters
    assert caught == []
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == before == (89478485, False)


def test_many_threads_get_what_one_gets():
    fits = [Fit((16, 24), fit, resample) for fit in FITS for resample in RESAMPLES]
    work = [(data, fit) for data in FILES for fit in fits]
    alone = [decode(*task) for task in work]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda task: decode(*task), work))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together))
    assert len({pixels.tobytes() for pixels in alone}) > 50


def test_a_thumbnail_is_whole_upright_and_never_enlarged():
    wide = io.BytesIO()
    image = Image.new("RGB", (400, 100), "red")
    image.paste((0, 0, 255), (0, 0, 200, 100))
    exif = image.getexif()
    exif[0x0112] = 6  # a quarter turn to the right
    image.save(wide, "JPEG", exif=exif, quality=95)
    small = thumbnail(wide.getvalue(), 80)
    assert small.shape == (80, 20, 3)
    assert small[5, 10].argmax() == 2 and small[75, 10].argmax() == 0
    assert thumbnail(wide.getvalue(), 1000).shape == (400, 100, 3)


@given(
    shape=st.tuples(st.integers(2, 30), st.integers(1, 30), st.sampled_from([None, 1, 3, 4])),
    fit=st.builds(Fit, st.tuples(sides, sides), st.sampled_from(FITS), st.sampled_from(sorted(RESAMPLES))),
    seed=st.integers(0, 9),
)
@example(shape=(7, 1, None), fit=Fit((25, 1), "crop"), seed=0)
@settings(max_examples=150, deadline=None)
def test_arrays_are_fitted_as_files_are(shape, fit, seed):
    array = np.random.default_rng(seed).integers(0, 256, shape if shape[2] else shape[:2], dtype=np.uint8)
    file = saved(Image.fromarray(array[..., 0] if shape[2] == 1 else array))
    assert np.array_equal(fit_array(array, fit), decode(file, fit))


def test_arrays_of_another_kind_are_refused():
    expected = "expected uint8 [h, w], or [h, w, channels] with 1, 3 or 4 channels"
    for array, given_as in ((np.zeros((4, 4)), "float64 [4, 4]"), (np.zeros((3, 4, 5), np.uint8), "uint8 [3, 4, 5]")):
        assert reason(array, lambda array: fit_array(array, Fit((2, 2)))) == f"{given_as}: {expected}"
    assert reason(np.zeros((0, 4), np.uint8), lambda array: fit_array(array, Fit((2, 2)))) == "a side of 0 pixels"


def test_a_digest_is_the_sha256_of_the_bytes(tmp_path):
    data = saved(noise())
    (tmp_path / "ä b.png").write_bytes(data)
    assert digest(tmp_path / "ä b.png") == digest(str(tmp_path / "ä b.png")) == digest(data)
    assert digest(data) == hashlib.sha256(data).hexdigest()
    assert reason(b"", digest) == "the file is empty"


def test_a_digest_of_an_array_tells_bytes_shape_and_dtype():
    array = np.arange(12, dtype=np.uint8)
    others = [array, array.reshape(3, 4), array.reshape(4, 3), array.astype(np.int8), array[::-1]]
    assert len({digest_array(other) for other in others}) == 5
    assert digest_array(array.reshape(3, 4)) == digest_array(np.asfortranarray(array.reshape(3, 4)))


ODD = {
    "broken_data_stream.png": "a damaged PNG file (*)",
    "tRNS_null_1x1.png": "a single pixel",
    "truncated_image.png": "a PNG file that is cut short",
    "truncated_jpeg.jpg": "a JPEG file that is cut short",
    "unknown_compression_method.png": "a damaged PNG file",
    "zero_byte.jpg": "the file is empty",
    "zero_width.gif": "a side of 0 pixels",
}
"""The odd pictures that cannot be read; ``(*)`` stands for Pillow's own words, which change with its version."""


@real
def test_each_odd_picture_is_read_or_refused_as_it_should_be():
    files = sorted(Path(REAL, "odd").iterdir())
    found = {}
    for file in files:
        try:
            assert decode(file, Fit((32, 32))).shape == (32, 32, 3)
        except PictureError as error:
            found[file.name] = re.sub(r"\(.*\)", "(*)", str(error))
    assert len(files) == 40
    assert found == ODD


@real
def test_one_photo_in_all_orientations_and_formats_looks_the_same():
    folder = Path(REAL, "odd")
    expected = decode(folder / "hopper.png", Fit((64, 64))).astype(int)
    turns = [f"hopper_orientation_{turn}.jpg" for turn in (2, 3, 5, 6, 7, 8)]
    for name in (*turns, "hopper.bmp", "hopper.webp", "hopper.Lab.tif", "png_named.jpg"):
        assert np.abs(decode(folder / name, Fit((64, 64))) - expected).mean() < 5, name
    assert np.abs(expected - expected[:, ::-1]).mean() > 30


@real
@pytest.mark.parametrize(
    ("name", "row", "column", "expected"),
    [
        ("l_trns.png", 16, 16, (255, 255, 255)),
        ("i_trns.png", 16, 16, (255, 255, 255)),
        ("1_trns.png", 16, 16, (255, 255, 255)),
        ("transparent.png", 0, 0, (255, 255, 255)),
        ("transparent.webp", 0, 0, (255, 255, 255)),
        ("apng_mode_16bit.png", 16, 16, (255, 0, 0)),
        ("orientation_rectangle.jpg", 16, 16, (254, 0, 0)),
        ("broken_exif_dpi.jpg", 16, 16, (0, 128, 1)),
    ],
)
def test_odd_pictures_have_the_colours_that_they_should(name, row, column, expected):
    assert np.abs(decode(Path(REAL, "odd", name), Fit((32, 32)))[row, column].astype(int) - expected).max() <= 2


@real
def test_photos_decoded_small_look_like_photos_decoded_whole():
    files = [sorted(folder.iterdir())[0] for folder in sorted(Path(REAL, "flowers5").iterdir())]
    for file in files:
        with Image.open(file) as image:
            whole = np.asarray(image.convert("RGB").resize((40, 40), Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(decode(file, Fit((40, 40))) - whole).mean() < 2.5


def test_a_picture_is_loaded_alike_however_it_is_given(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    file = tmp_path / "x.png"
    Image.fromarray(array).save(file)
    fit = Fit((4, 4), "crop")
    for source in (array, file, str(file), file.read_bytes()):
        assert np.array_equal(load(source, fit), fit_array(array, fit))
    with pytest.raises(PictureError, match="megapixels"):
        load(file, fit, 1e-6)
