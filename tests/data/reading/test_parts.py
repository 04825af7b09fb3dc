"""Folders named like parts: they give the split or are refused with advice, and never silently become classes."""

import pytest

from tests.data.reading.test_folders import made
from topwork.data.reading.folders import read_folder
from topwork.data.reading.parts import check, parse
from topwork.errors import DatasetError, RecipeError
from topwork.system.advice import at_command_line


def pairs(*folders):
    """Return the path of one picture in each folder."""
    return [f"{folder}/{number}.png" for number, folder in enumerate(folders)]


def places(root, parts=None):
    """Return the folder, label and part of each picture."""
    return {(row.path.rpartition("/")[0], row.label, row.split) for row in read_folder(root, parts).rows}


def told(root, parts=None):
    with pytest.raises(DatasetError) as error:
        read_folder(root, parts)
    return str(error.value)


BOTH = ("rose", "tulip")


@pytest.mark.parametrize(
    ("train", "other", "part"),
    [
        ("Training", "Testing", "test"),
        ("training_set", "test_set", "test"),
        ("train", "dev", "val"),
        ("train", "val1", "val"),
        ("TRAIN", "holdout", "test"),
        ("train2017", "val2017", "val"),
        ("flowers-train", "flowers-eval", "test"),
        ("data_training", "2test", "test"),
        ("seg_train", "seg_valid", "val"),
        ("Training Set", "Validation Set", "val"),
    ],
)
def test_folders_with_a_word_for_a_part_are_parts(tmp_path, train, other, part):
    root = made(tmp_path, *pairs(*(f"{top}/{name}" for top in (train, other) for name in BOTH)))
    assert places(root) == {(f"{train}/{name}", name, "train") for name in BOTH} | {
        (f"{other}/{name}", name, part) for name in BOTH
    }


def test_class_folders_may_hold_the_parts(tmp_path):
    root = made(tmp_path, *pairs("rose/train", "rose/test1/deep", "tulip/Train", "tulip/test1"))
    assert places(root) == {
        ("rose/train", "rose", "train"),
        ("rose/test1/deep", "rose", "test"),
        ("tulip/Train", "tulip", "train"),
        ("tulip/test1", "tulip", "test"),
    }


@pytest.mark.parametrize(
    "folders",
    [
        ("train", "bus", "testing_tools"),
        ("train/red", "train/blue", "bus"),
        ("training_shoes", "test_tubes"),
        ("trainer/a", "trainer/b", "tester/a", "tester/b"),
        ("train/old", "train/new", "bus/old", "bus/new"),
        ("rose/train", "tulip/garden"),
    ],
)
def test_words_for_parts_among_classes_are_classes(tmp_path, folders):
    root = made(tmp_path, *pairs(*folders))
    assert {label for _, label, _ in places(root)} == {folder.split("/")[0] for folder in folders}
    assert {part for _, _, part in places(root)} == {None}


@pytest.mark.parametrize(
    ("folders", "why", "way"),
    [
        (("train/a", "train/b", "test"), "'test' holds no class folders", "--parts train=train, which"),
        (
            ("train/a", "train/b", "dev/a", "dev/b", "val/a", "val/b"),
            "'dev' and 'val' both name val",
            "--parts train=train,val=dev; or --parts train=train, which",
        ),
        (
            ("train/a", "train/b", "test/a", "test/b", "extra/a"),
            "beside 'test', 'train' there is 'extra'",
            "--parts train=train,test=test; or",
        ),
        (
            ("Training/a", "Training/b", "test/a", "test/c"),
            "'test' holds 'c', and 'Training' does not",
            "--parts train=Training,test=test; or",
        ),
        (("train_val/a", "train_val/b", "test/a", "test/b"), "'train_val' names two parts", "--parts train="),
        (
            ("train1/a", "train1/b", "train2/a", "train2/b", "test/a", "test/b"),
            "'train1' and 'train2' both name train",
            "--parts train=train1,test=test; or",
        ),
        (
            ("rose/train", "rose/test", "tulip/train", "tulip/more"),
            "the class folders do not all hold the same, as 'tulip' holds other folders or pictures, too",
            "--parts train=train,test=test; or",
        ),
        (
            ("rose/train", "rose/test", "tulip/test"),
            "'tulip' has no training folder, and 'rose' has one",
            "--parts train=train,test=test; or",
        ),
    ],
)
def test_what_looks_like_parts_and_does_not_fit_is_refused_with_the_way_out(tmp_path, folders, why, way):
    with at_command_line():
        text = told(made(tmp_path, *pairs(*folders)))
    assert f"it is unclear which is which: {why}. Name the folders: {way}" in text
    assert text.endswith(" (in a recipe parts under [data]).")


def test_a_python_caller_is_told_the_parts_as_a_table(tmp_path):
    text = told(made(tmp_path, *pairs("train/a", "train/b", "dev/a", "dev/b", "val/a", "val/b")))
    assert "Name the folders: parts={'train': 'train', 'val': 'dev'}; or parts={'train': 'train'}, which leaves" in text


def test_train_and_test_without_class_folders_are_no_classes(tmp_path):
    assert told(made(tmp_path, *pairs("train", "test"))).startswith(f"no class folders in {str(tmp_path)!r}")


def test_the_user_says_which_folders_are_the_parts(tmp_path):
    root = made(tmp_path, *pairs("tr/a", "tr/b", "te/a", "te/b", "te/b", "more/a", "more/a"))
    assert places(root, {"train": "tr", "test": "te/"}) == {
        *(("tr/a", "a", "train"), ("tr/b", "b", "train")),
        *(("te/a", "a", "test"), ("te/b", "b", "test")),
    }
    assert read_folder(root, {"train": "tr", "test": "te"}).notes == (
        "Skipped: folders not named as a part, with their numbers of pictures: 'more' (2).",
    )


def test_a_training_folder_alone_is_drawn_from_and_the_others_are_left_out_by_name_and_count(tmp_path):
    data = read_folder(made(tmp_path, *pairs("train/a", "train/b", "test", "test")), {"train": "train"})
    assert [(row.label, row.split) for row in data.rows] == [("a", None), ("b", None)]
    assert data.notes == ("Skipped: folders not named as a part, with their numbers of pictures: 'test' (2).",)
    assert data.left_out == ()


def test_parts_within_class_folders_may_be_named(tmp_path):
    root = made(tmp_path, *pairs("rose/train", "rose/test", "tulip/train", "tulip/more"))
    assert places(root, {"train": "train", "test": "test"}) == {
        *(("rose/train", "rose", "train"), ("rose/test", "rose", "test"), ("tulip/train", "tulip", "train")),
    }
    assert "'tulip/more' (1)" in read_folder(root, {"train": "train", "test": "test"}).notes[0]


def test_parts_may_lie_deeper(tmp_path):
    root = made(tmp_path, *pairs("images/fit/a", "images/fit/b", "images/check/a", "masks/fit/a"))
    assert places(root, {"train": "images/fit", "val": "images/check"}) == {
        *(("images/fit/a", "a", "train"), ("images/fit/b", "b", "train"), ("images/check/a", "a", "val")),
    }


def test_a_folder_that_parts_names_and_is_not_there_is_an_error(tmp_path):
    root = made(tmp_path, *pairs("train/a", "train/b", "testing/a"))
    assert told(root, {"train": "train", "test": "testin"}).startswith(
        f"parts names the folder 'testin' for test, and {root!r} has no such folder with pictures; "
        "did you mean 'testing'?"
    )


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"trian": "a"}, "parts names 'trian': expected 'train', 'val' or 'test'; did you mean 'train'?"),
        ({"test": "a"}, "parts has no folder for train: name one, as in train=NAME."),
        ({"train": "a", "test": "a/"}, "parts names one folder twice ('a', 'a/'): name each once."),
    ],
)
def test_a_choice_that_is_none_is_refused(parts, message):
    with pytest.raises(RecipeError) as error:
        check(parts)
    assert str(error.value) == message


@pytest.mark.parametrize("wrapped", ["flowers", "a/b/c"])
def test_a_folder_that_holds_all_others_is_looked_through(tmp_path, wrapped):
    data = read_folder(made(tmp_path, *pairs(*(f"{wrapped}/{name}" for name in BOTH))))
    assert [row.label for row in data.rows] == list(BOTH)
    assert data.notes == (f"Looked through the folder {wrapped!r}, which holds all the others.",)


def test_parts_are_found_in_a_folder_that_holds_all_others(tmp_path):
    root = made(tmp_path, *pairs(*(f"data/{top}/{name}" for top in ("train", "test") for name in BOTH)))
    assert {part for _, _, part in places(root)} == {"train", "test"}
    assert {part for _, _, part in places(root, {"train": "train", "val": "test"})} == {"train", "val"}


def test_a_training_folder_alone_gives_no_split_and_says_so(tmp_path):
    data = read_folder(made(tmp_path, *pairs("Training/a", "Training/b")))
    assert [(row.label, row.split) for row in data.rows] == [("a", None), ("b", None)]
    assert data.notes == ("Only the training folder 'Training' was found: all parts are drawn from it.",)


def test_a_class_is_not_looked_through_where_another_is_empty(tmp_path):
    root = made(tmp_path, *pairs("rose/red", "rose/white"))
    (tmp_path / "tulip").mkdir()
    assert {label for _, label, _ in places(root)} == {"rose"}


SAYS = "(in a recipe parts under [data])"


@pytest.mark.parametrize(
    ("folders", "note"),
    [
        (
            ("set1/daisy", "set1/rose", "set2/daisy", "set2/rose"),
            "'set1', 'set2' were read as classes, and hold folders of the same names: 'daisy', 'rose'. If these are "
            f"the classes: --parts train=set1,test=set2 {SAYS}; or give one of the folders that hold them as DATA.",
        ),
        (
            ("daisy", "rose", "tulip", "test/daisy", "test/rose", "test/tulip"),
            "'test' was read as a class, and holds folders named as other classes: 'daisy', 'rose', 'tulip'. If these "
            "are the classes: move the other class folders into a folder 'train', then --parts train=train,test=test "
            f"{SAYS}; or give 'test' as DATA.",
        ),
        (
            ("held out/a", "held out/b", "known/a", "known/a", "known/b"),
            "'held out', 'known' were read as classes, and hold folders of the same names: 'a', 'b'. If these are the "
            f"classes: --parts 'train=known,test=held out' {SAYS}; or give one of the folders that hold them as DATA.",
        ),
        (
            ("a", "b", "test/a", "test/b", "val/a", "val/b", "val/b"),
            "'test', 'val' were read as classes, and hold folders named as other classes: 'a', 'b'. If these are the "
            "classes: move the other class folders into a folder 'train', then --parts train=train,val=val,test=test "
            f"{SAYS}; or give one of the folders that hold them as DATA.",
        ),
        (
            ("all/train1/a", "all/train1/b", "all/train2/a", "all/train2/b", "all/more/a", "all/more/b"),
            "'more', 'train1', 'train2' were read as classes, and hold folders of the same names: 'a', 'b'. If these "
            f"are the classes: --parts train=train1,test=train2 {SAYS}; "
            "or give one of the folders that hold them as DATA.",
        ),
    ],
)
def test_class_folders_that_hold_the_same_folders_are_noted_with_the_way_out(tmp_path, folders, note):
    with at_command_line():
        data = read_folder(made(tmp_path, *pairs(*folders)))
    assert {row.split for row in data.rows} == {None}
    assert data.notes[-1] == note


def test_the_way_out_of_folders_with_the_same_names_works(tmp_path):
    root = made(tmp_path, *pairs("set1/a", "set1/b", "set2/a", "set2/b"))
    assert places(root, parse("train=set1,test=set2")) == {
        *(("set1/a", "a", "train"), ("set1/b", "b", "train"), ("set2/a", "a", "test"), ("set2/b", "b", "test")),
    }


@pytest.mark.parametrize("folders", [("a/x", "a/y", "b/x", "b/z"), ("a/x", "a/y", "b/v", "b/w"), ("a/a", "a/x", "b")])
def test_class_folders_that_share_less_than_two_names_are_not_noted(tmp_path, folders):
    assert read_folder(made(tmp_path, *pairs(*folders))).notes == ()
