import os
from pathlib import Path

import pytest

from topwork.data.dataset import LeftOut
from topwork.data.reading.folders import is_picture, read_folder, visible
from topwork.errors import DatasetError
from topwork.scoring.plots import charts


def made(root, *names):
    """Make empty files below *root*: the reader looks only at names."""
    for name in names:
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return str(root)


def found(root):
    """Map each path to its label and part."""
    return {row.path: (row.label, row.split) for row in read_folder(root).rows}


def told(root):
    with pytest.raises(DatasetError) as error:
        read_folder(root)
    return str(error.value)


def test_a_folder_is_a_class_whatever_lies_deeper(tmp_path):
    root = made(tmp_path, "b/2.png", "b/deep/er/1.JPG", "a x/ä ü.jpeg", "a x/.hidden.png", "日本/ .webp")
    assert found(root) == {
        "a x/ä ü.jpeg": ("a x", None),
        "b/2.png": ("b", None),
        "b/deep/er/1.JPG": ("b", None),
        "日本/ .webp": ("日本", None),
    }
    assert list(found(root)) == sorted(found(root))
    assert all(row.digest == "" for row in read_folder(root).rows)


@pytest.mark.parametrize(
    "suffix", ["jpg", "JPEG", "png", "apng", "webp", "bmp", "gif", "tif", "TIFF", "mpo", "heic", "AVIF"]
)
def test_pictures_are_told_by_suffix(suffix):
    assert is_picture(f"a.b/x y.{suffix}")
    assert not is_picture(suffix)
    assert not is_picture(f"x.{suffix}.txt")


def test_hidden_things_are_skipped_in_silence(tmp_path):
    names = (
        ".DS_Store",
        "a/Thumbs.db",
        "a/desktop.ini",
        "__MACOSX/a/1.png",
        ".git/1.png",
        "a/@eaDir/1.png",
        "a/._1.png",
    )
    data = read_folder(made(tmp_path, "a/1.png", "b/1.png", *names))
    assert [row.path for row in data.rows] == ["a/1.png", "b/1.png"]
    assert (data.left_out, data.notes) == ((), ())


def test_other_files_and_empty_class_folders_are_told(tmp_path):
    root = made(tmp_path, "a/1.png", "b/1.png", "README.txt", "a/1.pdf", "a/x.csv", "b/c/y", "empty/none.txt")
    (tmp_path / "void").mkdir()
    data = read_folder(root)
    assert len(data.rows) == 2
    assert data.notes == (
        "Skipped: 5 files that are not named as pictures: 'README.txt', 'a/1.pdf', 'a/x.csv' and 2 more.",
        "Class folders without a picture: 'empty', 'void'.",
    )


def test_folders_of_parts_give_the_split(tmp_path):
    root = made(tmp_path, "Train/a/1.png", "Train/b/2.png", "validation/a/3.png", "TEST/b/deep/4.png")
    assert found(root) == {
        "Train/a/1.png": ("a", "train"),
        "Train/b/2.png": ("b", "train"),
        "validation/a/3.png": ("a", "val"),
        "TEST/b/deep/4.png": ("b", "test"),
    }


def test_what_topwork_made_is_never_read_as_pictures(tmp_path):
    root = made(
        tmp_path,
        *("a/1.png", "b/1.png", "runs/1.png"),  # a class may have this name
        *("runs/x/recipe.toml", "runs/x/environment.json", "runs/x/curves.png", "old/fold-1/recipe.toml"),
        *("old/fold-1/environment.json", "old/fold-1/confusion.png", "home/store/s/cut.json", "home/store/s/1.png"),
    )
    charts.confusion([[1, 0], [0, 1]], ["a", "b"], tmp_path / "b" / "2.png")
    data = read_folder(root)
    assert [row.path for row in data.rows] == ["a/1.png", "b/1.png", "runs/1.png"]
    made_by_us = "'b/2.png' (a plot), 'home/store/s' (a store), 'old/fold-1' (a run) and 'runs/x' (a run)"
    assert data.notes == (f"Ignored, because topwork made them: {made_by_us}.".replace(" and 'r", ", 'r"),)


def test_a_folder_with_nothing_but_what_topwork_made_holds_no_picture(tmp_path):
    root = made(tmp_path, "x/recipe.toml", "x/environment.json", "x/curves.png")
    assert told(root) == (
        f"no picture in {root!r}: expected a folder for each class, with pictures in it. "
        "Ignored, because topwork made them: 'x' (a run)."
    )


def test_names_of_classes_are_read_as_labels_of_tables_are(tmp_path):
    root = made(tmp_path, "cafe\u0301 /1.png", "b/1.png")
    assert [row.label for row in read_folder(root).rows] == ["b", "caf\u00e9"]


def test_pictures_outside_of_class_folders_are_left_out(tmp_path):
    names = ("0.png", "train/a/1.png", "train/b/1.png", "train/2.png", "test/a/3.png")
    data = read_folder(made(tmp_path, *names))
    assert [row.path for row in data.rows] == ["test/a/3.png", "train/a/1.png", "train/b/1.png"]
    assert data.left_out == (
        LeftOut("0.png", "it is not in a class folder"),
        LeftOut("train/2.png", "it is not in a class folder"),
    )


def test_a_folder_without_pictures_is_refused(tmp_path):
    root = made(tmp_path, "a/1.txt")
    assert told(root) == (
        f"no picture in {root!r}: expected a folder for each class, with pictures in it. "
        "Skipped: 'a/1.txt', which is not named as a picture."
    )


def test_pictures_without_any_class_folder_are_refused(tmp_path):
    root = made(tmp_path, "1.png", "2.png")
    assert told(root) == (
        f"no class folders in {root!r}: its pictures are not in class folders, for example '1.png'. "
        "Expected a folder for each class, as in 'daisy/1.jpg', or a CSV file with the columns path and label."
    )


def test_links_are_followed_once_and_without_loops(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    made(root, "b/1.png")
    made(elsewhere, "2.png", "3.png")
    (root / "a").symlink_to(elsewhere)
    (root / "again").symlink_to(elsewhere)
    (root / "aa").symlink_to(root / "b")
    (root / "b" / "loop").symlink_to(root)
    (root / "b" / "file.png").symlink_to(elsewhere / "2.png")
    assert found(str(root)) == {
        "a/2.png": ("a", None),
        "a/3.png": ("a", None),
        "b/1.png": ("b", None),
        "b/file.png": ("b", None),
    }


@pytest.mark.skipif(
    os.name == "nt" or os.uname().sysname == "Darwin", reason="this system has no names that are not UTF-8"
)
def test_a_name_that_is_not_utf8_is_left_out_in_printable_words(tmp_path):
    made(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a" / os.fsdecode(b"\xff.png")).touch()
    (tmp_path / os.fsdecode(b"\xfe")).mkdir()
    data = read_folder(str(tmp_path))
    assert data.left_out == (LeftOut("a/\\xff.png", "its name is not UTF-8; rename it"),)
    assert data.notes == ("Class folders without a picture: '\\\\xfe'.",)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may read every folder")
def test_a_folder_that_may_not_be_read_is_an_error(tmp_path):
    made(tmp_path, "a/1.png")
    (tmp_path / "b").mkdir(mode=0)
    assert told(str(tmp_path)) == f"cannot read the folder {str(tmp_path / 'b')!r}: Permission denied."


def test_files_and_folders_come_sorted(tmp_path):
    tree = visible(made(tmp_path, "b/2", "b/1", "a/z/1", "c"))
    assert tree.files == ["a/z/1", "b/1", "b/2", "c"]
    assert tree.folders == ["", "a/", "a/z/", "b/"]
