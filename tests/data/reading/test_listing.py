import csv

import pytest

from topwork.data.dataset import LeftOut, Row
from topwork.data.reading.listing import read_listing, recall, write_csv
from topwork.errors import DatasetError


def written(folder, text, name="list.csv", pictures=("a.png", "b.png", "ä ö/c.png")):
    for picture in pictures:
        (folder / picture).parent.mkdir(exist_ok=True)
        (folder / picture).touch()
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(folder / name)


def told(path):
    with pytest.raises(DatasetError) as error:
        read_listing(path)
    return str(error.value)


def test_a_listing_keeps_its_order_and_its_columns(tmp_path):
    path = written(tmp_path, "label, Path ,group,split,note\ny,b.png,,TRAIN,hm\nx,ä ö/c.png,g 1, valid ,\nx,a.png,,,\n")
    data = read_listing(path)
    assert data.root == str(tmp_path)
    assert data.rows == (
        Row("b.png", "", "y", "train", None, extra={"note": "hm"}),
        Row("ä ö/c.png", "", "x", "val", "g 1"),
        Row("a.png", "", "x", None, None),
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.tsv", "path\tlabel\na.png\tx, y\n"),
        ("list.TSV", "path\tlabel\r\n\r\na.png\tx, y\r\n"),
        ("list.csv", 'path,label\na.png,"x, y"\n\n'),
        ("list.csv", b'\xef\xbb\xbfpath,label\na.png,"x, y"'),
    ],
)
def test_tabs_commas_byte_order_marks_and_empty_lines(tmp_path, name, text):
    assert read_listing(written(tmp_path, text, name)).rows == (Row("a.png", "", "x, y"),)


def test_absolute_paths_stay_as_they_are(tmp_path):
    (tmp_path / "sub").mkdir()
    path = written(tmp_path, f"path,label\n{tmp_path / 'a.png'},x\n../b.png,y\n", "sub/list.csv")
    assert [row.path for row in read_listing(path).rows] == [str(tmp_path / "a.png"), "../b.png"]


def test_rows_with_a_reason_are_left_out_again(tmp_path):
    path = written(
        tmp_path, "path,sha256,label,split,group,reason\na.png,00,x,train,,\ngone.png,,,,,the file is empty\n"
    )
    assert read_listing(path).rows == (Row("a.png", "", "x", "train"),)
    assert read_listing(path).left_out == (LeftOut("gone.png", "the file is empty"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "{path} has no header: expected at least 'path' and 'label', separated by commas."),
        ("\n", "{path} has no header: expected at least 'path' and 'label', separated by commas."),
        (
            "path;label\n",
            "{path} has the columns 'path;label': expected at least 'path' and 'label', separated by commas.",
        ),
        (
            "path,class\n",
            "{path} has the columns 'path', 'class': expected at least 'path' and 'label', separated by commas.",
        ),
        (
            "path,label\na.png,x\nb.png, \n",
            "{path}, line 3: the label is empty. Give the row a label, or leave it out.",
        ),
        ("path,label\na.png\n", "{path}, line 2: the label is empty. Give the row a label, or leave it out."),
        ("path,label\n,x\n", "{path}, line 2: the path is empty."),
        (
            "path,label,split\na.png,x,tset\n",
            "{path}, line 2: split 'tset', expected 'train', 'val' or 'test'; did you mean 'test'?",
        ),
        (
            "path,label\na.png,x,y\n",
            "{path}, line 2: 3 cells below 2 columns. Put quotes around a cell that contains a comma or a tab.",
        ),
        (
            "path,label\n1.png,x\na.png,x\n2.png,x\n3.png,y\n4.png,y\n",
            "4 of the 5 files that {path} names are not there: '1.png', '2.png', '3.png', '4.png'. "
            "Paths are relative to {root}.",
        ),
        (b"path,label\n\xe4.png,x\n", "{path} is not UTF-8 (byte 11): save it as UTF-8."),
    ],
)
def test_a_wrong_listing_is_refused(tmp_path, text, message):
    path = written(tmp_path, text)
    assert told(path) == message.format(path=repr(path), root=repr(str(tmp_path)))


def test_a_tsv_asks_for_tabs(tmp_path):
    path = written(tmp_path, "path,label\n", "list.tsv")
    assert (
        told(path) == f"{path!r} has the columns 'path,label': expected at least 'path' and 'label', separated by tabs."
    )


def test_a_cell_without_end_is_refused(tmp_path):
    path = written(tmp_path, 'path,label\na.png,"' + "x" * 140_000)
    assert told(path) == f"{path!r}, line 2: field larger than field limit (131072)."


def test_without_a_path_the_other_columns_hold_pictures(tmp_path):
    data = read_listing(written(tmp_path, "Front,label, side,group,split\na.png,x,b.png,g,test\nb.png,y,a.png,,\n"))
    assert data.columns == ("front", "side")
    assert data.rows == (
        Row("a.png", "", "x", "test", "g", (("b.png", ""),)),
        Row("b.png", "", "y", None, None, (("a.png", ""),)),
    )


def test_one_picture_column_may_have_any_name(tmp_path):
    data = read_listing(written(tmp_path, ",image,label\n0,a.png,x\n1,b.png,y\n"))
    assert data.columns == ("image",)
    assert data.rows == (Row("a.png", "", "x"), Row("b.png", "", "y"))


def test_beside_a_path_a_column_that_names_pictures_holds_them(tmp_path):
    text = "side,path,label,note,original\nb.png,a.png,x,fine,old.png\na.png,b.png,y,b,older.png\n"
    data = read_listing(written(tmp_path, text))
    assert data.columns == ("path", "side")
    assert data.rows == (
        Row("a.png", "", "x", further=(("b.png", ""),), extra={"note": "fine", "original": "old.png"}),
        Row("b.png", "", "y", further=(("a.png", ""),), extra={"note": "b", "original": "older.png"}),
    )


def test_rows_of_several_pictures_with_a_reason_are_left_out_again(tmp_path):
    reason = "the picture 'side' ('b.png'): the file is empty"
    data = read_listing(written(tmp_path, f"front,side,label,reason\na.png,b.png,x,\ngone.png,,,{reason}\n"))
    assert data.left_out == (LeftOut("gone.png", reason),)
    assert data.rows == (Row("a.png", "", "x", further=(("b.png", ""),)),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "label,group\nx,g\n",
            "{path} has the columns 'label', 'group': expected at least 'path' and 'label', separated by commas.",
        ),
        (
            "front,side,label\na.png,b.png,x\nb.png, ,x\n",
            "{path}, line 3: the picture 'side' is missing. Give the row one, or leave it out.",
        ),
        (
            "path,side,label\na.png,b.png,x\nb.png,,x\n",
            "{path}, line 3: the picture 'side' is missing. Give the row one, or leave it out.",
        ),
        (
            "front,side,label\n,b.png,x\n",
            "{path}, line 2: the picture 'front' is missing. Give the row one, or leave it out.",
        ),
        (
            "path,side,label\na.png,b.png,x\nb.png,none.png,x\n",
            "1 of the 4 files that {path} names are not there: 'none.png' (the picture 'side' is missing). "
            "Paths are relative to {root}.",
        ),
        (
            "front,age,label\na.png,34,x\nb.png,35,x\n",
            "2 of the 4 files that {path} names are not there: '34' (the picture 'age' is missing), "
            "'35' (the picture 'age' is missing). Paths are relative to {root}. "
            "Without 'path', every column but label, split and group names pictures.",
        ),
        ("front,front,label\na.png,b.png,x\n", "{path} has the column 'front' 2 times: keep one."),
        ("path,label,Label\na.png,x,y\n", "{path} has the column 'label' 2 times: keep one."),
    ],
)
def test_a_wrong_listing_of_several_pictures_is_refused(tmp_path, text, message):
    path = written(tmp_path, text)
    assert told(path) == message.format(path=repr(path), root=repr(str(tmp_path)))


SPLIT = " The split is read from a column named 'split'."


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("path,label,Part,camera\na.png,x,Train,\nb.png,y,test,c\n", (f"'part', 'camera'.{SPLIT}",)),
        ("path,label,fold\na.png,x,1\nb.png,y,2\n", ("'fold'.",)),
        ("path,label,set\na.png,x,\nb.png,y,\n", ("'set'.",)),
        ("path,label,camera\na.png,x,train\nb.png,y,test\n", ("'camera'.",)),
        ("path,label,split,set\na.png,x,train,train\nb.png,y,test,test\n", ("'set'.",)),
        (",path,sha256,label,split,group,reason\n0,a.png,00,x,,,\n1,b.png,01,y,,,\n", ()),
        ("front,side,label\na.png,b.png,x\nb.png,a.png,y\n", ()),
    ],
)
def test_columns_that_are_not_used_are_noted(tmp_path, text, notes):
    found = read_listing(written(tmp_path, text)).notes
    assert found == tuple(f"Columns that are kept but not used: {note}" for note in notes)


@pytest.mark.parametrize("text", ["path,label\na.png,x\nb.png,y\n", "path,label,age\na.png,x,3\nb.png,y,4\n"])
def test_a_listing_that_topwork_wrote_has_no_column_that_is_not_used(tmp_path, text):
    data = read_listing(written(tmp_path, text))
    write_csv(data, tmp_path / "again.csv")
    again = read_listing(str(tmp_path / "again.csv"))
    assert (again.rows, again.notes) == (data.rows, ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", 'path,Age ,label,,Site\na.png, 34,x,i,"north, ä"\nb.png,,y,j,\n"ä ö/c.png", ,y\n'),
        ("list.tsv", 'path\tage\tlabel\t\tsite\na.png\t 34\tx\ti\t"north, ä"\nb.png\t\ty\nä ö/c.png\t \ty\n'),
    ],
)
def test_the_other_columns_are_kept_but_for_empty_cells(tmp_path, name, text):
    rows = read_listing(written(tmp_path, text, name)).rows
    assert [row.extra for row in rows] == [{"age": " 34", "site": "north, ä"}, {}, {}]


def test_a_word_for_a_missing_value_is_a_text_like_any_other(tmp_path):
    rows = read_listing(written(tmp_path, "path,label,country\na.png,x,NA\nb.png,y,nan\n")).rows
    assert [row.extra for row in rows] == [{"country": "NA"}, {"country": "nan"}]


@pytest.mark.parametrize(
    "cell",
    ["plain", "[1, 2]", "7", "null", '{"age": 3}', '{"age": ["3"]}', '{"age": "3"', "{}", "[" * 100_000, "NaN"],
)
def test_a_column_of_a_user_that_is_called_extra_is_one_like_any_other(tmp_path, cell):
    quoted = cell.replace('"', '""')
    data = read_listing(written(tmp_path, f'path,label,extra\na.png,x,"{quoted}"\nb.png,y,\n'))
    assert [row.extra for row in data.rows] == [{"extra": cell}, {}]
    assert data.notes == ("Columns that are kept but not used: 'extra'.",)
    write_csv(data, tmp_path / "again.csv")
    assert read_listing(str(tmp_path / "again.csv")).rows == data.rows


def test_json_objects_in_a_column_called_extra_are_taken_apart(tmp_path):
    text = 'path,label,extra,age\na.png,x,"{""Age"": ""3"", ""age"": ""old""}",4\nb.png,y,,\n'
    data = read_listing(written(tmp_path, text))
    assert [row.extra for row in data.rows] == [{"Age": "3", "age": "4"}, {}]
    assert data.notes == ("Columns that are kept but not used: 'age'.",)
    alone = read_listing(written(tmp_path, 'front,side,extra,label\na.png,b.png,"{""age"": ""3""}",x\n'))
    assert (alone.columns, alone.rows[0].extra) == (("front", "side"), {"age": "3"})


@pytest.mark.parametrize("first", ["path", "front"])
def test_a_column_of_pictures_may_be_called_extra(tmp_path, first):
    age = ",age" if first == "path" else ""
    data = read_listing(written(tmp_path, f"{first},extra,label{age}\na.png,b.png,x{age}\nb.png,a.png,y{age}\n"))
    assert data.columns == (first, "extra")
    assert data.rows[0].extra == ({"age": "age"} if age else {})
    write_csv(data, tmp_path / "again.csv")
    assert ("extra_" in (tmp_path / "again.csv").read_text()) == bool(age)
    assert read_listing(str(tmp_path / "again.csv")).rows == data.rows
    assert recall(str(tmp_path / "again.csv"), data.root).rows == data.rows


def test_a_picture_alone_may_be_called_extra(tmp_path):
    data = read_listing(written(tmp_path, "extra,label\na.png,x\nb.png,y\n"))
    assert (data.columns, data.rows[0]) == (("extra",), Row("a.png", "", "x"))


def test_long_cells_are_read_from_the_one_that_holds_them_all(tmp_path):
    text = f"path,label,one,two\na.png,x,{'x' * 100_000},{'y' * 100_000}\n"
    data = read_listing(written(tmp_path, text))
    write_csv(data, tmp_path / "again.csv")
    assert read_listing(str(tmp_path / "again.csv")).rows == data.rows
    assert csv.field_size_limit() == 131_072
