"""``topwork check``: a file answers as it did when it was written, on any machine, or it is said what changed."""

import json

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import topwork as tw
from tests.command import topwork
from tests.conftest import make_folder
from tests.tiny import tiny
from topwork.data.pictures import Fit
from topwork.errors import ExportError
from topwork.shipping.checking import self_check
from topwork.shipping.formats import onnx as onnx_format
from topwork.shipping.metadata import Input, seal
from topwork.system.text import as_json


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("check") / "run"
    return tw.train(pictures, phases=[tw.Phase("tiny@pool", epochs=5)], backbones=[tiny()], out=out, progress=False)


@pytest.fixture
def file(run, tmp_path):
    run.export(tmp_path / "colours.onnx", progress=False)
    return tmp_path / "colours.onnx"


def changed(file, **changes):
    """Change the metadata of a file, with a seal that fits."""
    about = json.loads(onnx.load(file).metadata_props[0].value) | changes
    about.pop("seal")
    onnx_format.describe(file, as_json(about | {"seal": seal(about)}))


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40))
def test_drawn_pictures_depend_on_the_seed_alone_and_are_smooth(seed, height, width):
    inputs = [Input("pixels", None, Fit((height, width)))]
    (first,), (again,) = self_check.drawn(inputs, seed), self_check.drawn(inputs, seed)
    assert first.shape == (16, height, width, 3)
    assert (first == again).all()
    assert (first != self_check.drawn(inputs, seed + 1)[0]).any()
    if width >= 6 * 5:
        steps = np.abs(np.diff(first.astype(int), axis=2))
        assert steps.max() <= 256 * 5 / (width - 1) + 1


def test_the_pictures_of_rule_1_never_change():
    """A file is checked on other machines and in years, so rule 1 is fixed to the byte."""
    (found,) = self_check.drawn([Input("pixels", None, Fit((32, 48)))], 0)
    assert found[3, 7, ::12, 0].tolist() == EXPECTED


EXPECTED = [79, 128, 144, 221]


def test_a_file_that_was_not_changed_passes(file):
    ran = topwork("check", file)
    assert ran.status == 0, ran.out + ran.err
    assert ran.out.splitlines()[0].startswith(f"{file}: onnx, float32, read by onnxruntime ")
    found = topwork("check", file, "--json").json
    assert found["problem"] == ""
    assert found["largest_difference"] < 1e-6


def test_other_weights_are_found_and_the_version_is_named(file):
    model = onnx.load(file)
    for one in model.graph.initializer:
        values = onnx.numpy_helper.to_array(one)
        if values.dtype == np.float32 and values.ndim == 4:
            one.CopyFrom(onnx.numpy_helper.from_array(values * np.float32(1.2), one.name))
    onnx.save(model, file)
    refused = topwork("predict", file, "rose.jpg")
    assert (refused.status, "was changed after it was written" in refused.err) == (1, True)
    about = json.loads(onnx.load(file).metadata_props[0].value)
    del about["files"]
    onnx_format.describe(file, as_json(about | {"runtime": "onnxruntime 1.0.0", "seal": ""}))
    changed(file)
    ran = topwork("check", file)
    assert ran.status == 1, ran.err
    assert "a probability differs by" in ran.out
    assert "It was written with onnxruntime 1.0.0: try that version." in ran.out


def test_metadata_that_were_edited_are_refused(file):
    model = onnx.load(file)
    about = json.loads(model.metadata_props[0].value)
    onnx_format.describe(file, as_json(about | {"labels": about["labels"][::-1]}))
    ran = topwork("predict", file, file)
    assert (ran.status, "were changed after the file was written" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (None, "cannot be checked: when it was written, it answered alike for all drawn pictures"),
        ({"rule": 2, "seed": 0, "answers": []}, "is checked by rule 2"),
        ({"rule": 1, "seed": 0, "answers": [[1.0, 0.0]]}, "are those of another file"),
    ],
)
def test_a_file_that_cannot_be_checked_says_why(file, check, told):
    changed(file, check=check)
    with pytest.raises(ExportError, match=told):
        self_check.check(file)


def test_with_data_the_accuracy_is_compared_with_the_claim(file, pictures, tmp_path):
    ran = topwork("check", file, pictures)
    assert ran.status == 0, ran.out + ran.err
    assert f"{self_check.check(file, pictures).measured.pictures:,} pictures: accuracy " in ran.out
    wrong = make_folder(tmp_path / "wrong", each=12, first=300_000)
    for name, other in (("red", "x"), ("green", "red"), ("blue", "green"), ("x", "blue")):
        (wrong / name).rename(wrong / other)
    ran = topwork("check", file, wrong)
    assert (ran.status, "That is lower than claimed: -0." in ran.out) == (1, True)
    (wrong / "red").rename(wrong / "brown")
    assert "does not know the class: 'brown' (12)" in topwork("check", file, wrong).out


def test_a_picture_that_cannot_be_read_is_named_and_is_no_wrong_answer(file, tmp_path):
    data = make_folder(tmp_path / "data", each=3)
    broken = data / "red" / "broken.png"
    whole = next((data / "red").glob("*.png")).read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    found = self_check.check(file, data).measured
    assert (found.pictures, list(found.unread)) == (9, ["red/broken.png"])
    assert f"1 picture could not be read; the first is red/broken.png: {found.unread['red/broken.png']}." in (
        topwork("check", file, data).out
    )
    for path in data.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:60])
    assert "no picture" in topwork("check", file, data).err


@pytest.mark.parametrize(
    "name", ["m.xml", *(pytest.param(name, marks=pytest.mark.full) for name in ("m", "m.pb", "m.tflite", "m.keras"))]
)
def test_every_format_is_checked_and_other_files_are_refused(run, tmp_path, name):
    """The metadata know the files that they describe."""
    run.export(tmp_path / name, progress=False)
    assert self_check.check(tmp_path / name).problem == ""
    (second := tmp_path / "second").mkdir()
    other = tw.train(run.data, phases=[tw.Phase("tiny@pool", epochs=2)], backbones=[tiny()], out=second / "run")
    other.export(second / name, progress=False)
    part = {"m": "m/variables/variables.data-00000-of-00001", "m.xml": "m.bin"}.get(name, name)
    (second / part).replace(tmp_path / part)
    with pytest.raises(ExportError, match=r"is not the file that '.*' describes"):
        tw.Predictor(tmp_path / name)
    (tmp_path / part).unlink()
    with pytest.raises(ExportError, match=r"which is missing|no file|is a folder|is not the file"):
        tw.Predictor(tmp_path / name)


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_files_in_fewer_bits_are_checked(run, tmp_path, precision):
    run.export(tmp_path / "m.onnx", precision=precision, force=True, progress=False)
    found = self_check.check(tmp_path / "m.onnx")
    assert (found.precision, found.bound, found.problem) == (precision, 0.03, "")
    answers = np.array(tw.Predictor(tmp_path / "m.onnx").about["check"]["answers"])
    assert answers.std(0).max() > found.bound


def test_a_file_that_was_kept_by_force_says_so(run, tmp_path, monkeypatch):
    monkeypatch.setattr("topwork.shipping.checking.gate.BOUND", -1.0)
    run.export(tmp_path / "m.onnx", force=True, progress=False)
    assert (
        "It was exported with --force: on 60 pictures, a probability differs"
        in topwork("check", tmp_path / "m.onnx").out
    )
    picture = run.data.part("test")[0]
    told = topwork("predict", tmp_path / "m.onnx", f"{run.data.root}/{picture.path}", "--json").json
    assert "a probability differs" in told["forced"]


def test_an_answer_that_is_no_number_is_a_problem():
    expected = np.tile([0.9, 0.1], (3, 1))
    found = expected.copy()
    found[1, 0] = np.nan
    assert self_check._compared(found, expected, 1e-3)[1].startswith("a probability differs by inf")


def test_an_untrained_head_cannot_be_checked_and_a_line_says_so(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(self_check, "BOUNDS", {"float32": 2.0})
    run.export(tmp_path / "m.onnx")
    assert "answers alike for all drawn pictures" in capsys.readouterr().err
    with pytest.raises(ExportError, match="it answered alike for all drawn pictures"):
        self_check.check(tmp_path / "m.onnx")
