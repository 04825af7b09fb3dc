"""No option that writes a file overwrites one: the file may be the input, or a user's only copy."""

import pytest

from tests.colours import ABOUT, export, picture
from tests.command import topwork
from tests.conftest import make_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Make a folder of classes that contains a table, and make it the working directory."""
    path = make_folder(tmp_path / "data", each=2)
    lines = [f"{name}/00{i}.png,{name}\n" for name in ("red", "blue") for i in (0, 1)]
    (path / "table.csv").write_text("path,label\n" + "".join(lines))
    (tmp_path / "link.csv").symlink_to(path / "table.csv")
    (tmp_path / "here").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return path


def kept(folder):
    return {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "words",
    [
        ("read", "data/table.csv", "--csv", "data/table.csv"),
        ("read", "data/table.csv", "--csv", "data/../data/table.csv"),
        ("read", "data/table.csv", "--csv", "link.csv"),
        ("read", "link.csv", "--csv", "here/table.csv"),
        ("read", "data", "--csv", "data/red/000.png"),
        ("read", "data", "--preview", "here/red/000.png"),
    ],
)
def test_read_writes_over_no_file(folder, words):
    before = kept(folder)
    ran = topwork(*words)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == (
        f"UsageError: {words[2]} {words[3]!r} exists already and is not overwritten. "
        "Choose another name, or remove it.\n"
    )
    assert kept(folder) == before


def test_predict_and_export_write_over_no_file(folder, tmp_path):
    model = export(tmp_path / "colours.onnx", ABOUT)
    photo = picture(tmp_path / "photo.png", "red")
    before = kept(folder)
    for file in (photo, model, "link.csv"):
        assert topwork("predict", model, photo, "--csv", file).err == (
            f"UsageError: --csv {str(file)!r} exists already and is not overwritten. "
            "Choose another name, or remove it.\n"
        )
    assert topwork("predict", model, photo, "--csv", "new.csv").status == 0
    (tmp_path / "new.csv").unlink()
    assert kept(folder) == before


def test_two_outputs_of_one_name_are_refused(folder):
    ran = topwork("read", "data", "--csv", "a.png", "--preview", "here/../a.png")
    assert (ran.status, ran.err) == (
        2,
        "UsageError: --csv and --preview are the same file, 'a.png': give them different names.\n",
    )


def test_a_device_may_be_written_to(folder):
    assert topwork("read", "data", "--csv", "/dev/null").status == 0


@pytest.mark.parametrize(
    "words",
    [
        ("read", "data", "--csv"),
        ("read", "data", "--preview"),
        ("curve", "data", "--plot"),
        ("predict", "{model}", "data/red/000.png", "--csv"),
    ],
)
def test_what_no_file_can_be_written_to_is_refused_before_any_work(folder, tmp_path, words):
    model = export(tmp_path / "colours.onnx", ABOUT)
    *command, option = [word.replace("{model}", str(model)) for word in words]
    (tmp_path / "plots.png").mkdir()
    ran = topwork(*command, option, "plots.png")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == f"UsageError: {option} 'plots.png' is a folder: give the name of a new file.\n"
    ran = topwork(*command, option, "no/such.png")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == (f"UsageError: {option} 'no/such.png': there is no folder 'no'. Make it, or name another.\n")
