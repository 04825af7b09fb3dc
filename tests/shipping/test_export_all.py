"""``topwork export --all``: every format and precision, a table, and the reason for each file that is not written."""

import json

import pytest

import topwork as tw
from tests.command import topwork
from tests.tiny import tiny
from topwork.shipping.formats import known


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("all") / "run"
    return tw.train(pictures, phases=[tw.Phase("tiny@pool", epochs=5)], backbones=[tiny()], out=out, progress=False)


@pytest.fixture
def few(monkeypatch):
    """Leave two formats, so that the tests are quick: ONNX and Keras."""
    monkeypatch.setattr(known, "FORMATS", (known.FORMATS[0], known.FORMATS[-1]))


def test_all_files_are_written_and_told_in_a_table(run, tmp_path, few):
    ran = topwork("export", run.path, "--all", tmp_path / "all")
    assert ran.status == 0
    written = {path.name for path in (tmp_path / "all").iterdir()}
    assert written >= {"model.onnx", "model-float16.onnx", "model.keras", "model.keras.json"}
    lines = ran.out.splitlines()
    assert lines[0].split() == ["file", "size", "a", "picture", "same", "answer", "largest", "difference"]
    assert [line.split()[0].rsplit("/", 1)[1] for line in lines[2:4]] == ["model.onnx", "model-float16.onnx"]
    recorded = [json.loads(line)["path"] for line in (run.path / "exports.jsonl").read_text().splitlines()]
    assert str(tmp_path / "all" / "model.keras") in recorded


def test_a_file_that_is_not_written_has_its_reason_and_leaves_nothing(run, tmp_path, few, monkeypatch):
    monkeypatch.setattr("topwork.shipping.formats.onnx.find_spec", lambda name: name != "tf2onnx")
    ran = topwork("export", run.path, "--all", tmp_path / "all")
    assert ran.status == 0
    assert f"Not written: {tmp_path / 'all' / 'model-int8.onnx'}: an export on tensorflow needs tf2onnx" in ran.err
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["model.keras", "model.keras.json"]
    monkeypatch.setattr("topwork.shipping.gate.BOUND", -1.0)
    ran = topwork("export", run.path, "--all", tmp_path / "none", "--json")
    assert ran.status == 1
    assert all(one["problem"] and one["parity"] is None for one in json.loads(ran.out))


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
    made = run.export_all(tmp_path / "all", progress=False)
    assert len(made) == sum(len(one.precisions) for one in known.FORMATS)
    assert {one.kind for one in made if one.parity} == {one.name for one in known.FORMATS}
    for one in made:
        assert bool(one.parity) != bool(one.problem)
        if one.parity:
            assert one.size > 1000
            assert 0 < one.seconds < 5
