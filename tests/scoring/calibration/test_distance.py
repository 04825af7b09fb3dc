"""The distance: centres hold no single picture, and the threshold accepts the stated share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topwork.networks.outputs.distance import unit
from topwork.scoring.calibration import distance
from topwork.scoring.calibration.distance import ACCEPTED, ALIKE, MEMBERS, clusters, limited, means_of, measure

DRAW = np.random.default_rng(0)


def photos(count, classes, features=8, spread=0.5, seed=0):
    """Return unit features and labels: each class has its own direction."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = draw.normal(size=(classes, features))
    return unit([centres[labels] + spread * draw.normal(size=(count, features))]).astype(np.float32), labels


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 120), st.integers(1, 30), st.integers(1, 12), st.booleans(), st.integers(0, 5))
def test_each_centre_is_the_mean_of_several_different_pictures(count, classes, features, has_copies, seed):
    values, labels = photos(count, classes, features, seed=seed)
    if has_copies:
        values[count // 2 :] = values[: count - count // 2]
    own = clusters(values, labels)
    numbers = np.unique(own[own >= 0])
    assert len(numbers) <= distance.MOST
    for number in numbers:
        members = values[own == number]
        assert len(members) >= MEMBERS
        assert np.triu(members @ members.T, 1).max() <= ALIKE + 1e-5
    if len(numbers):
        np.testing.assert_allclose(np.linalg.norm(means_of(values, own), axis=1), 1, atol=1e-3)


def test_the_same_picture_in_several_sizes_is_no_cluster():
    values, labels = photos(40, 2)
    again = unit([values[:1] + 0.002 * np.random.default_rng(1).normal(size=(5, 8))]).astype(np.float32)
    values, labels = np.vstack([values, again]), np.append(labels, [labels[0]] * 5)
    own = clusters(values, labels)
    assert (own[40:] == -1).all()
    assert (means_of(values, own) @ values[0]).max() < 0.999


def test_a_class_has_its_own_centres_if_it_has_enough_pictures():
    values, labels = photos(90, 3)
    own = clusters(values, labels)
    assert len(np.unique(own)) > 3
    assert all(len(np.unique(labels[own == number])) == 1 for number in np.unique(own))


def test_classes_with_too_few_pictures_share_centres(monkeypatch):
    values, labels = photos(20, 10)
    assert len(np.unique(clusters(values, labels))) > 1
    values, labels = photos(60, 20)
    monkeypatch.setattr(distance, "MOST", 5)
    own = clusters(values, labels)
    assert 1 < len(np.unique(own)) <= 5


def test_the_centres_of_wide_features_stay_small():
    values, labels = photos(300, 30, features=distance.BYTES // 4 // 20)
    own = clusters(values, labels)
    assert means_of(values, own).astype(np.float32).nbytes <= distance.BYTES


@pytest.mark.parametrize("evidence", ["apart", "folds"])
def test_strangers_are_farther_and_the_stated_share_is_accepted(evidence):
    values, labels = photos(1200, 4, features=16)
    strangers, _ = photos(400, 1, features=16, seed=7)
    logits = 10 * np.stack([values @ values[labels == number].mean(0) for number in range(4)], 1)
    learned, tested = slice(0, 400), slice(800, 1200)
    if evidence == "apart":
        found = measure(values[learned], labels[learned], apart=(values[400:800], logits[400:800]))
    else:
        folds = np.arange(400) // 4 % 5
        found = measure(values[learned], labels[learned], folds=(folds, logits[learned]))
    assert found
    made = limited([found[0]], found[1])
    own = found[0](values[tested], logits[tested])
    others = found[0](
        strangers, 10 * np.stack([strangers @ values[labels == number].mean(0) for number in range(4)], 1)
    )
    assert ACCEPTED - 0.04 < (own <= made.threshold).mean() < ACCEPTED + 0.04
    assert (others > made.threshold).mean() > 0.9


@pytest.mark.parametrize(("count", "rank"), [(1, 1), (10, 10), (19, 19), (100, 96), (1000, 951)])
def test_the_threshold_is_the_conformal_one(count, rank):
    distances = DRAW.permutation(np.arange(1.0, count + 1))
    found = limited([], distances)
    assert (found.threshold, found.accepted) == (rank, round(min(ACCEPTED, rank / (count + 1)), 4))


def test_too_few_pictures_have_no_distance():
    values, labels = photos(2, 2)
    assert measure(values, labels, apart=(values, np.zeros((2, 2)))) is None
    values, labels = photos(20, 2)
    assert measure(values, labels, apart=(values[:1], np.zeros((1, 2)))) is None


def test_the_same_pictures_have_the_same_centres():
    values, labels = photos(90, 3)
    np.testing.assert_array_equal(clusters(values, labels), clusters(values, labels))
