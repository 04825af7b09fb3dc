"""The learning curve: its shares, its intervals, its sentence, and what it refuses."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import topwork as tw
from tests.conftest import make_folder
from tests.tiny import NAME, tiny
from topwork.data.dataset import Row
from topwork.errors import DatasetError, UsageError
from topwork.runs.scores import Rate
from topwork.scoring.curve import Curve, Share, _gain, curve, drawn

CUT = f"{NAME}@pool"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = make_folder(tmp_path_factory.mktemp("curve") / "colours", each=40, first=77_000)
    return tw.read(folder, draw="stratified", split=(0.6, 0.2, 0.2))


@pytest.fixture
def tiny_network(monkeypatch):
    """Let a cut of the tiny network take its file."""
    monkeypatch.setattr("topwork.store.extract.Backbone", lambda *_: tiny())


@pytest.mark.usefixtures("tiny_network")
def test_a_curve_of_coloured_pictures(data, tmp_path):
    found = curve(data, CUT, plot=tmp_path / "curve.png")
    assert [one.pictures for one in found.shares] == [9, 18, 36, 72]
    assert [len(one.draws) for one in found.shares] == [3, 3, 3, 1]
    assert found.measured == len(data.part("val")) + len(data.part("test"))
    assert found.shares[-1].accuracy.value > 0.8
    for one in found.shares:
        assert np.mean(one.draws) == pytest.approx(one.accuracy.value)
        assert one.accuracy.low <= one.accuracy.value <= one.accuracy.high
    assert (tmp_path / "curve.png").is_file()
    assert curve(data, CUT) == found


@pytest.mark.usefixtures("tiny_network")
def test_pictures_outside_the_training_part_are_never_learned(data, monkeypatch):
    """Every head is solved on rows of the training part alone."""
    taken = []
    monkeypatch.setattr("topwork.scoring.curve.drawn", lambda rows, *_: taken.append(rows) or drawn(rows, *_))
    curve(data, CUT)
    assert {row.split for rows in taken for row in rows} == {"train"}


def rows(count, **options):
    return [Row(f"{i}.png", str(i), "ab"[i % 2], "train", **options) for i in range(count)]


def test_a_smaller_share_is_part_of_a_larger_one():
    some = rows(200)
    shares = [set(drawn(some, share, "0")) for share in (0.1, 0.25, 0.5, 1.0)]
    assert [len(one) for one in shares] == [20, 50, 100, 200]
    for smaller, larger in pairwise(shares):
        assert smaller < larger
    assert shares[0] != set(drawn(some, 0.1, "1"))


def test_a_share_has_each_class_and_whole_groups():
    some = [replace(row, group=f"g{i // 10}") for i, row in enumerate(rows(100))]
    taken = drawn(some, 0.3, "0")
    assert {some[i].label for i in taken} == {"a", "b"}
    assert len(taken) == 10 * len({some[i].group for i in taken})


def told(low, value, high, measured=100):
    half, whole = (Share(share, int(400 * share), Rate(0.8, 0.7, 0.9), (0.8,)) for share in (0.5, 1.0))
    return Curve(CUT, (half, whole), measured, Rate(value, low, high)).text


def test_the_sentence():
    gained = "from 200 to 400 training pictures, the accuracy changed by"
    rose = gained.replace("changed", "rose")
    assert told(0.01, 0.03, 0.05) == f"More pictures would help: {rose} 0.030 (0.010 to 0.050)."
    assert (
        told(-0.02, 0.0, 0.01) == f"More pictures of this kind would hardly help: {gained} +0.000 (-0.020 to +0.010)."
    )
    assert told(-0.03, 0.01, 0.05) == (
        f"100 pictures cannot tell whether more pictures would help: {gained} +0.010 (-0.030 to +0.050)."
    )


def test_pictures_whose_answers_did_not_change_prove_little():
    """Two pictures without a change do not show that more pictures would hardly help."""
    same = [np.array([True, False])]
    found = _gain(same, same)
    assert (found.value, found.low, found.high) == (0, -1.5, 1.5)
    assert "2 pictures cannot tell" in told(found.low, found.value, found.high, measured=2)
    many = [np.ones(1000, bool)]
    assert _gain(many, many).high == 0.003


@pytest.mark.usefixtures("tiny_network")
def test_a_broken_picture_is_named_and_left_out(data, tmp_path):
    folder = make_folder(tmp_path / "colours", each=10, first=78_000)
    (folder / "red" / "broken.png").write_bytes(b"no picture")
    found = curve(tw.read(folder, draw="stratified", split=(0.6, 0.2, 0.2)), CUT)
    assert [gone.path for gone in found.left_out] == ["red/broken.png"]
    assert curve(data, CUT).left_out == ()


@pytest.mark.usefixtures("tiny_network")
def test_what_is_refused(data):
    train = tuple(replace(row, split="train") for row in data.rows)
    with pytest.raises(DatasetError, match=r"^0 pictures outside the training part"):
        curve(replace(data, rows=train), CUT)
    lonely = [row for row in data.rows if row.label != "red" or row.split != "train"]
    with pytest.raises(DatasetError, match=r"^the class 'red' has 0 pictures in the training part"):
        curve(replace(data, rows=tuple(lonely)), CUT)
    with pytest.raises(UsageError, match=r"^weights = 'random' came without a cut"):
        curve(data, weights="random")
