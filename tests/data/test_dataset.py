import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

from topwork.data.dataset import Dataset, LeftOut, Row, array_path, in_array

DATA = Dataset(
    "/d",
    (
        Row("b.png", "02", "b", "train"),
        Row("a.png", "01", "a", "train"),
        Row("a2.png", "03", "a", "test"),
        Row("b2.png", "02", "b", "train"),
    ),
    (LeftOut("c.png", "the file is empty"),),
)


def test_classes_are_sorted():
    assert DATA.classes == ("a", "b")
    assert Dataset("/d", ()).classes == ()


def test_a_part_keeps_reading_order():
    assert [row.path for row in DATA.part("train")] == ["b.png", "a.png", "b2.png"]
    assert [row.path for row in DATA.part("test")] == ["a2.png"]
    assert DATA.part("val") == ()


def test_counts_are_by_class_and_part():
    assert DATA.counts() == {"a": {"train": 1, "val": 0, "test": 1}, "b": {"train": 2, "val": 0, "test": 0}}


def test_without_leaves_out_every_row_of_a_digest_and_keeps_the_rest():
    less = DATA.without({"02": "a JPEG file that is cut short", "99": "not there"})
    assert [row.path for row in less.rows] == ["a.png", "a2.png"]
    assert less.left_out == (
        LeftOut("c.png", "the file is empty"),
        LeftOut("b.png", "a JPEG file that is cut short"),
        LeftOut("b2.png", "a JPEG file that is cut short"),
    )
    assert less.classes == ("a",)
    assert DATA.classes == ("a", "b")
    assert DATA.without({}) == DATA


def several(*names, label="a"):
    """Return a row of several pictures; each picture's name is also its digest."""
    first, *further = ((f"{name}.png", name) for name in names)
    return Row(*first, label, further=tuple(further))


PAIRS = Dataset(
    "/d", (several("f1", "s1"), several("f2", "s2"), several("f3", "s1", label="b")), columns=("front", "side")
)


def test_a_row_without_one_of_its_pictures_goes_and_the_picture_is_named():
    less = PAIRS.without({"s1": "the file is empty", "f2": "a single pixel"})
    assert less.rows == ()
    assert less.left_out == (
        LeftOut("f1.png", "the picture 'side' ('s1.png'): the file is empty"),
        LeftOut("f2.png", "the picture 'front' ('f2.png'): a single pixel"),
        LeftOut("f3.png", "the picture 'side' ('s1.png'): the file is empty"),
    )
    assert PAIRS.without({"00": "elsewhere"}) == PAIRS


def test_all_pictures_are_seen_from_another_folder():
    moved = PAIRS.seen_from("/d/lists")
    assert moved.rows[0] == Row("../f1.png", "f1", "a", further=(("../s1.png", "s1"),))
    assert moved.seen_from("/d") == PAIRS


def test_the_content_of_a_row_is_that_of_all_its_pictures_in_order():
    assert Row("x.png", "01", "a").content == "01"
    contents = {several(*names).content for names in (("1", "2"), ("2", "1"), ("1", "1"), ("1", "2", "3"))}
    assert len(contents) == 4
    assert several("1", "2").content == Row("y.png", "1", "b", further=(("z.png", "2"),)).content


def test_a_picture_is_its_file_or_its_part_of_the_array():
    assert Dataset("/d", ()).picture("cat/a.png") == "/d/cat/a.png"
    pixels = np.arange(20 * 4).reshape(20, 2, 2)
    for number in (0, 9, 17):
        assert np.array_equal(in_array(pixels, array_path(number)), pixels[number])
        assert np.array_equal(Dataset("", (), pixels=pixels).picture(f"X[{number}]"), pixels[number])


def test_what_else_a_table_says_of_a_row_is_never_changed():
    cells = {"camera": "north"}
    row = Row("a.png", "01", "a", extra=cells)
    cells["camera"] = "south"
    assert row.extra == {"camera": "north"}
    with pytest.raises(TypeError):
        row.extra["camera"] = "south"
    assert row != Row("a.png", "01", "a")
    assert len({row, replace(row), Row("a.png", "01", "a", extra={"camera": "north"})}) == 1
    assert pickle.loads(pickle.dumps(row)) == row == copy.deepcopy(row)
    assert Row("a.png", "01", "a").extra == {}
