"""A file appears complete or not at all, whatever happens while it is made, and no partial file stays behind."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from topwork.system.files import written_whole


def listed(folder):
    return sorted(os.listdir(folder))


def test_a_file_is_not_seen_before_it_is_whole(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with written_whole(path) as aside:
        aside.write_text("new")
        assert aside.name == "a.json"
        assert path.read_text() == "old"
    assert (path.read_text(), listed(tmp_path)) == ("new", ["a.json"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_error_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail(aside):
        aside.write_text("ne")
        raise error

    with pytest.raises(error), written_whole(path) as aside:
        fail(aside)
    assert (path.read_text(), listed(tmp_path)) == ("old", ["a.json"])


def test_others_may_read_it_as_they_may_any_new_file(tmp_path):
    with written_whole(tmp_path / "a") as aside:
        aside.touch()
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_many_may_write_into_one_folder_at_the_same_time(tmp_path):
    def write(number):
        with written_whole(tmp_path / f"{number % 6}") as aside:
            aside.write_text("whole")

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(write, range(600))) == {None}
    assert listed(tmp_path) == [str(number) for number in range(6)]


def test_there_must_be_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "none" / "a"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError), written_whole(tmp_path / "file" / "a"):
        pass


KILLED = """
import os, sys
from pathlib import Path
from topwork.system.files import written_whole
with written_whole(Path(sys.argv[1])) as aside:
    aside.write_text("ha")
    os.kill(os.getpid(), 9)
"""


def test_what_a_kill_left_is_removed_by_who_writes_next(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a")])
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert (left / "a").read_text() == "ha"
    with written_whole(tmp_path / "b") as aside:
        aside.touch()
    assert listed(tmp_path) == ["b"]


def test_who_writes_meanwhile_is_left_alone_and_the_last_one_has_the_file(tmp_path):
    path = tmp_path / "a"
    with written_whole(path) as first:
        with written_whole(path) as second:
            first.write_text("first")
            second.write_text("second")
        assert path.read_text() == "second"
    assert (path.read_text(), listed(tmp_path)) == ("first", ["a"])


def test_other_things_in_the_folder_stay(tmp_path):
    (tmp_path / ".topwork-mine").mkdir()
    (tmp_path / "results.json.part").write_text("mine")
    with written_whole(tmp_path / "a") as aside:
        aside.touch()
    assert listed(tmp_path) == [".topwork-mine", "a", "results.json.part"]
