"""The drawing process is kept for the next run, replaced if it died, and stopped if an exception passes."""

import os
import subprocess
import sys
import time

import pytest

from tests import plots
from topwork.scoring import drawing
from topwork.scoring.drawing import Pencil


@pytest.fixture(autouse=True)
def alone():
    drawing._end_all()
    with plots.drawn():
        yield
    drawing._end_all()


def confusion(pencil, path):
    pencil.draw("charts.confusion", path, [[2, 1], [0, 3]], ["a", "b"])


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
    assert first._beside is second._beside
    assert (tmp_path / "second.png").exists()


def test_a_process_that_was_prepared_is_used(tmp_path):
    drawing.prepare()
    (prepared,) = drawing._idle
    drawing.prepare()
    assert drawing._idle == [prepared]
    with Pencil() as pencil:
        assert pencil._beside is prepared


def test_plots_are_drawn_from_the_start_and_later_ones_at_the_end(tmp_path):
    with Pencil() as pencil:
        confusion(pencil, tmp_path / "first.png")
        pencil.start()
        deadline = time.monotonic() + 60
        while not (tmp_path / "first.png").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        confusion(pencil, tmp_path / "second.png")
        assert pencil._asked == [1], "the second one is asked for at the end"
    assert (tmp_path / "second.png").exists()


def test_two_at_once_have_a_process_each(tmp_path):
    with Pencil() as outer, Pencil() as inner:
        confusion(outer, tmp_path / "outer.png")
        assert outer._beside is not inner._beside
    assert len(drawing._idle) == 2


def test_one_that_died_in_between_is_replaced(tmp_path):
    with Pencil() as first:
        pass
    first._beside.process.kill()
    first._beside.process.wait()
    with Pencil() as second:
        confusion(second, tmp_path / "second.png")
    assert (tmp_path / "second.png").exists()


def test_an_error_that_passes_ends_it(tmp_path):
    def fail():
        with Pencil() as pencil:
            confusion(pencil, tmp_path / "x.png")
            processes.append(pencil._beside)
            raise KeyError

    processes = []
    with pytest.raises(KeyError):
        fail()
    assert processes[0].process.returncode is not None
    assert drawing._idle == []


def test_what_cannot_be_written_is_told_and_the_rest_is_drawn(tmp_path, capfd):
    (tmp_path / "file").touch()
    with Pencil(tmp_path) as pencil:
        confusion(pencil, tmp_path / "file" / "x.png")
        confusion(pencil, tmp_path / "y.png")
    assert capfd.readouterr().err == (
        f"could not draw x.png (cannot use '{tmp_path}/file/x.png': Not a directory). "
        f"The run is complete. To draw them later: topwork.Run('{tmp_path}').evaluate()\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "y.png"]
    assert drawing._idle == [pencil._beside]


def plans(folder):
    return [["charts.confusion", [[[2, 1], [0, 3]], ["a", "b"], str(folder / f"{name}.png")], {}] for name in "xyz"]


def test_several_plots_are_drawn_at_the_same_time_and_answered_in_order(tmp_path):
    (tmp_path / "y.png").mkdir()
    assert [bool(reason) for reason in drawing._drawn(plans(tmp_path))] == [False, True, False]
    assert (tmp_path / "x.png").is_file() and (tmp_path / "z.png").is_file()


def test_a_plot_that_ends_its_process_is_told_and_the_rest_is_drawn(tmp_path, monkeypatch):
    draw = drawing._problem
    monkeypatch.setattr(drawing, "_problem", lambda *plot: os._exit(3) if "y.png" in plot[1][-1] else draw(*plot))
    assert drawing._drawn(plans(tmp_path)) == ["", "the drawing process ended with 3", ""]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.png", "z.png"]


def test_where_no_more_processes_are_allowed_one_draws_all(tmp_path, monkeypatch):
    def refused(plot):
        raise BlockingIOError

    monkeypatch.setattr(drawing, "_copy", refused)
    assert drawing._drawn(plans(tmp_path)) == ["", "", ""]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("when", ["before", "between"])
def test_a_process_that_is_killed_stops_nothing(tmp_path, capfd, when):
    with Pencil() as pencil:
        if when == "between":
            confusion(pencil, tmp_path / "x.png")
        pencil._beside.process.kill()
        pencil._beside.process.wait()
        confusion(pencil, tmp_path / "y.png")
    assert "y.png (the drawing process ended with -9).\n" in capfd.readouterr().err
    assert drawing._idle == []


@pytest.fixture
def matplotlibrc(tmp_path, monkeypatch):
    """Change to a folder, and set settings, with which matplotlib itself cannot be imported."""
    (tmp_path / "matplotlibrc").write_bytes(b"axes.grid: \xff\xfe")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MATPLOTLIBRC", str(tmp_path / "matplotlibrc"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MPLBACKEND", "module://matplotlib_inline.backend_inline"),
        pytest.param("MPLBACKEND", "no-such-backend", marks=pytest.mark.full),
        pytest.param("MPLCONFIGDIR", "/dev/null/matplotlib", marks=pytest.mark.full),
        pytest.param("PYTHONIOENCODING", "utf-16", marks=pytest.mark.full),
    ],
)
def test_settings_of_the_user_do_not_reach_it(tmp_path, monkeypatch, capfd, name, value, matplotlibrc):
    monkeypatch.setenv(name, value)
    with Pencil() as pencil:
        confusion(pencil, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    assert capfd.readouterr().err == ""


def test_without_matplotlib_it_says_so_for_every_plot(tmp_path, monkeypatch, capfd):
    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib" / "__init__.py").write_text("raise ImportError('libfreetype is gone')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    with Pencil() as pencil:
        for name in "xy":
            confusion(pencil, tmp_path / f"{name}.png")
    assert capfd.readouterr().err == (
        "could not draw x.png, y.png (matplotlib cannot be imported (libfreetype is gone), so no plot can be drawn. "
        "Install it again, or correct its settings: python -c 'import matplotlib' shows the error).\n"
    )


def test_it_ends_with_the_python_that_began_it(tmp_path):
    code = (
        "from topwork.scoring import drawing\nwith drawing.Pencil() as pencil: pass\nprint(pencil._beside.process.pid)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)
