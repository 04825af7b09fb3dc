"""All sources of labels are read in the same way, and classes have one order."""

import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.test_readers import made
from topwork.data.dataset import Dataset, Row
from topwork.data.labels import MISSING, column, in_order
from topwork.data.readers import read
from topwork.data.reading.listing import write_csv
from topwork.errors import DatasetError

GREY = np.arange(12 * 4, dtype=np.uint8).reshape(12, 2, 2)


def read_csv(root, cells, header="path,label"):
    made(root, **{f"p{i}": i for i in range(len(cells))})
    lines = [header, *(f"p{i}.png,{cell}" for i, cell in enumerate(cells))]
    (root / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    return [row.label for row in read(root / "list.csv").rows]


def read_frame(root, cells):
    made(root, **{f"p{i}": i for i in range(len(cells))})
    frame = pd.DataFrame({"path": [str(root / f"p{i}.png") for i in range(len(cells))], "label": cells})
    return [row.label for row in read(frame).rows]


def read_arrays(_, cells):
    return [row.label for row in read((GREY[: len(cells)], cells)).rows]


@pytest.mark.parametrize("reader", [read_csv, read_frame, read_arrays])
@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        ([" rose", "tulip\t", "\u200brose", "tulip"], ["rose", "tulip", "rose", "tulip"]),
        (["cafe\u0301", "caf\u00e9", "the", "the "], ["caf\u00e9", "caf\u00e9", "the", "the"]),
        (["1.0", "0.0", "1", "0"], ["1", "0", "1", "0"]),
        (["1.10", "1.9", "1.10", "1.0"], ["1.10", "1.9", "1.10", "1.0"]),
        (["007", "008", "007", "1.0"], ["007", "008", "007", "1.0"]),
        (["1e3", "2e3", "1e3", "2e3"], ["1e3", "2e3", "1e3", "2e3"]),
    ],
)
def test_a_label_is_read_in_one_way_whatever_it_comes_from(tmp_path, reader, cells, labels):
    assert reader(tmp_path, cells) == labels


@pytest.mark.parametrize("reader", [read_frame, read_arrays])
@pytest.mark.parametrize("cells", [[0.0, 1.0, 0.0, 1.0], [0, 1, 0, 1], np.array([0, 1, 0, 1], np.float32)])
def test_numbers_of_any_type_are_the_labels_of_their_own_csv(tmp_path, reader, cells):
    assert reader(tmp_path, cells) == ["0", "1", "0", "1"]


def test_a_frame_and_its_own_csv_have_the_same_labels(tmp_path):
    frame = pd.DataFrame({"path": ["p0.png", "p1.png", "p2.png"], "label": [0, 1, None], "reason": ["", "", "gone"]})
    made(tmp_path, p0=0, p1=1, p2=2)
    frame.to_csv(tmp_path / "own.csv", index=False)
    own = [row.label for row in read(tmp_path / "own.csv").rows]
    frame["path"] = [str(tmp_path / path) for path in frame["path"]]
    assert [row.label for row in read(frame).rows] == own == ["0", "1"]


@pytest.mark.parametrize("word", MISSING)
@pytest.mark.parametrize(
    ("reader", "where"), [(read_csv, "line 4: "), (read_frame, "row 2: "), (read_arrays, "y[2]: ")]
)
def test_a_word_for_a_missing_value_is_no_class(tmp_path, reader, where, word):
    with pytest.raises(DatasetError, match="which programs write where a value is missing") as error:
        reader(tmp_path, ["a", "b", word, "a"])
    assert f"{where}the label is {word!r}" in str(error.value)


@pytest.mark.parametrize("value", [None, float("nan"), " ", "\u200b"])
@pytest.mark.parametrize(("reader", "where"), [(read_frame, "row 2: "), (read_arrays, "y[2]: ")])
def test_a_missing_value_is_named(tmp_path, reader, where, value):
    with pytest.raises(DatasetError) as error:
        reader(tmp_path, np.array(["a", "b", value, "a"], object))
    assert str(error.value).endswith(f"{where}the label is empty. Give the row a label, or leave it out.")


def test_a_class_folder_called_none_survives_its_own_table(tmp_path):
    made(tmp_path, **{"None/a": 1, "some/b": 2})
    write_csv(read(tmp_path), tmp_path / "own.csv")
    assert read(tmp_path / "own.csv").classes == ("None", "some")


@pytest.mark.parametrize(
    ("first", "second"),
    [("Rose", "rose"), ("a b", "ab"), ("a\u200bb", "ab"), ("\uff11", "1"), ("a\u00a0b", "a b")],
)
def test_labels_that_look_alike_are_refused(tmp_path, first, second):
    with pytest.raises(DatasetError, match="differ only in case, blanks or invisible characters"):
        read_csv(tmp_path, [first, second])


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["10", "9", "1", "0"], ("0", "1", "9", "10")),
        (["-1", "-10", "2"], ("-10", "-1", "2")),
        (["007", "10", "7"], ("007", "7", "10")),
        (["10", "9", "none"], ("10", "9", "none")),
        (["b", "a", "B"], ("B", "a", "b")),
    ],
)
def test_labels_that_are_whole_numbers_sort_as_numbers(labels, order):
    assert in_order(labels) == order
    assert Dataset("", tuple(Row("x", "", label) for label in labels)).classes == order


def test_an_order_that_was_written_down_is_kept():
    rows = tuple(Row("x", "", label) for label in ("2", "10", "1"))
    assert Dataset("", rows, order=("1", "10", "2", "3")).classes == ("1", "10", "2")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_reading_twice_changes_nothing(cells):
    once = column(cells)
    assert column(once) == once
    assert all(column([label, "x"])[0] == label == unicodedata.normalize("NFC", label) for label in once)
