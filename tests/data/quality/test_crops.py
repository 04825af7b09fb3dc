"""Parts of a picture are recognised by their pixels, other pictures are not."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.conftest import picture
from topwork.data.quality import facts
from topwork.data.quality.crops import correlation, is_crop

SHOWN = picture((90, 120, 60), 3, 192)


def miniature(image):
    file = BytesIO()
    image.save(file, "JPEG", quality=80)
    file.seek(0)
    (found,) = facts.miniatures({str(id(image)) + str(image.size): np.asarray(Image.open(file))}).values()
    return found


@pytest.mark.parametrize("box", [(0, 0, 172, 172), (20, 10, 192, 182), (40, 40, 170, 170), (10, 30, 190, 180)])
@pytest.mark.parametrize("change", [lambda image: image, ImageOps.mirror, lambda image: image.resize((100, 80))])
def test_a_part_of_a_picture_is_recognised(own_home, box, change):
    assert is_crop(miniature(change(SHOWN.crop(box))), miniature(SHOWN))
    assert is_crop(miniature(SHOWN), miniature(change(SHOWN.crop(box))))


@pytest.mark.parametrize("seed", range(4, 10))
def test_another_picture_is_not(own_home, seed):
    assert not is_crop(miniature(picture((90, 120, 60), seed, 192)), miniature(SHOWN))


def test_plain_pictures_correlate_with_nothing(own_home):
    plain = miniature(Image.new("RGB", (192, 192), (90, 90, 90)))
    assert not is_crop(plain, miniature(SHOWN))


def test_the_correlation_is_that_of_a_plain_computation():
    draw = np.random.default_rng(0)
    one, other = draw.integers(0, 255, (2, 64, 64)).astype(np.float32)
    whole = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert correlation(one, other) >= whole - 1e-4
    assert correlation(one, one) == pytest.approx(1, abs=1e-4)
