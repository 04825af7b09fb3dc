"""README's session runs as printed; nothing but the extra ``weights`` needs to be installed."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests import PROJECT
from tests.command import topwork
from tests.conftest import make_folder
from topwork.commands.cli import app
from topwork.networks.weights import efficientnet_lite0

TEXT = (PROJECT / "README.md").read_text(encoding="utf-8")
SESSION = re.search(r"^```\n(topwork read .*?)^```$", TEXT, re.DOTALL | re.MULTILINE)[1]
SEEN = re.search(r"^```console\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)[1]
PYTHON = re.search(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)[1]


def commands():
    """Return the session's commands as lists of words, without comments."""
    lines = [shlex.split(line, comments=True) for line in SESSION.replace("\\\n", " ").splitlines()]
    return [words[1:] for words in lines]


def test_the_session_names_only_commands_that_exist():
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.typer_instance.info.name for group in app.registered_groups}
    assert {words[0] for words in commands()} <= known


def test_the_python_compiles():
    compile(PYTHON, "README.md", "exec")


def masked(text):
    """Return printed lines without what differs between machines and pictures: numbers, paths, and rows of answers."""
    lines = re.sub(r"'/\S+'", "PATH", text).splitlines()
    lines = [re.sub(r"\d+(\.\d+)?", "N", line) for line in lines if not re.match(r"\w+/.*\.jpg ", line)]
    return [" ".join(line.replace("N min N s", "N s").split()) for line in lines if line != "..."]


@pytest.mark.full
def test_what_one_sees_is_what_is_printed(real, tmp_path, monkeypatch):
    """The commands of the first session print what README shows, on the same photos."""
    if not efficientnet_lite0.path().is_file():
        pytest.skip("the extra 'weights' is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOPWORK_HOME", str(tmp_path / "home"))
    shutil.copytree(real / "flowers5", "flowers")
    shutil.copy(min(Path("flowers/rose").iterdir()), "rose.jpg")
    told = ""
    for line in SEEN.splitlines():
        if line.startswith("$ topwork "):
            ran = topwork(*shlex.split(line)[2:])
            assert ran.status == 0, ran.err
            told += f"{line}\n{ran.err}{ran.out}"
    assert masked(told) == masked(SEEN)


@pytest.mark.full
def test_the_session_runs_as_printed(tmp_path, monkeypatch):
    if not efficientnet_lite0.path().is_file():
        pytest.skip("the extra 'weights' is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    make_folder(tmp_path / "flowers", each=20, first=80_000)
    make_folder(tmp_path / "holiday", each=2, first=81_000)
    (tmp_path / "rose.jpg").write_bytes((tmp_path / "flowers" / "red" / "000.png").read_bytes())
    for words in commands():
        ran = topwork(*words)
        assert ran.status == 0, f"topwork {' '.join(words)}: {ran.err}"
    exec(compile(PYTHON, "README.md", "exec"), {})
