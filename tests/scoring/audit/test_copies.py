"""Copies are found by pixels and by activations, and become leaks or contradictions by their parts and labels."""

import numpy as np
import pytest
from PIL import Image

from tests.conftest import picture
from topwork.data.dataset import Dataset, LeftOut, Row
from topwork.data.readers import read
from topwork.scoring.audit import copies
from topwork.scoring.audit.neighbours import Neighbours


def planted(count=120, pairs=6, near=0.15, seed=0):
    """Return features of *count* pictures in three classes, and of *pairs* look-alikes of the first ones."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(3, 48))
    values = centres[np.arange(count) % 3] + draw.normal(size=(count, 48))
    alike = values[:pairs] + near * draw.normal(size=(pairs, 48))
    labels = np.concatenate([np.arange(count) % 3, np.arange(pairs) % 3])
    return np.concatenate([values, alike]).astype(np.float32), labels


def found_pairs(values, labels):
    pairs, is_close = copies.by_activations(Neighbours.of(values), labels, copies.NONE)
    return {tuple(pair) for pair in pairs[is_close].tolist()}


@pytest.mark.parametrize("seed", range(5))
def test_pictures_much_closer_than_their_neighbours_are_found_and_no_others(seed):
    values, labels = planted(seed=seed)
    assert found_pairs(values, labels) == {(i, 120 + i) for i in range(6)}
    assert found_pairs(*planted(near=3.0, seed=seed)) == set()


def test_a_burst_of_ten_is_found_in_a_large_class_by_the_second_scale():
    draw = np.random.default_rng(0)
    values, labels = planted(count=300, pairs=0)
    burst = values[0] + 0.1 * draw.normal(size=(9, 48)).astype(np.float32)
    everything = np.concatenate([values, burst])
    found = found_pairs(everything, np.concatenate([labels, np.zeros(9, int)]))
    assert {i for pair in found for i in pair} == {0, *range(300, 309)}
    small = found_pairs(everything, np.concatenate([labels + 1, np.zeros(9, int)]))
    assert len(small) < len(found), "in a class of few pictures, the twentieth neighbour is of another class"


def test_too_few_pictures_have_no_copies():
    assert found_pairs(np.eye(4, dtype=np.float32), np.zeros(4, int)) == set()


@pytest.fixture
def data(tmp_path, own_home):
    """Return pictures with two that were saved again, one of them under another label, and an equal file."""
    for label, first in (("cat", 0), ("dog", 50)):
        (tmp_path / "d" / label).mkdir(parents=True)
        for i in range(8):
            picture((90, 120, 60), first + i, 96).save(tmp_path / "d" / label / f"{i}.png")
    for source, target in (("cat/0", "cat/saved"), ("cat/1", "dog/saved")):
        with Image.open(tmp_path / "d" / f"{source}.png") as image:
            image.save(tmp_path / "d" / f"{target}.jpg", quality=90)
    (tmp_path / "d" / "cat" / "equal.png").write_bytes((tmp_path / "d" / "cat" / "2.png").read_bytes())
    return read(tmp_path / "d", split=(1, 0, 0))


def judged(data, parts=None):
    rows = tuple(
        Row(row.path, row.digest, row.label, (parts or {}).get(row.path, "train"), near=row.near) for row in data.rows
    )
    some = Dataset(data.root, rows, data.left_out)
    pixels = copies.by_pixels(some)
    neighbours = Neighbours.of(np.random.default_rng(0).normal(size=(len(rows), 16)).astype(np.float32))
    found = copies.findings(some, pixels, copies.NONE, neighbours)
    return {(one.kind, *sorted(one.paths)): one for one in found}


def test_copies_are_leaks_or_contradictions_or_remarks(data):
    contradiction = ("contradiction", "cat/1.png", "dog/saved.jpg")
    equal = ("equal", "cat/2.png", "cat/equal.png")
    assert judged(data).keys() == {("near_copy", "cat/0.png", "cat/saved.jpg"), contradiction, equal}
    across = judged(data, {"cat/saved.jpg": "test"})
    assert across.keys() == {("leak", "cat/0.png", "cat/saved.jpg"), contradiction, equal}
    assert "in test and train" in across["leak", "cat/0.png", "cat/saved.jpg"].advice
    assert "labelled 'cat' and 'dog'" in across[contradiction].advice


def test_skipped_pictures_are_contradictions_or_unreadable():
    twins = [LeftOut("a.png", "the same picture", twin="b.png"), LeftOut("b.png", "the same picture", twin="a.png")]
    found = copies.skipped(Dataset("/d", (), (*twins, LeftOut("c.png", "the file is empty"))))
    assert [(one.kind, one.severity, one.paths) for one in found] == [
        ("contradiction", "error", ("a.png", "b.png")),
        ("unreadable", "remark", ("c.png",)),
    ]


def test_reading_names_the_twin_of_a_picture_with_two_labels(tmp_path, own_home):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        picture((90, 120, 60), 1).save(tmp_path / label / "same.png")
        picture((90, 120, 60), 2 + (label == "cat")).save(tmp_path / label / "own.png")
    left_out = read(tmp_path).seen_from(str(tmp_path / "cat")).left_out
    assert {(gone.path, gone.twin) for gone in left_out} == {
        ("same.png", "../dog/same.png"),
        ("../dog/same.png", "same.png"),
    }
