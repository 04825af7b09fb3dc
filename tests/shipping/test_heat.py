"""Heat maps of exported files: exact where the file has a map, by occlusion elsewhere."""

import json

import numpy as np
import pytest
from PIL import Image

import topwork as tw
from tests.colours import ABOUT, COLOURS, LABELS, TWO, export, picture
from tests.command import topwork
from tests.tiny import tiny
from topwork.data.pictures import decode
from topwork.errors import UsageError
from topwork.scoring.plots.heat import GRID
from topwork.shipping.predictor import Predictor


@pytest.fixture(scope="module")
def file(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("heat")
    run = tw.train(pictures, phases=[tw.Phase("tiny@pool")], backbones=[tiny()], out=folder / "run", progress=False)
    run.export(folder / "model.onnx", progress=False)
    return folder / "model.onnx"


def test_an_activation_map_adds_up_to_the_logit(file, pictures):
    predictor = Predictor(file)
    paths = sorted(pictures.rglob("*.png"))[:3]
    fit = predictor.inputs[0].fit
    probabilities = predictor.probabilities(np.stack([decode(path, fit) for path in paths]))
    logits = np.log(probabilities)
    for label in predictor.labels:
        number = predictor.labels.index(label)
        for heat, said in zip(predictor.heat(paths, label), logits, strict=True):
            assert (heat.label, heat.method, heat.picture) == (label, "class activation map", None)
            assert heat.values.mean() == pytest.approx(said[number] - said.mean(), abs=1e-3)
            assert heat.image().size == (448, 448)


def half(colour, other, path):
    """Save a picture whose left half has one colour and whose right half has another."""
    pixels = np.full((80, 80, 3), COLOURS[colour], np.uint8)
    pixels[:, 40:] = COLOURS[other]
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("label", ["red", "blue"])
def test_occlusion_shows_the_part_that_speaks_for_a_class(tmp_path, label):
    predictor = Predictor(export(tmp_path / "m.onnx", ABOUT))
    (heat,) = predictor.heat([half("red", "blue", tmp_path / "a.png")], label)
    assert (heat.method, heat.values.shape) == ("occlusion", (GRID, GRID))
    left, right = heat.values[:, : GRID // 2].mean(), heat.values[:, GRID // 2 + 1 :].mean()
    assert (left > 0 > right) if label == "red" else (right > 0 > left)


def test_a_row_of_several_pictures_has_a_map_for_each(tmp_path):
    predictor = Predictor(export(tmp_path / "m.onnx", TWO))
    row = {"front": half("red", "blue", tmp_path / "a.png"), "side": half("blue", "red", tmp_path / "b.png")}
    front, side = predictor.heat([row], "red")
    assert (front.picture, side.picture) == ("front", "side")
    assert front.values[:, 0].mean() > 0 > front.values[:, -1].mean()
    assert side.values[:, 0].mean() < 0 < side.values[:, -1].mean()


def test_a_squashed_picture_gets_its_shape_back(file, tmp_path):
    Image.new("RGB", (200, 50), "red").save(tmp_path / "wide.png")
    (heat,) = Predictor(file).heat([tmp_path / "wide.png"])
    assert heat.image().size == (448, 112)


def test_a_picture_that_cannot_be_read_has_the_reason(file):
    (heat,) = Predictor(file).heat([b"no picture"])
    assert heat.error
    assert heat.values.size == 0


def test_a_class_that_does_not_exist_is_refused(file):
    with pytest.raises(UsageError, match="there is no class 'rose': expected one of 'blue'"):
        list(Predictor(file).heat([], "rose"))


def test_the_command_saves_a_map_for_each_picture(file, pictures, tmp_path):
    again = tmp_path / "again" / "000.png"
    again.parent.mkdir()
    again.write_bytes((pictures / "red" / "000.png").read_bytes())
    bad = picture(tmp_path / "bad.png", LABELS[0])
    (tmp_path / "bad.png").write_bytes(b"")
    words = [pictures / "red" / "000.png", bad, again, "--heat", tmp_path / "maps", "--json"]
    ran = topwork("predict", file, *words)
    entries = [json.loads(line) for line in ran.out.splitlines()]
    assert [one.get("heat") for one in entries] == [
        [f"{tmp_path}/maps/000.png"], None, [f"{tmp_path}/maps/000-2.png"],
    ]  # fmt: skip
    assert ran.err.splitlines()[-1] == f"2 heat maps by class activation map in '{tmp_path}/maps'."
    refused = topwork("predict", file, again, "--heat", tmp_path / "maps")
    assert refused.status == 2
    assert "exists already: give the name of a new folder" in refused.err
