"""How pictures look: the values, the format, and that each picture is measured once."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from tests.conftest import picture
from topwork.data import pictures
from topwork.data.quality import appearance

SHOWN = picture((90, 120, 60), 0, 96)


def seen(image, path, **options):
    image.save(path, **options)
    return appearance.known({path.name: path})[path.name]


def test_a_plain_picture_has_the_values_of_its_colour(own_home, tmp_path):
    found = seen(Image.new("RGB", (60, 40), (90, 90, 90)), tmp_path / "grey.png")
    assert (found.width, found.height, found.format) == (60, 40, "PNG")
    assert (found.brightness, found.shadows, found.highlights) == (90, 90, 90)
    assert found.sharpness == 0
    assert found.colour < 1


def test_shadows_and_highlights_are_those_of_the_darkest_and_brightest_pixels(own_home, tmp_path):
    pixels = np.repeat(np.arange(100, dtype=np.uint8)[:, None], 100, 1)
    found = seen(Image.fromarray(pixels), tmp_path / "ramp.png")
    assert found.shadows == pytest.approx(5, abs=1)
    assert found.highlights == pytest.approx(94, abs=1)
    assert found.brightness == pytest.approx(49.5, abs=0.5)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda shown: ImageEnhance.Brightness(shown).enhance(0.3), "brightness"),
        (lambda shown: ImageEnhance.Brightness(shown).enhance(0.3), "highlights"),
        (lambda shown: shown.filter(ImageFilter.GaussianBlur(3)), "sharpness"),
        (lambda shown: shown.convert("L"), "colour"),
    ],
)
def test_a_change_of_the_picture_lowers_its_value(own_home, tmp_path, change, name):
    before, after = seen(SHOWN, tmp_path / "a.png"), seen(change(SHOWN), tmp_path / "b.png")
    assert getattr(after, name) < 0.7 * getattr(before, name)


def test_the_format_is_that_of_the_content_and_the_size_that_of_the_upright_picture(own_home, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    found = seen(SHOWN.crop((0, 0, 96, 60)), tmp_path / "turned.png", format="JPEG", exif=exif)
    assert (found.format, found.width, found.height) == ("JPEG", 60, 96)


def test_arrays_have_the_values_of_files(own_home, tmp_path):
    file = seen(SHOWN, tmp_path / "a.png")
    (array,) = appearance.known({"00": np.array(SHOWN)}).values()
    assert array.format == ""
    assert (array.brightness, array.sharpness, array.width) == (file.brightness, file.sharpness, file.width)


def test_each_picture_is_measured_once_and_broken_ones_are_omitted(own_home, tmp_path, monkeypatch):
    SHOWN.save(tmp_path / "a.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    sources = {name: tmp_path / name for name in ("a.png", "broken.png", "gone.png")} | {"nowhere": None}
    first = appearance.known(sources)
    assert first.keys() == {"a.png"}
    monkeypatch.setattr(pictures, "overview", lambda *_: pytest.fail("measured again"))
    assert appearance.known({"a.png": None}) == first


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (3, 500)])
def test_pictures_of_few_pixels_have_finite_values(own_home, tmp_path, size):
    found = seen(Image.new("RGB", size, (10, 200, 30)), tmp_path / "a.png")
    assert np.isfinite([found.brightness, found.sharpness, found.colour]).all()
