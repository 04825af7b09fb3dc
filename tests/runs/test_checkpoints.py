"""A checkpoint is complete or not there at all; if one is damaged, the run uses the one before it."""

import numpy as np
import pytest

from topwork.runs import checkpoints
from topwork.runs.checkpoints import Checkpoints, State


def state(number):
    return State({"epoch": number}, {"model/0": np.full((3, 2), number, np.float32), "best/a/b/0": np.arange(number)})


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


def test_what_is_written_is_read(folder):
    Checkpoints(folder).write(state(5))
    found = Checkpoints(folder).read()
    assert found.about == {"epoch": 5}
    assert list(found.arrays) == ["model/0", "best/a/b/0"]
    np.testing.assert_array_equal(found.part("model/")["0"], state(5).arrays["model/0"])
    assert found.arrays["best/a/b/0"].dtype == np.int64


def test_none_is_none(folder):
    assert Checkpoints(folder).read() is None


def test_the_last_two_are_kept(folder):
    for number in range(1, 6):
        Checkpoints(folder).write(state(number))
    assert sorted(path.name for path in folder.iterdir()) == ["000004.npz", "000005.npz"]
    assert Checkpoints(folder).read().about == {"epoch": 5}


@pytest.mark.parametrize("cut", [0, 10, 0.5, 0.99])
def test_of_one_cut_short_the_one_before_is_used_and_that_is_said(folder, cut, capsys):
    for number in (1, 2):
        Checkpoints(folder).write(state(number))
    path = folder / "000002.npz"
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data)) if isinstance(cut, float) else cut])
    assert Checkpoints(folder).read().about == {"epoch": 1}
    told = capsys.readouterr().err
    assert told.startswith(f"the checkpoint {path} is damaged (")
    assert told.endswith("); the one before it is used.\n")
    Checkpoints(folder).write(state(3))
    assert Checkpoints(folder).read().about == {"epoch": 3}


def test_the_only_one_that_is_damaged(folder, capsys):
    Checkpoints(folder).write(state(1))
    (folder / "000001.npz").write_bytes(b"no archive")
    assert Checkpoints(folder).read() is None
    assert capsys.readouterr().err.endswith("); there is none before it.\n")


def test_a_bit_that_changed_is_found(folder, capsys):
    for number in (1, 2):
        Checkpoints(folder).write(State({"epoch": number}, {"a": np.arange(1000, dtype=np.float32)}))
    path = folder / "000002.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert Checkpoints(folder).read().about == {"epoch": 1}
    assert "is damaged" in capsys.readouterr().err


def test_they_take_no_more_than_their_share_of_the_time(folder, monkeypatch):
    clock = iter([0.0, 0.0, 10.0, 11.0, 20.0, 40.0])
    monkeypatch.setattr(checkpoints.time, "perf_counter", lambda: next(clock))
    kept = Checkpoints(folder, _last=0.0)
    assert kept.due, "the first is always due"
    kept.write(state(1))  # takes 10 seconds, from 0 to 10
    assert not kept.due  # at 11
    assert not kept.due  # at 20
    kept._cost = 1.0
    assert kept.due  # at 40, 30 seconds later: 5 % of that is more than 1
