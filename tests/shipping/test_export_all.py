"""``topwork export --all``: every format and precision, a table, and the reason for each file that is not written."""

import json
import shutil

import numpy as np
import pytest

import topwork as tw
from tests.command import topwork
from tests.pages import fake_runtime
from tests.tiny import tiny
from topwork.shipping.formats import known
from topwork.shipping.formats import onnx as onnx_format


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("all") / "run"
    return tw.train(pictures, phases=[tw.Phase("tiny@pool", epochs=5)], backbones=[tiny()], out=out, progress=False)


@pytest.fixture
def few(monkeypatch):
    """Leave two formats, so that the tests are quick: ONNX and Keras."""
    monkeypatch.setattr(known, "FORMATS", (known.ONNX, known.named("keras")))


def test_all_files_are_written_and_told_in_a_table(run, tmp_path, few):
    ran = topwork("export", run.path, "--all", tmp_path / "all")
    assert ran.status == 0
    written = {path.name for path in (tmp_path / "all").iterdir()}
    assert written >= {"model.onnx", "model-float16.onnx", "model.keras", "model.keras.json"}
    lines = ran.out.splitlines()
    assert lines[0].split() == ["file", "size", "a", "picture", "same", "answer", "difference", "accuracy"]
    assert "accuracy: of the file, on the 6 test pictures among them (model: 0." in ran.err
    assert [line.split()[0] for line in lines[2:4]] == ["model.onnx", "model-float16.onnx"]
    assert max(map(len, lines)) <= 80
    recorded = [json.loads(line)["path"] for line in (run.path / "exports.jsonl").read_text().splitlines()]
    assert str(tmp_path / "all" / "model.keras") in recorded


def test_a_file_that_is_not_written_has_its_reason_and_leaves_nothing(run, tmp_path, few, monkeypatch):
    monkeypatch.setattr("topwork.shipping.formats.onnx.find_spec", lambda name: name != "tf2onnx")
    ran = topwork("export", run.path, "--all", tmp_path / "all")
    assert ran.status == 0
    lacks = "an export on tensorflow needs tf2onnx"
    assert ran.err.startswith(f"onnx will be missing: {lacks}")
    assert f"Not written: model.onnx, model-float16.onnx, model-int8.onnx: {lacks}" in ran.err
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["model.keras", "model.keras.json"]
    monkeypatch.setattr("topwork.shipping.checking.gate.BOUND", -1.0)
    ran = topwork("export", run.path, "--all", tmp_path / "none", "--json")
    assert ran.status == 1
    assert all(one["problem"] and one["parity"] is None for one in json.loads(ran.out))
    assert not (tmp_path / "none").exists()


def test_an_error_in_one_file_does_not_end_the_others(run, tmp_path, few, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("topwork.shipping.formats.onnx.write", full)
    ran = topwork("export", run.path, "--all", tmp_path / "all")
    assert ran.status == 0
    path = tmp_path / "all" / "model.onnx"
    assert f"Not written: model.onnx: cannot use '{path}': No space left on device." in ran.err
    assert [line.split()[0] for line in ran.out.splitlines()[2:]] == ["model.keras"]


def test_a_run_on_arrays_has_files_in_8_bits_calibrated_on_training_pictures(tmp_path, few, monkeypatch):
    """The run keeps pictures to check on, and training pictures."""
    draw = np.random.default_rng(0)
    labels = np.arange(600) % 2
    pixels = (
        draw.integers(0, 100, (600, 32, 32, 3)).astype("uint8") + (100 * labels).astype("uint8")[:, None, None, None]
    )
    run = tw.train((pixels, labels), phases=[tw.Phase("tiny@pool", epochs=2)], backbones=[tiny()], out=tmp_path / "run")
    seen = []
    write = onnx_format.write

    def watched(model, path, how):
        seen.append(how)
        write(model, path, how)

    monkeypatch.setattr(onnx_format, "write", watched)
    made = run.export_all(tmp_path / "all", progress=False)
    assert not [one for one in made if "training picture" in one.problem]
    (examples,) = seen[-1].pixels
    assert (seen[-1].precision, len(examples)) == ("int8", 100)
    train = {int(row.path[2:-1]) for row in run.data.part("train")}
    bytes_of = {pixels[number].tobytes(): number for number in range(600)}
    assert {bytes_of[picture.tobytes()] for picture in examples} <= train


def test_without_training_pictures_only_8_bits_are_missing(pictures, tmp_path, few):
    data = shutil.copytree(pictures, tmp_path / "data")
    run = tw.train(data, phases=[tw.Phase("tiny@pool", epochs=2)], backbones=[tiny()], out=tmp_path / "run")
    for row in run.data.part("train"):
        (data / row.path).unlink()
    made = {(one.kind, one.precision): one for one in run.export_all(tmp_path / "all", progress=False)}
    assert made["onnx", "float32"].parity
    assert made["onnx", "int8"].problem == (
        "int8 is calibrated on training pictures, and no training picture of the run is where it was."
    )


@pytest.mark.parametrize("words", [("x.onnx",), ("--force",), ("--precision", "int8"), ("--format", "onnx")])
def test_all_goes_with_nothing_else(run, tmp_path, words):
    ran = topwork("export", run.path, "--all", tmp_path / "all", *words)
    assert (ran.status, "--all writes all formats and precisions: omit FILE" in ran.err) == (2, True)
    assert not (tmp_path / "all").exists()


def test_a_file_or_a_folder_is_needed_and_the_folder_must_be_new(run, tmp_path):
    assert "expected FILE, the file to write, or --all FOLDER" in topwork("export", run.path).err
    (tmp_path / "all").mkdir()
    assert "exists already and is not overwritten" in topwork("export", run.path, "--all", tmp_path / "all").err


@pytest.mark.full
def test_every_format_and_precision_is_written(run, tmp_path):
    with fake_runtime():
        made = run.export_all(tmp_path / "all", progress=False)
    assert len(made) == sum(len(one.precisions) for one in known.FORMATS)
    assert {one.kind for one in made if one.parity} == {one.name for one in known.FORMATS}
    for one in made:
        assert bool(one.parity) != bool(one.problem)
        if one.parity:
            assert one.size > 1000
            assert 0 < one.seconds < 5
