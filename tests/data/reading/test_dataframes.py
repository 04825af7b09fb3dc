import os
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from PIL import Image

from tests import PROJECT
from topwork.data.dataset import Row
from topwork.data.readers import read
from topwork.data.reading.dataframes import read_frame, read_parquet
from topwork.data.reading.listing import read_listing
from topwork.errors import DatasetError, MissingExtra

pd = pytest.importorskip("pandas", reason="pandas is not installed")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Make four pictures in a folder, and make it the working directory."""
    monkeypatch.chdir(tmp_path)
    for i in range(4):
        Image.new("L", (4, 4), 50 * i).save(f"{i}.png")
    return tmp_path


def told(frame, reader=read_frame):
    with pytest.raises(DatasetError) as error:
        reader(frame)
    return str(error.value)


TABLE = {
    "path": ["0.png", "1.png", "2.png"],
    "label": ["x", "y", "x"],
    "split": ["train", None, "Test"],
    "group": [7, None, 8],
    "note": [{"a": 1}, b"", object()],
}


def test_a_frame_has_the_columns_of_a_listing(files):
    data = read_frame(pd.DataFrame(TABLE, index=["a", "b", "b"]))
    assert (data.root, data.columns) == (str(files), ("path",))
    assert data.rows == (
        Row("0.png", "", "x", "train", "7"),
        Row("1.png", "", "y", None, None),
        Row("2.png", "", "x", "test", "8"),
    )


def test_a_frame_may_hold_several_pictures_a_row(files):
    frame = pd.DataFrame({"Front": ["0.png", "1.png"], "label": [True, False], "side": [Path("2.png"), Path("3.png")]})
    data = read_frame(frame)
    assert data.columns == ("front", "side")
    assert data.rows[0] == Row("0.png", "", "True", further=(("2.png", ""),))


@pytest.mark.parametrize(
    "labels",
    [
        [3, 12],
        [3.0, 12.0],
        pd.array([3, 12], "Int64"),
        pd.array(["3", "12"], "string"),
        pd.Categorical([3, 12]),
        pd.array([3, 12], "uint8"),
    ],
)
def test_labels_of_any_kind_become_text(files, labels):
    assert [row.label for row in read_frame(pd.DataFrame({"path": ["0.png", "1.png"], "label": labels})).rows] == [
        "3",
        "12",
    ]


EXTRA = {
    "age": [34, None, 36],
    "weight": [0.1, float("nan"), 1e-7],
    "count": [1, 2, 3],
    "is_wild": [True, False, True],
    "site": ["north, ä", None, "NA"],
    "day": pd.to_datetime(["2026-05-01", None, "2026-05-03"]),
    "taken": pd.to_datetime(["2026-05-01 00:00:00", None, "2026-05-03 08:30:00"]),
    "abroad": pd.to_datetime(["2026-05-01", None, "2026-05-03"]).tz_localize("UTC"),
    "born": [date(2020, 1, 2), None, date(2021, 3, 4)],
    "price": [Decimal("1.50"), None, Decimal("NaN")],
    "span": pd.to_timedelta(["1 days", None, "2 days 01:00:00"]),
    "kind": pd.Categorical(["a", None, "b"]),
    "rank": pd.array([1, None, 3], "Int64"),
    "file": [Path("x"), None, Path("y")],
}


@pytest.mark.parametrize("name", EXTRA)
def test_the_other_columns_are_kept_as_a_csv_file_of_the_frame_would_say(files, name):
    frame = pd.DataFrame({"path": ["0.png", "1.png", "2.png"], "label": ["x", "y", "x"], name: EXTRA[name]})
    frame.to_csv("list.csv")
    data = read_frame(frame)
    assert data.rows == read_listing(str(files / "list.csv")).rows
    assert data.rows[0].extra.keys() == {name}
    assert data.notes == (f"Columns that are kept but not used: {name!r}.",)


def test_a_parquet_file_keeps_the_other_columns(files):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    kept = {name: cells for name, cells in EXTRA.items() if name not in ("file", "span")}
    frame = pd.DataFrame({"path": ["0.png", "1.png", "2.png"], "label": ["x", "y", "x"], **kept})
    frame.to_parquet("list.parquet")
    rows = read_parquet(str(files / "list.parquet")).rows
    assert [row.extra for row in rows] == [row.extra for row in read_frame(frame).rows]
    assert rows[0].extra.keys() == kept.keys()


def test_what_is_no_text_is_not_read_beside_what_is_kept(files):
    data = read_frame(pd.DataFrame(TABLE | {"age": [34, 35, 36]}))
    assert data.notes == ("Columns that are kept but not used: 'age'.", "Columns that were not read: 'note'.")
    assert data.rows[0].extra == {"age": "34"}


def test_read_takes_frames_and_those_made_of_them(files):
    class Own(pd.DataFrame):
        pass

    frame = {"path": ["0.png", "1.png", "2.png", "3.png"], "label": list("xyxy")}
    data = read(pd.DataFrame(frame))
    assert [row.path for row in data.rows] == frame["path"]
    assert all(len(row.digest) == 64 and row.split for row in data.rows)
    assert read(Own(frame)) == data


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"path": ["0.png"], "class": ["x"]},
            "the DataFrame has the columns 'path', 'class': expected at least 'path' and 'label'.",
        ),
        (
            {"path": ["0.png", "1.png"], "label": ["x", None]},
            "the DataFrame, row 1: the label is empty. Give the row a label, or leave it out.",
        ),
        ({"path": [float("nan"), "1.png"], "label": ["x", "y"]}, "the DataFrame, row 0: the path is empty."),
        (
            {"path": ["0.png"], "label": ["x"], "split": ["tset"]},
            "the DataFrame, row 0: split 'tset', expected 'train', 'val' or 'test'; did you mean 'test'?",
        ),
        (
            {"front": ["0.png", "1.png"], "side": ["2.png", None], "label": ["x", "y"]},
            "the DataFrame, row 1: the picture 'side' is missing. Give the row one, or leave it out.",
        ),
        (
            {"path": ["0.png", "none.png"], "label": ["x", "y"]},
            "1 of the 2 files that the DataFrame names are not there: 'none.png'. Paths are relative to {root}.",
        ),
        (
            {"image": [b"\x89PNG"], "label": ["x"]},
            "the DataFrame: the column 'image' holds bytes: expected text or numbers.",
        ),
        (
            {"path": ["0.png"], "label": [("x",)]},
            "the DataFrame: the column 'label' holds tuple: expected text or numbers.",
        ),
    ],
)
def test_a_wrong_frame_is_refused(files, table, message):
    assert told(pd.DataFrame(table)) == message.format(root=repr(str(files)))


def test_a_parquet_file_has_the_columns_of_a_listing(files):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    (files / "lists").mkdir()
    table = {
        "path": [f"../{i}.png" for i in range(4)],
        "label": pd.Categorical(list("xyxy")),
        "group": [1, None, None, 2],
        "vector": [[0.5]] * 4,
    }
    pd.DataFrame(table, index=[4, 5, 6, 8]).to_parquet("lists/label=z.parquet")
    data = read("lists/label=z.parquet")
    assert (data.root, data.columns) == (str(files / "lists"), ("path",))
    assert "Columns that were not read: 'vector'." in data.notes
    assert [(row.path, row.label, row.group) for row in data.rows] == [
        ("../0.png", "x", "1"),
        ("../1.png", "y", None),
        ("../2.png", "x", None),
        ("../3.png", "y", "2"),
    ]


def test_the_index_of_a_parquet_file_is_no_picture(files):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pd.DataFrame({"front": ["0.png"], "side": ["1.png"], "label": ["x"]}, index=["z"]).to_parquet("list.parquet")
    assert read_parquet(str(files / "list.parquet")).columns == ("front", "side")


def test_a_wrong_parquet_file_is_refused(files):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    path = str(files / "list.parquet")
    pd.DataFrame({"path": ["none.png"], "label": ["x"]}).to_parquet(path)
    assert told(path, read) == (
        f"1 of the 1 files that {path!r} names are not there: 'none.png'. Paths are relative to {str(files)!r}."
    )
    content = Path(path).read_bytes()
    for damaged in (b"", b"path,label\n", content[: len(content) // 2]):
        Path(path).write_bytes(damaged)
        assert told(path, read) == f"{path!r} cannot be read: it is not a Parquet file, or it is damaged."


def test_a_parquet_file_without_pyarrow_names_the_install_line(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (files / "list.parquet").touch()
    with pytest.raises(MissingExtra) as error:
        read("list.parquet")
    assert str(error.value) == (
        'reading a Parquet file needs pyarrow. Install it with: pip install "topwork[parquet]".'
    )


def test_reading_a_folder_loads_neither_pandas_nor_tensorflow(files):
    for label in "xy":
        os.mkdir(label)
        os.rename("0.png" if label == "x" else "1.png", f"{label}/a.png")
    source = (
        "import sys, topwork; topwork.read('.'); print(sorted({'pandas', 'pyarrow', 'tensorflow'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"
