import pytest

from tests.colours import picture
from topwork.errors import DatasetError, UsageError
from topwork.shipping.inputs import asked

COLUMNS = ("front", "side")
WANTED = "the model takes the pictures 'front' and 'side' per row. Give a CSV file with these columns."


def table(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_it_finds_the_pictures_of_folders_sorted_and_leaves_files_as_they_are(tmp_path):
    for name in ("b/2.PNG", "b/1.jpg", "a.webp", ".hidden.jpg", ".cache/x.jpg", "b/.hidden/y.png"):
        picture(tmp_path / name, "red")
    (tmp_path / "notes.txt").touch()
    found = asked([tmp_path / "notes.txt", tmp_path, "missing.jpg"], ())
    inside = [str(tmp_path / name) for name in ("a.webp", "b/1.jpg", "b/2.PNG")]
    assert found == [str(tmp_path / "notes.txt"), *inside, "missing.jpg"]


def test_folders_without_pictures(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(DatasetError) as e:
        asked([tmp_path / "a", tmp_path / "b"], ())
    assert str(e.value) == f"no picture in '{tmp_path}/a', '{tmp_path}/b' or in any folder below."
    assert asked([tmp_path / "a", "b.jpg"], ()) == ["b.jpg"]
    assert asked([], ()) == []


def test_a_model_of_one_picture_is_asked_about_pictures(tmp_path):
    path = picture(tmp_path / "a.png", "red")
    assert asked([tmp_path, "b.jpg"], ()) == asked([tmp_path, "b.jpg"], ("side",)) == [path, "b.jpg"]


def test_rows_come_from_tables_their_paths_relative_to_them(tmp_path):
    one = table(tmp_path / "a" / "one.csv", "Side,note,front\n1s.png,x,1f.png\n../2s.png,,/there/2f.png\n")
    other = table(tmp_path / "other.TSV", "front\tside\tlabel\n3f.png\t3s, or so.png\t\n")
    assert asked([one, other], COLUMNS) == [
        {"front": f"{tmp_path}/a/1f.png", "side": f"{tmp_path}/a/1s.png"},
        {"front": "/there/2f.png", "side": f"{tmp_path}/a/../2s.png"},
        {"front": f"{tmp_path}/3f.png", "side": f"{tmp_path}/3s, or so.png"},
    ]


def test_paths_stay_as_short_as_they_were_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "rows.csv", "front,side\n1f.png,1s.png\n")
    assert asked(["rows.csv"], COLUMNS) == [{"front": "1f.png", "side": "1s.png"}]


def test_rows_that_were_left_out_stay_out(tmp_path):
    path = table(tmp_path / "rows.csv", "front,side,label,reason\n1f.png,1s.png,a,\n2f.png,,,a single pixel\n")
    assert asked([path], COLUMNS) == [{"front": f"{tmp_path}/1f.png", "side": f"{tmp_path}/1s.png"}]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("rose.jpg", "", "'{path}' is not a CSV file"),
        ("folder", None, "'{path}' is not a CSV file"),
        ("missing.csv", None, "no file '{path}'"),
        ("empty.csv", "", "'{path}' has no header"),
        ("rows.csv", "front,label\n1f.png,1s.png,a\n", "'{path}' has the columns 'front', 'label'"),
    ],
)
def test_words_that_are_no_rows_of_several_pictures(tmp_path, name, text, reason):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError) as e:
        asked([path], COLUMNS)
    assert str(e.value) == f"{reason.format(path=path)}: {WANTED}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "front,side\n1f.png,1s.png\n2f.png, \n",
            "'{path}', line 3: the picture 'side' is missing. Give the row one, or leave it out.",
        ),
        ("front,side,side\na,b,c\n", "'{path}' has the column 'side' 2 times: keep one."),
        (
            "front,side\na,b,c\n",
            "'{path}', line 2: 3 cells below 2 columns. Put quotes around a cell that contains a comma or a tab.",
        ),
        ("front,side\n", "no row in '{path}'."),
    ],
)
def test_tables_that_are_damaged(tmp_path, text, message):
    path = table(tmp_path / "rows.csv", text)
    with pytest.raises(DatasetError) as e:
        asked([path], COLUMNS)
    assert str(e.value) == message.format(path=path)
