from topwork.dataset import Dataset, LeftOut, Row

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
