"""``progress=False`` hides all progress; a notebook, whose stderr is no terminal, gets lines instead of bars."""

import inspect
import os

import pytest

import topwork as tw
from tests.tiny import tiny
from topwork.runs.creation import create
from topwork.system.messages import say, shows_bars, with_progress

NAME = "mobilenet_v2_035"
SMALL = tw.Backbone(NAME, "random", 32)
HOW = {"phases": [tw.Phase(f"{NAME}@pool")], "backbones": [SMALL]}
CALLS = {
    "read": lambda data, run, **how: tw.read(data, **how),
    "train": lambda data, run, **how: tw.train(data, **HOW, **how),
    "join": lambda data, run, **how: tw.join([run, run.parent / "other"], data=data, **how),
    "cross_validate": lambda data, run, **how: tw.cross_validate(data, 2, **HOW, **how),
    "activations": lambda data, run, **how: tw.activations(data, f"{NAME}@pool", backbone=SMALL, **how),
    "choose": lambda data, run, **how: tw.choose(data, [f"{NAME}@pool"], weights="random", size=32, **how),
    "evaluate": lambda data, run, **how: tw.Run(run).evaluate(data, **how),
    "export": lambda data, run, **how: tw.Run(run).export(run / "x.onnx", data=data, **how),
    "resume": lambda data, run, **how: tw.Run(run).resume(data, **how),
    "resume folds": lambda data, run, **how: tw.Folds(run.parent / "folds").resume(data, **how),
}


class Asked(Exception):
    """Is raised when a call reads the data."""


class Data:
    """Stands for data that cannot be read, and records at each attempt whether bars are shown."""

    def __init__(self):
        self.shows = []

    def __fspath__(self):
        self.shows.append(shows_bars())
        raise Asked


def at_a_terminal(monkeypatch):
    """Simulate a terminal, so that bars are drawn."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)


@pytest.fixture
def run(pictures, tmp_path):
    """Return the folder of a run that was not trained; next to it are another run and a run of folds."""
    recipe = tw.Recipe.from_mapping({"phase": [{"cut": "vgg16@pool"}], "backbones": {"vgg16": {"weights": "random"}}})
    for name in ("run", "other", "folds/fold-1", "folds/fold-2"):
        create(tmp_path / name, recipe, tw.read(pictures))
    return tmp_path / "run"


@pytest.mark.parametrize("name", CALLS)
def test_a_call_shows_how_it_goes_unless_progress_is_false(name, run, capsys, monkeypatch):
    at_a_terminal(monkeypatch)
    monkeypatch.setattr("topwork.training.run.evaluate", lambda folder, what, *_: os.fspath(what))
    monkeypatch.setattr("topwork.training.run.export", lambda folder, file, data, *_: os.fspath(data))
    for how, shows in (({}, True), ({"progress": False}, False)):
        data = Data()
        capsys.readouterr()
        with pytest.raises(Asked):
            CALLS[name](data, run, **how)
        assert data.shows == [shows]
        assert shows or capsys.readouterr().err == ""
        assert shows_bars(), "as before"


def test_every_public_call_that_shows_something_takes_it():
    calls = [tw.read, tw.train, tw.join, tw.cross_validate, tw.choose, tw.activations, tw.halves, tw.Activations]
    calls += [tw.Run.resume, tw.Run.evaluate, tw.Run.export]
    assert {inspect.signature(call).parameters["progress"].default for call in calls} == {True}


def test_a_transformer_takes_it_when_it_is_made(pictures, own_store, capsys, monkeypatch):
    at_a_terminal(monkeypatch)
    files = [str(path) for path in (pictures / "red").iterdir()]
    tw.Activations(f"{NAME}@pool", weights="random", size=32, progress=False).fit(files).transform(files)
    assert capsys.readouterr() == ("", "")


def test_it_holds_for_what_the_call_calls_and_no_longer(capsys):
    @with_progress
    def inner(*, progress=True):
        say("inner")

    @with_progress
    def outer(*, progress=True):
        inner()
        say("outer")

    outer(progress=False)
    assert capsys.readouterr().err == ""
    inner()
    assert capsys.readouterr().err == "inner\n"


def test_a_notebook_gets_a_line_a_phase_and_no_bar_or_nothing(pictures, tmp_path, capsys):
    phases = [tw.Phase("tiny@block_14_add", epochs=1), tw.Phase("tiny@block_12_add", epochs=1)]
    tw.train(pictures, phases=phases, backbones=[tiny()], head_first=False, out=tmp_path / "a")
    said = capsys.readouterr().err
    assert not {"\r", "\x1b", "\b"} & set(said)
    starts = [line.partition(" kept ")[0] for line in said.splitlines() if " kept " in line]
    assert starts == ["phase 1, tiny@block_14_add:", "phase 2, tiny@block_12_add:"]
    assert len(said.splitlines()) == len(set(said.splitlines())) <= 13
    tw.train(pictures, phases=phases[:1], backbones=[tiny()], head_first=False, out=tmp_path / "b", progress=False)
    assert capsys.readouterr() == ("", "")
