"""The record of the files that a run was exported to."""

import json
from dataclasses import replace

from topwork.runs.folder import EXPORTS, exports_of
from topwork.shipping.checking.gate import Parity
from topwork.shipping.exported import best, note
from topwork.shipping.formats.known import ONNX, of_path

AGREES = Parity(50, 2e-6, 1.0, 0, (), None, "")


def test_the_newest_file_that_is_left_and_unchanged_counts(tmp_path):
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    for path in (first, second):
        path.write_text(path.name)
        note(tmp_path, path, ONNX, "float32", AGREES)
    assert best(tmp_path) == second
    second.write_text("changed")
    assert best(tmp_path) == first
    first.unlink()
    assert best(tmp_path) is None


def test_the_file_that_is_read_quickly_and_answers_as_the_model_does_stands_for_the_run(tmp_path):
    """After ``export --all``, the newest file is the one of Keras; a file in fewer bits or by force is newer still."""
    forced = replace(AGREES, problem="a probability differs")
    wanted = [("m.onnx", "float32", AGREES), ("m.pb", "float32", AGREES), ("m.keras", "float32", AGREES)]
    wanted += [("m16.onnx", "float16", AGREES), ("m8.tflite", "int8", AGREES), ("bad.onnx", "float32", forced)]
    for name, precision, parity in wanted:
        (tmp_path / name).write_text(name)
        for further in of_path(tmp_path / name).further(tmp_path / name):
            further.write_text("{}")
        note(tmp_path, tmp_path / name, of_path(tmp_path / name), precision, parity)
    (tmp_path / "lost.xml").write_text("without its .bin and its .json")
    note(tmp_path, tmp_path / "lost.xml", of_path(tmp_path / "lost.xml"), "float32", AGREES)
    for name, _, _ in wanted:
        assert best(tmp_path) == tmp_path / name
        (tmp_path / name).unlink()


def test_a_line_has_the_results_of_the_gate(tmp_path):
    (tmp_path / "a.onnx").write_text("a")
    note(tmp_path, tmp_path / "a.onnx", ONNX, "float32", AGREES)
    (line,) = exports_of(tmp_path)
    assert line.keys() == {
        *("time", "path", "sha256", "format", "precision"),
        *("largest_difference", "agreement", "pictures", "accuracy", "forced"),
    }
    assert (line["largest_difference"], line["agreement"], line["pictures"]) == (2e-6, 1.0, 50)


def test_damaged_lines_are_skipped_and_records_of_older_versions_are_read(tmp_path):
    for name in ("old.onnx", "new.onnx"):
        (tmp_path / name).write_text(name)
    note(tmp_path, tmp_path / "old.onnx", ONNX, "float32", AGREES)
    (line,) = exports_of(tmp_path)
    (tmp_path / "exported.json").write_text(json.dumps({"files": [{name: line[name] for name in ("path", "sha256")}]}))
    (tmp_path / EXPORTS).write_text('{"path": "cut sho\n[1]\n{}\n')
    assert best(tmp_path) == tmp_path / "old.onnx"
    note(tmp_path, tmp_path / "new.onnx", ONNX, "float32", AGREES)
    assert best(tmp_path) == tmp_path / "new.onnx"
    (tmp_path / "exported.json").write_text("{")
    assert [one["path"] for one in exports_of(tmp_path)] == [str(tmp_path / "new.onnx")]


def test_a_run_that_cannot_be_written_to_gets_a_warning(tmp_path, capsys):
    (tmp_path / "a.onnx").write_text("a")
    (tmp_path / EXPORTS).mkdir()
    note(tmp_path, tmp_path / "a.onnx", ONNX, "float32", AGREES)
    assert "so the run does not list" in capsys.readouterr().err
