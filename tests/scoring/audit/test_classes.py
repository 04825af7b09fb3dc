"""Classes that are alike, and classes of two kinds of pictures, are found; others are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from topwork.data.dataset import Dataset, Row
from topwork.scoring.audit.classes import alike, area_between, split, two_clusters
from topwork.scoring.audit.neighbours import Neighbours
from topwork.scoring.audit.suspects import Answers

NAMES = ("a", "b", "c")


def drawn(each=60, seed=0, width=24, apart=1.5):
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), each)
    return (apart * np.eye(3, width)[labels] + draw.normal(size=(3 * each, width))).astype(np.float32), labels


def dataset(labels, names=NAMES):
    return Dataset("/d", tuple(Row(f"{i}.png", f"{i:03}", names[label]) for i, label in enumerate(labels)))


def pairs(values, labels):
    data = dataset(labels)
    found = alike(data, Answers.of(data.rows, NAMES, values, [values.shape[1]]))
    return [(one.label, one.proposed) for one in found], found


@pytest.mark.parametrize("seed", range(3))
def test_one_class_under_two_names_is_found(seed):
    values, labels = drawn(seed=seed)
    labels[:120] = np.random.default_rng(seed).permutation(np.repeat([0, 1], 60))
    named, found = pairs(values, labels)
    assert named == [("a", "b")]
    assert len(found[0].paths) == 6


def test_classes_that_differ_a_little_and_classes_of_few_pictures_are_not_alike():
    assert pairs(*drawn())[0] == []
    values, labels = drawn(each=6, apart=0)
    assert pairs(values, labels)[0] == []


@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(2, 30))
def test_the_area_is_that_of_scikit_learn_and_below_its_limit(seed, positive, negative):
    draw = np.random.default_rng(seed)
    truth = np.repeat([True, False], [positive, negative])
    scores = draw.integers(0, 9, positive + negative).astype(float)
    area, high = area_between(scores, truth)
    assert area == pytest.approx(roc_auc_score(truth, scores))
    assert area <= high <= 1


def two_kinds(seed=0):
    """Return 80 pictures of one kind and 40 of another, all labelled "a", and 80 that are labelled "c"."""
    draw = np.random.default_rng(seed)
    kinds = np.repeat([0, 1, 2], (80, 40, 80))
    values = 2 * draw.normal(size=(3, 24))[kinds] + draw.normal(size=(200, 24))
    return values.astype(np.float32), np.where(kinds == 2, 2, 0)


def test_a_class_of_two_kinds_is_found_and_its_smaller_cluster_named():
    values, labels = two_kinds()
    found = split(dataset(labels), Neighbours.of(values), labels, NAMES, seed=0)
    assert [one.label for one in found] == ["a"]
    assert [80 <= int(path.removesuffix(".png")) < 120 for path in found[0].paths] == [True] * 3 + [False] * 3


@pytest.mark.parametrize("seed", range(4))
def test_classes_of_one_kind_are_not_two(seed):
    values, labels = drawn(seed=seed)
    assert split(dataset(labels), Neighbours.of(values), labels, NAMES, seed=0) == []


def test_a_large_class_is_judged_by_a_sample(monkeypatch):
    monkeypatch.setattr("topwork.scoring.audit.classes.MOST", 60)
    values, labels = two_kinds()
    assert [one.label for one in split(dataset(labels), Neighbours.of(values), labels, NAMES, seed=0)] == ["a"]


@given(st.integers(0, 10_000), st.integers(20, 60))
def test_the_links_are_those_between_the_clusters(seed, count):
    values = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    directions = Neighbours.of(values).directions
    share, smaller = two_clusters(directions)
    assert 0 < smaller.sum() <= count / 2
    assert 0 <= share < 1
