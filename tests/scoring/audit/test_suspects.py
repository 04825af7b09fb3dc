"""Suspects: planted wrong labels come first, and the numbers agree with cleanlab."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topwork.data.dataset import Dataset, Row
from topwork.scoring.audit.neighbours import Neighbours
from topwork.scoring.audit.suspects import Answers, findings, suspects, wrong_labels


def drawn(count=200, classes=4, wrong=20, seed=0):
    """Return features, labels of which the first *wrong* ones are not true, and the true labels."""
    draw = np.random.default_rng(seed)
    true = np.arange(count) % classes
    values = (4 * np.eye(classes, 24)[true] + draw.normal(size=(count, 24))).astype(np.float32)
    labels = true.copy()
    labels[:wrong] = (true[:wrong] + draw.integers(1, classes, wrong)) % classes
    return values, labels, true


def answers(values, labels, names="abcd"):
    rows = [Row(f"{i}.png", f"{i:03}", names[label], "train") for i, label in enumerate(labels)]
    return Dataset("/d", tuple(rows)), Answers.of(rows, names, values, [values.shape[1]])


@pytest.mark.parametrize("seed", range(3))
def test_planted_wrong_labels_come_first_with_their_true_label(seed):
    values, labels, true = drawn(seed=seed)
    data, found = answers(values, labels)
    named = findings(data, found, Neighbours.of(values.copy()))
    first = [int(one.paths[0].removesuffix(".png")) for one in named[:20]]
    assert sum(i < 20 for i in first) >= 14
    assert sum(one.proposed == "abcd"[true[i]] for i, one in zip(first, named) if i < 20) >= 13
    for one in named:
        assert one.label != one.proposed
        assert len(one.paths) == 4
        assert {data.rows[int(path.removesuffix(".png"))].label for path in one.paths[1:]} == {one.proposed}


def test_labels_that_are_right_have_few_suspects():
    values, labels, _ = drawn(wrong=0)
    _, found = answers(values, labels)
    assert len(suspects(found.probabilities, found.labels)) < 0.1 * len(labels)


def test_pictures_of_one_group_are_not_judged_by_each_other():
    """Two copies with the same wrong label: each would confirm the other."""
    values, labels, _ = drawn(wrong=0)
    values[1], labels[1] = values[0], labels[0]
    rows = [Row(f"{i}.png", f"{i:03}", "abcd"[label], group="g" if i < 2 else None) for i, label in enumerate(labels)]
    rows[0], rows[1] = (Row(f"{i}.png", f"{i:03}", "d", group="g") for i in (0, 1))
    found = Answers.of(rows, "abcd", values, [24])
    assert {i for i, _, _ in suspects(found.probabilities, found.labels)} >= {0, 1}


def test_classes_that_are_not_checked_are_left_out():
    values, labels, _ = drawn()
    rows = [Row(f"{i}.png", f"{i:03}", "abcd"[label]) for i, label in enumerate(labels)]
    found = Answers.of(rows, ["a", "c"], values, [24])
    assert found.positions.tolist() == [i for i, label in enumerate(labels) if "abcd"[label] in "ac"]
    assert found.logits.shape == (len(found.positions), 2)


shares = st.integers(0, 10_000).map(lambda seed: np.random.default_rng(seed))


@given(shares, st.integers(2, 6), st.integers(20, 80))
def test_the_number_of_wrong_labels_and_their_order_agree_with_cleanlab(draw, classes, count):
    cleanlab = pytest.importorskip("cleanlab")
    from cleanlab.rank import get_normalized_margin_for_each_label

    labels = np.concatenate([np.arange(classes), draw.integers(0, classes, count)])
    true = np.where(draw.random(len(labels)) < 0.2, draw.integers(0, classes, len(labels)), labels)
    likely = np.exp(3 * np.eye(classes)[true] + draw.normal(size=(len(labels), classes)))
    likely /= likely.sum(1, keepdims=True)
    joint = cleanlab.count.compute_confident_joint(labels, likely, calibrate=False)
    counts = np.bincount(labels)
    theirs = (counts * (1 - np.diag(joint) / joint.sum(1))).sum()
    assert abs(wrong_labels(likely, labels) - theirs) <= 1 + 0.1 * theirs, "they take the most probable class of all"
    found = [i for i, _, _ in suspects(likely, labels)]
    assert (
        found == np.argsort(get_normalized_margin_for_each_label(labels, likely), kind="stable")[: len(found)].tolist()
    )
