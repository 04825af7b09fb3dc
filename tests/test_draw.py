"""The process that draws: kept for the next run, replaced where it died, stopped where an error passes."""

import os
import subprocess
import sys

import pytest

from topwork import draw
from topwork.draw import Pencil
from topwork.errors import TopworkError


@pytest.fixture(autouse=True)
def alone():
    draw._end_all()
    yield
    draw._end_all()


def confusion(pencil, path):
    pencil.draw("confusion", path, [[2, 1], [0, 3]], ["a", "b"])


def test_all_is_drawn_when_the_context_ends(tmp_path):
    with Pencil() as pencil:
        for name in "xy":
            confusion(pencil, tmp_path / f"{name}.png")
    assert all((tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in "xy")


def test_the_next_run_finds_the_process_ready(tmp_path):
    with Pencil() as first:
        confusion(first, tmp_path / "first.png")
    with Pencil() as second:
        confusion(second, tmp_path / "second.png")
    assert first._process is second._process
    assert (tmp_path / "second.png").exists()


def test_two_at_once_have_a_process_each(tmp_path):
    with Pencil() as outer, Pencil() as inner:
        confusion(outer, tmp_path / "outer.png")
        assert outer._process is not inner._process
    assert len(draw._idle) == 2


def test_one_that_died_in_between_is_replaced(tmp_path):
    with Pencil() as first:
        pass
    first._process.kill()
    first._process.wait()
    with Pencil() as second:
        confusion(second, tmp_path / "second.png")
    assert (tmp_path / "second.png").exists()


def test_an_error_that_passes_ends_it(tmp_path):
    def fail():
        with Pencil() as pencil:
            confusion(pencil, tmp_path / "x.png")
            processes.append(pencil._process)
            raise KeyError

    processes = []
    with pytest.raises(KeyError):
        fail()
    assert processes[0].returncode is not None
    assert draw._idle == []


def test_what_cannot_be_written_is_told(tmp_path, capfd):
    def fail():
        with Pencil() as pencil:
            confusion(pencil, tmp_path / "no" / "folder" / "x.png")
            pencil._process.wait()
            confusion(pencil, tmp_path / "x.png")

    with pytest.raises(TopworkError) as error:
        fail()
    assert str(error.value) == "a plot could not be drawn: the drawing process ended with 1."
    assert "No such file or directory" in capfd.readouterr().err
    assert draw._idle == []


def test_it_ends_with_the_python_that_began_it(tmp_path):
    code = "from topwork import draw\nwith draw.Pencil() as pencil: pass\nprint(pencil._process.pid)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)
