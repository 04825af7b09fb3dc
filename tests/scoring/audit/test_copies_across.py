"""After a training, the stored activations show copies in different parts."""

import numpy as np
import pytest
from PIL import Image

import topwork as tw
from tests.conftest import picture
from tests.tiny import NAME, tiny
from topwork.data.dataset import Dataset, Row
from topwork.scoring.audit import copies


@pytest.fixture
def with_crops(tmp_path):
    """Return a folder with parts, of varied pictures; four of the test part are crops of training pictures."""
    draw = np.random.default_rng(0)
    for part, each in (("train", 30), ("val", 6), ("test", 8)):
        for label in ("cat", "dog"):
            (tmp_path / "d" / part / label).mkdir(parents=True)
            for i in range(each):
                colour = tuple(draw.integers(0, 256, 3))
                picture(colour, int(draw.integers(10**6)), 96).save(tmp_path / "d" / part / label / f"{i}.png")
    for i in range(4):
        with Image.open(tmp_path / "d" / "train" / "cat" / f"{i}.png") as image:
            image.crop((1, 1, 95, 95)).save(tmp_path / "d" / "test" / "cat" / f"crop{i}.png")
    return tmp_path / "d"


def test_a_run_names_crops_across_parts(with_crops, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(copies, "FEATURES", 10)
    tw.train(with_crops, phases=[tw.Phase(f"{NAME}@pool")], backbones=[tiny()], out=tmp_path / "run")
    lines = capsys.readouterr().err.splitlines()
    (leak,) = [line for line in lines if line.startswith("The same picture, or nearly, in different parts: ")]
    assert "crop" in leak
    assert "train/cat/" in leak
    assert "All findings: topwork.audit(data)" in lines


@pytest.mark.parametrize(("name", "value"), [("PRODUCTS", 1000), ("NUMBERS", 1000), ("SAMPLE", 2)])
def test_what_would_take_long_is_left_to_the_audit(with_crops, tmp_path, monkeypatch, capsys, name, value):
    monkeypatch.setattr(copies, "FEATURES", 10)
    monkeypatch.setattr(copies, name, value)
    tw.train(with_crops, phases=[tw.Phase(f"{NAME}@pool")], backbones=[tiny()], out=tmp_path / "run")
    assert "in different parts" not in capsys.readouterr().err


def test_of_one_picture_nothing_is_claimed():
    assert copies.copies_across(Dataset("/d", (Row("a.png", "00", "a"),)), None) == []
