import hashlib

import numpy as np
import pytest
from PIL import Image

from topwork.data.readers import read
from topwork.data.sample import digits
from topwork.errors import DatasetError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return digits(tmp_path_factory.mktemp("sample") / "deep" / "digits")


def fingerprint(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_digits_are_a_dataset_of_ten_classes(folder):
    data = read(folder)
    assert len(data.rows) == 1797
    assert data.classes == tuple("0123456789")
    assert (data.left_out, data.notes) == ((), ())
    assert min(sum(parts.values()) for parts in data.counts().values()) == 174


def test_the_pictures_are_scikit_learns(folder):
    from sklearn.datasets import load_digits

    expected = np.round(load_digits().images[7] * 255 / 16)
    image = Image.open(folder / "7" / "0007.png")
    assert (image.mode, image.size) == ("L", (64, 64))
    assert np.array_equal(np.asarray(image)[::8, ::8], expected)
    assert np.array_equal(np.asarray(image)[7::8, 7::8], np.asarray(image)[::8, ::8])
    assert (np.asarray(image).min(), np.asarray(image).max()) == (0, 255)


def test_written_again_every_byte_is_the_same(folder, tmp_path):
    assert fingerprint(digits(tmp_path)) == fingerprint(folder)


def test_what_is_there_is_never_overwritten(folder, tmp_path):
    before = fingerprint(folder)
    (tmp_path / "file").write_text("mine")
    for taken in (folder, tmp_path / "file"):
        with pytest.raises(DatasetError) as error:
            digits(taken)
        assert str(error.value) == f"{str(taken)!r} exists and is not an empty folder: choose another, or remove it."
    assert fingerprint(folder) == before
