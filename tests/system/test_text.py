"""If a terminal or a file cannot hold a character, there is no traceback, and JSON loses nothing."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import topwork
from tests.command import in_a_new_process
from tests.conftest import make_folder
from topwork.commands.output import print_json, print_table
from topwork.data.dataset import Dataset, Row
from topwork.errors import of_text
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Phase
from topwork.runs.creation import create
from topwork.runs.folder import Folder
from topwork.system.messages import say
from topwork.system.text import HANDLER, as_json, fitting

ENCODINGS = ["ascii", "latin-1", "cp1252", "koi8-r", "utf-8"]
ODD = "─ … → 花 é 🌹 \udce9 \ud800 \x00"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_text_fits_any_encoding(encoding):
    found = fitting(ODD, encoding)
    found.encode(encoding)
    assert fitting("plain", encoding) == "plain"
    assert fitting("a ─→", "ascii") == "a -->"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_loses_nothing(encoding):
    value = {ODD: [ODD, 1.5, None]}
    text = as_json(value, encoding)
    assert json.loads(text.encode(encoding).decode(encoding)) == value
    assert as_json("花é", "utf-8") == '"花é"'


def stream(encoding, errors="strict"):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors, write_through=True)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_said_never_raises_where_nothing_is_reconfigured(encoding, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream(encoding))
    say(ODD)
    assert sys.stderr.errors == "strict"
    assert sys.stderr.buffer.getvalue()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_tables_and_json_on_the_command_line(encoding, monkeypatch):
    monkeypatch.setattr(sys, "stdout", stream(encoding, HANDLER))
    print_table(["class", "n"], [("花", "1"), ("\udce9", "20")])
    print_json({"花": ODD})
    table, _, last = sys.stdout.buffer.getvalue().rstrip(b"\n").rpartition(b"\n")
    assert json.loads(last.decode(encoding)) == {"花": ODD}
    assert b"\xe9" in table, "the bytes of a file's name stand for themselves"
    if encoding == "ascii":
        assert table.splitlines()[1] == b"-----  --"


def test_text_that_cannot_be_written_is_told_in_words():
    with pytest.raises(UnicodeEncodeError) as error:
        "photos/caf\udce9.jpg".encode()
    assert str(of_text(error.value)) == (
        r"'photos/caf\udce9.jpg' holds bytes that are no text in UTF-8. Rename the file or folder that is called so."
    )


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Write classes with names in other scripts, and a file whose name is not valid text."""
    folder = make_folder(tmp_path_factory.mktemp("odd") / "data", each=3, side=16)
    (folder / "blue").rename(folder / "花の病気")
    (folder / "red" / "000.png").rename(os.fsdecode(os.fsencode(folder) + b"/red/caf\xe9.png"))
    (folder / "red" / "bad….png").write_text("no picture")
    return folder


LATIN = {"PYTHONIOENCODING": "latin-1"}


@pytest.mark.parametrize("environment", [LATIN, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}], ids=str)
def test_a_command_on_a_terminal_that_knows_few_characters(odd, environment):
    command = [sys.executable, "-m", "topwork", "read", str(odd)]
    done = subprocess.run(command, capture_output=True, env=os.environ | environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"caf\\xe9.png: its name is not UTF-8" in done.stdout
    assert (b"\\u82b1" in done.stdout) is ("LC_ALL" not in environment)


def test_json_of_a_command_on_such_a_terminal(odd, tmp_path):
    ran = in_a_new_process(
        "read",
        odd,
        "--json",
        "--csv",
        tmp_path / "all.csv",
        "--preview",
        tmp_path / "all.png",
        MPLBACKEND="none-such",
        **LATIN,
    )
    assert set(ran.json["classes"]) == {"花の病気", "green", "red"}
    assert "花の病気".encode() in (tmp_path / "all.csv").read_bytes()
    assert (tmp_path / "all.png").exists()


def test_a_folder_of_data_whose_name_is_no_text_is_in_a_runs_environment(tmp_path):
    data = Dataset(f"{tmp_path}/b\udce9te", (Row("a.png", "0" * 64, "a", "train"), Row("b.png", "1" * 64, "b", "test")))
    run = create(tmp_path / "b\udce9te run", Recipe((Phase("vgg16@pool"),)), data)
    assert Folder(run.path).data() == data


def test_files_are_written_and_read_as_utf8_whatever_the_locale():
    """Every call that opens a file as text names its encoding."""
    opening = re.compile(r"(?:\.open|\bopen|read_text|write_text)\((?![^\n]*(?:encoding=|\"[rwxa]*b\"))[^\n]*")
    others = re.compile(r"Image\.open|os\.open|lmdb\.open|_open\(|def open|gzip\.open|tarfile\.open|>>> |self\._open")
    lines = [
        f"{path.name}: {line.strip()}"
        for path in Path(topwork.__file__).parent.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if opening.search(line) and not others.search(line)
    ]
    assert lines == []
