"""topwork detects that a folder is in use: within a process, across processes, until a process ends or is killed."""

import os
import subprocess
import sys
from threading import Thread

import pytest

from topwork.system.files import Hold, alone


def is_alone(*folders):
    with alone(*folders) as found:
        return found


def test_a_folder_is_held_until_it_is_released(tmp_path):
    folder = tmp_path / "a" / "cut"
    holds = [Hold(folder), Hold(folder)]
    assert not is_alone(folder)
    holds[0].release()
    holds[0].release()
    assert not is_alone(folder)
    holds[1].release()
    assert is_alone(folder)


def test_one_of_several_that_is_held_is_enough(tmp_path):
    (tmp_path / "free").mkdir()
    hold = Hold(tmp_path / "held")
    assert not is_alone(tmp_path / "free", tmp_path / "held")
    hold.release()
    assert is_alone(tmp_path / "free", tmp_path / "held")
    assert is_alone()


def test_who_is_forgotten_holds_no_longer(tmp_path):
    hold = Hold(tmp_path)
    assert not is_alone(tmp_path)
    del hold
    assert is_alone(tmp_path)


def test_a_killed_process_holds_no_longer(tmp_path):
    code = (
        "import sys; from pathlib import Path; from topwork.system.files import Hold; "
        "hold = Hold(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        assert not is_alone(tmp_path)
        process.kill()
    assert is_alone(tmp_path)


def test_who_comes_while_a_folder_goes_makes_another(tmp_path):
    folder, aside, holds = tmp_path / "cut", tmp_path / "aside", []
    folder.mkdir()
    (folder / "old").touch()
    comer = Thread(target=lambda: holds.append(Hold(folder)))
    with alone(folder) as found:
        assert found
        comer.start()
        comer.join(0.2)
        assert comer.is_alive() and not holds
        folder.rename(aside)
    comer.join(5)
    assert len(holds) == 1
    assert [path.name for path in aside.iterdir()] == ["old"]
    assert list(folder.iterdir()) == []
    assert is_alone(aside) and not is_alone(folder)


def test_nobody_is_alone_in_a_folder_that_is_none(tmp_path):
    assert not is_alone(tmp_path / "none")


def test_a_folder_below_a_link_to_nothing_is_an_error_and_not_tried_for_ever(tmp_path):
    (tmp_path / "unplugged").symlink_to(tmp_path / "disk that is gone")
    for folder in (tmp_path / "unplugged", tmp_path / "unplugged" / "store"):
        with pytest.raises(FileExistsError):
            Hold(folder)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        Hold(tmp_path / "file")


def test_a_folder_that_was_replaced_meanwhile_is_not_alone(tmp_path, monkeypatch):
    """The lock is then on the old folder, and another process may hold the new one."""
    folder, opened = tmp_path / "cut", os.open
    folder.mkdir()

    def replaced(path, flags):
        handle = opened(path, flags)
        folder.rename(tmp_path / "old")
        folder.mkdir()
        return handle

    monkeypatch.setattr("topwork.system.files.os.open", replaced)
    assert not is_alone(folder)
