"""Neighbours are those of a plain computation, and a group of strange pictures does not hide itself."""

import numpy as np
import pytest

from topwork.scoring.audit import neighbours
from topwork.scoring.audit.neighbours import COUNT, Neighbours
from topwork.scoring.solver import deviations


def features(count=300, width=40, seed=0):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def plain(values):
    """Return all similarities, computed at once in float64."""
    centred = values.astype(float) - values.astype(float).mean(0)
    centred /= deviations(centred.var(0))
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    similar = centred @ centred.T
    np.fill_diagonal(similar, -2)
    return similar


@pytest.mark.parametrize("rows", [7, 512])
def test_neighbours_are_those_of_a_plain_computation(monkeypatch, rows):
    monkeypatch.setattr(neighbours, "_ROWS", rows)
    values = features()
    found, similar = Neighbours.of(values.copy()), plain(values)
    assert np.array_equal(found.nearest, np.argsort(-similar, axis=1)[:, :COUNT])
    assert np.allclose(found.similarities, -np.sort(-similar, axis=1)[:, :COUNT], atol=1e-5)


@pytest.mark.parametrize("count", [2, 3, 9, 22, 23])
def test_few_pictures_have_fewer_neighbours(count):
    found = Neighbours.of(features(count))
    assert found.nearest.shape == (count, min(count - 1, COUNT))
    assert (found.nearest != np.arange(count)[:, None]).all()
    assert np.isfinite(found.remoteness).all()


def test_equal_features_are_no_fault():
    found = Neighbours.of(np.ones((30, 8), np.float32))
    assert np.isfinite(found.similarities).all()
    assert np.isfinite(found.remoteness).all()


@pytest.mark.parametrize("strange", [1, 5, 20])
def test_strange_pictures_are_remote_although_they_are_each_others_neighbours(strange):
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(4, 64)) * 2
    usual = centres[np.arange(400) % 4] + draw.normal(size=(400, 64))
    group = draw.normal(size=64) * 4 + draw.normal(size=(strange, 64)) * 0.3
    found = Neighbours.of(np.concatenate([usual, group]).astype(np.float32))
    assert set(np.argsort(-found.remoteness)[:strange]) == set(range(400, 400 + strange))


def test_the_closest_of_some_pictures():
    values = features(50)
    found, similar = Neighbours.of(values.copy()), plain(values)
    among = np.arange(10, 30)
    assert found.closest(12, among) == [i for i in np.argsort(-similar[12]) if i in among and i != 12][:3]
    assert found.closest(12, np.array([12])) == []
