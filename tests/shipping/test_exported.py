"""The record of the files that a run was exported to."""

from topwork.shipping.exported import FILE, newest, note


def test_the_newest_file_that_is_left_and_unchanged_counts(tmp_path):
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    for path in (first, second):
        path.write_text(path.name)
        note(tmp_path, path)
    assert newest(tmp_path) == second
    second.write_text("changed")
    assert newest(tmp_path) == first
    first.unlink()
    assert newest(tmp_path) is None


def test_a_damaged_record_is_begun_again(tmp_path):
    (tmp_path / "a.onnx").write_text("a")
    (tmp_path / FILE).write_text("{")
    note(tmp_path, tmp_path / "a.onnx")
    assert newest(tmp_path) == tmp_path / "a.onnx"
