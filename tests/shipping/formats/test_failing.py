"""The errors of the libraries that write files become errors of topwork."""

import os

import pytest

from topwork.errors import ExportError
from topwork.shipping.formats.failing import told
from topwork.system.files import written_whole

LINES = "Exception encountered when calling Dense.call().\n\n\x1b[1mno such thing.\x1b[0m\nand more"


def written(path, error):
    """Write a file with a library that fails."""
    with written_whole(path) as aside, told("openvino", aside, " Write another."):
        aside.write_text("the first half")
        raise error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("basic_ios::clear: iostream error"), "basic_ios::clear: iostream error"),
        (ValueError(LINES), "no such thing"),
        (KeyError(), "KeyError"),
    ],
)
def test_it_gives_the_reason_and_the_advice(tmp_path, error, reason):
    with pytest.raises(ExportError) as found:
        written(tmp_path / "model.xml", error)
    assert str(found.value) == f"the model cannot be written as openvino ({reason}). Write another."
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("words", "left"), [("iostream error", 4096), ("file.tmp; No space left on device", 10**9)])
def test_a_full_disk_is_one_whatever_the_library_says(tmp_path, monkeypatch, words, left):
    """TensorFlow's errors have the system's words; OpenVINO's do not say what is wrong."""
    monkeypatch.setattr("topwork.shipping.formats.failing.free", lambda _: left)
    with pytest.raises(OSError, match="No space left on device") as found:
        written(tmp_path / "model.xml", RuntimeError(words))
    assert found.value.filename == str(tmp_path / "model.xml")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [ExportError("as it is"), OSError(28, "No space left on device"), MemoryError()])
def test_errors_that_say_enough_stay(tmp_path, error):
    with pytest.raises(type(error)) as found:
        written(tmp_path / "model.xml", error)
    assert found.value is error
