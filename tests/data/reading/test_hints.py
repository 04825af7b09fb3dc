"""Why a path leads to no file: each usual cause, by itself and together with another."""

import unicodedata
from pathlib import Path

import pytest

import topwork as tw
from tests.conftest import COLOURS, picture
from topwork.data.reading.hints import hint
from topwork.data.reading.listing import read_listing
from topwork.errors import DatasetError

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "fougère") for form in ("NFC", "NFD"))


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Make a folder with a few files; the working directory is its parent."""
    for name in ("daisy/1.jpg", "daisy/2.JPG", "Rose/3.jpeg", f"{DECOMPOSED}/4.jpg", "a b.jpg"):
        (tmp_path / "flowers" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "flowers" / name).touch()
    (tmp_path / "here.jpg").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "flowers"))
    monkeypatch.chdir(tmp_path)
    return str(tmp_path / "flowers")


@pytest.mark.parametrize(
    ("path", "cause", "found"),
    [
        ("daisy\\1.jpg", "has the backslashes of Windows", "daisy/1.jpg"),
        ("daisy/1.jpg ", "has blanks or quotes around it", "daisy/1.jpg"),
        ("'daisy/1.jpg'", "has blanks or quotes around it", "daisy/1.jpg"),
        ("Daisy/1.jpg", "differs in upper and lower case from the file", "daisy/1.jpg"),
        ("daisy/2.jpg", "differs in upper and lower case from the file", "daisy/2.JPG"),
        ("Rose/3.jpg", "has another suffix than the file", "Rose/3.jpeg"),
        ("daisy/1", "has another suffix than the file", "daisy/1.jpg"),
        (f"{COMPOSED}/4.jpg", "has accents in another Unicode form than the file", f"{DECOMPOSED}/4.jpg"),
        ("a%20b.jpg", "has escapes with '%'", "a b.jpg"),
        ("file:daisy/1.jpg", "begins with 'file:'", "daisy/1.jpg"),
        ("flowers/daisy/1.jpg", "is relative to the working directory", "daisy/1.jpg"),
        ("here.jpg", "is relative to the working directory", "../here.jpg"),
        ("/gone/flowers/daisy/1.jpg", "begins with folders that the file is not in", "daisy/1.jpg"),
        (
            "C:\\Users\\me\\daisy\\1.jpg",
            "has the backslashes of Windows and begins with folders that the file is not in",
            "daisy/1.jpg",
        ),
        (
            "rose\\3.JPEG",
            "has the backslashes of Windows and differs in upper and lower case from the file",
            "Rose/3.jpeg",
        ),
    ],
)
def test_a_usual_cause_is_named_with_what_to_write(root, path, cause, found):
    assert hint(root, path) == f"{path!r} {cause}: write {found!r}."
    assert Path(root, found).is_file()


def test_a_path_that_a_shell_or_a_browser_would_understand(root):
    assert hint(root, "~/daisy/1.jpg") == (
        f"'~/daisy/1.jpg' has a '~', which only a shell replaces: write '{root}/daisy/1.jpg'."
    )
    for path in (f"file://{root}/daisy/1.jpg", f"file:{root}/daisy/1.jpg", f"file://localhost{root}/daisy/1.jpg"):
        assert hint(root, path) == f"{path!r} begins with 'file:': write '{root}/daisy/1.jpg'."
    path = f"file://{root}/a%20b.jpg"
    assert hint(root, path) == f"{path!r} begins with 'file:' and has escapes with '%': write '{root}/a b.jpg'."


def test_a_path_of_windows_whose_file_is_nowhere(root):
    assert hint(root, "D:\\photos\\9.jpg") == (
        "'D:\\\\photos\\\\9.jpg' is a Windows path, which does not work here: "
        f"write paths relative to {root!r}, with '/'."
    )


@pytest.mark.parametrize("path", ["gone.jpg", "daisy/9.jpg", "", "/", "..", "~", "%", "\\", "a\0b"])
def test_where_no_cause_is_known_nothing_is_said(root, path):
    assert hint(root, path) == "" or path in ("~", "\\")


def test_two_files_that_differ_in_case_are_not_chosen_between(root):
    Path(root, "DAISY").mkdir()
    Path(root, "DAISY", "1.jpg").touch()
    assert hint(root, "Daisy/1.jpg") == ""


def test_the_first_path_with_a_known_cause_is_told(root):
    table = Path(root, "table.csv")
    table.write_text("path,label\ngone.jpg,a\ndaisy\\1.jpg,b\n")
    with pytest.raises(DatasetError, match=r" 'daisy\\\\1.jpg' has the backslashes of Windows: write 'daisy/1.jpg'\.$"):
        read_listing(str(table))
    table.write_text("path,label\ngone.jpg,a\n")
    with pytest.raises(DatasetError, match=rf"Paths are relative to {root!r}\.$"):
        read_listing(str(table))


def test_a_table_with_such_paths_is_refused_with_the_hint(tmp_path):
    for name, colour in COLOURS.items():
        (tmp_path / name).mkdir()
        picture(colour, 1).save(tmp_path / name / "1.png")
    table = tmp_path / "table.csv"
    table.write_text("path,label\n" + "".join(f"{name}\\1.png,{name}\n" for name in COLOURS))
    with pytest.raises(DatasetError) as error:
        tw.read(table)
    assert str(error.value).endswith(
        f"Paths are relative to '{tmp_path}'. 'blue\\\\1.png' has the backslashes of Windows: write 'blue/1.png'."
    )


def test_data_with_such_a_path_is_refused_with_the_hint(root):
    with pytest.raises(DatasetError, match="'Flowers' differs in upper and lower case from the file: write 'flowers'"):
        tw.read("Flowers")
