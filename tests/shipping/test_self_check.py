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
from topwork.shipping import self_check
from topwork.shipping.formats import onnx as onnx_format
from topwork.shipping.metadata import Input, seal


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
    onnx_format.describe(file, about | {"seal": seal(about)})


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
    changed(file, runtime="onnxruntime 1.0.0")
    ran = topwork("check", file)
    assert ran.status == 1
    assert "a probability differs by" in ran.out
    assert "It was written with onnxruntime 1.0.0: try that version." in ran.out


def test_metadata_that_were_edited_are_refused(file):
    model = onnx.load(file)
    about = json.loads(model.metadata_props[0].value)
    onnx_format.describe(file, about | {"labels": about["labels"][::-1]})
    ran = topwork("predict", file, file)
    assert (ran.status, "were changed after the file was written" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (None, "has no answers to compare with"),
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
    assert f"{self_check.measured(file, pictures)[0]:,} pictures: accuracy " in ran.out
    wrong = make_folder(tmp_path / "wrong", each=12, first=300_000)
    for name, other in (("red", "x"), ("green", "red"), ("blue", "green"), ("x", "blue")):
        (wrong / name).rename(wrong / other)
    assert topwork("check", file, wrong).status == 1
    (wrong / "red").rename(wrong / "brown")
    assert "does not know the class: 'brown'" in topwork("check", file, wrong).err


def test_an_untrained_head_cannot_be_checked_and_a_line_says_so(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(self_check, "DIFFER", 2.0)
    run.export(tmp_path / "m.onnx")
    assert "answers alike for all drawn pictures" in capsys.readouterr().err
    with pytest.raises(ExportError, match="has no answers to compare with"):
        self_check.check(tmp_path / "m.onnx")
