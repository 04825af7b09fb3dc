"""The page on the exported file: its programs give the answers that topwork gives."""

import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import topwork as tw
from tests import PROJECT
from tests.tiny import tiny
from topwork.data.pictures import Fit, decode

PAGE = (PROJECT / "docs" / "file.md").read_text(encoding="utf-8")
SIDE = 32


def program(language):
    """Return the last program of the page in a language: the one without topwork."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[-1]


@pytest.fixture(scope="module")
def file(pictures, tmp_path_factory):
    run = tw.train(
        pictures,
        phases=[tw.Phase("tiny@pool", epochs=5)],
        backbones=[tiny()],
        out=tmp_path_factory.mktemp("runs") / "run",
    )
    file = tmp_path_factory.mktemp("files") / "flowers.onnx"
    run.export(file)
    return file


@pytest.fixture
def here(file, tmp_path, monkeypatch):
    """Return a predictor, whose file is in the working folder."""
    monkeypatch.chdir(tmp_path)
    return tw.Predictor(shutil.copy(file, tmp_path / "flowers.onnx"))


def drawn(side):
    """Return a picture whose every pixel differs from its neighbours."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, 2 * side, 4), np.uint8), "RGBA")


def save_turned(path):
    turned = Image.Exif()
    turned[0x0112] = 6
    drawn(400).convert("RGB").resize((900, 300)).save(path, exif=turned)


@pytest.mark.parametrize(
    "save",
    [
        save_turned,
        lambda path: drawn(400).save(path, "PNG"),
        lambda path: drawn(20).convert("L").save(path, "PNG"),
    ],
    ids=["a turned jpeg", "transparent", "grey and small"],
)
def test_the_python_program_answers_as_topwork_does(here, save, capsys):
    save("rose.jpg")
    (expected,) = here(["rose.jpg"])
    runpy.run_path(str(_written("program.py", program("python"))))
    label, probability = capsys.readouterr().out.split()
    assert label == expected.label
    assert float(probability) == pytest.approx(expected.probability, abs=1e-6)


def test_the_python_program_with_topwork_runs(here, capsys):
    with_topwork, _ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = ["rose.jpg", "tulip.jpg"]
    for name in names:
        drawn(40).convert("RGB").save(name)
    runpy.run_path(str(_written("program.py", with_topwork)))
    found = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert found == [[guess.path, guess.label] for guess in here(names)]


def _written(name, text):
    Path(name).write_text(text, encoding="utf-8")
    return Path(name)


@pytest.mark.full
def test_the_javascript_program_answers_as_topwork_does(here, tmp_path):
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        pytest.skip("needs Node")
    got = subprocess.run([npm, "install", "--no-audit", "--no-fund", "onnxruntime-web"], capture_output=True, text=True)
    if got.returncode:
        pytest.skip(f"npm cannot install onnxruntime-web: {got.stderr[-200:]}")
    drawn(100).save("rose.png")
    pixels = decode("rose.png", Fit((SIDE, SIDE)))
    (tmp_path / "pixels.rgb").write_bytes(pixels.tobytes())
    source = program("js").replace("[224, 224]", f"[{SIDE}, {SIDE}]")
    done = subprocess.run([node, _written("program.mjs", source)], capture_output=True, text=True, check=True)
    np.testing.assert_allclose(json.loads(done.stdout), here.probabilities(pixels[np.newaxis])[0], atol=1e-5)


def test_the_axis_of_the_batch_has_its_name(here):
    model = onnx.load("flowers.onnx")
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    onnx.checker.check_model(model, full_check=True)
