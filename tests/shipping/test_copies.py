"""Copies of pictures: a folder for each answer, safe names, nothing moved or overwritten."""

import shutil

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from topwork.shipping.answers import Guess
from topwork.shipping.copies import LONGEST, Copies, safe


def guess(path, label, known=True):
    return Guess(str(path), label, 1.0, {label: 1.0}, known=known)


def test_pictures_are_copied_into_the_folder_of_their_answer(tmp_path):
    source = tmp_path / "rose.jpg"
    source.write_bytes(b"a picture")
    copies = Copies(tmp_path / "out", ["rose", "tulip"])
    made = copies.add(guess(source, "rose"))
    assert made == tmp_path / "out" / "rose" / "rose.jpg"
    assert made.read_bytes() == source.read_bytes() == b"a picture"
    assert copies.add(guess(source, "tulip", known=False)) == tmp_path / "out" / "unknown" / "rose.jpg"
    assert not (tmp_path / "out" / "tulip").exists()


def test_a_full_disk_is_told_with_the_file_and_leaves_no_half_copy(tmp_path, monkeypatch):
    def full(source, target):
        target.write(source.read(3))
        raise OSError(28, "No space left on device")

    (tmp_path / "rose.jpg").write_bytes(b"a picture")
    copies = Copies(tmp_path / "out", ["rose"])
    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left") as error:
        copies.add(guess(tmp_path / "rose.jpg", "rose"))
    assert error.value.filename == str(tmp_path / "out" / "rose" / "rose.jpg")
    assert [*(tmp_path / "out" / "rose").iterdir()] == []


def test_equal_names_get_numbers(tmp_path):
    copies = Copies(tmp_path / "out", ["rose"])
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "a.jpg").write_text(str(number))
        copies.add(guess(tmp_path / str(number) / "a.jpg", "rose"))
    found = {path.name: path.read_text() for path in (tmp_path / "out" / "rose").iterdir()}
    assert found == {"a.jpg": "0", "a-2.jpg": "1", "a-3.jpg": "2"}


def test_a_class_called_unknown_has_another_folder_than_strangers(tmp_path):
    copies = Copies(tmp_path / "out", ["unknown", "Rose", "rose", "a/b", "a:b", "caf\u00e9", "cafe\u0301"])
    assert copies.folders == {
        "unknown": "unknown", "Rose": "Rose", "rose": "rose-2", "a/b": "a_b", "a:b": "a_b-2",
        "caf\u00e9": "caf\u00e9", "cafe\u0301": "cafe\u0301-2", None: "unknown-2",
    }  # fmt: skip


def test_a_folder_that_exists_is_refused(tmp_path):
    with pytest.raises(FileExistsError):
        Copies(tmp_path, ["a"])


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("..")
@example("con.txt")
@example("a\x00b")
@example("é" * 200)
@example("\udcff")
def test_the_name_of_a_folder_is_a_single_part_of_a_path(label):
    name = safe(label)
    assert 0 < len(name.encode()) <= LONGEST + 1
    assert not set('/\\:*?"<>|\x00\n') & set(name)
    assert name not in (".", "..")
    assert name == name.strip()
    assert name.split(".")[0].lower() not in ("con", "aux", "com1")
