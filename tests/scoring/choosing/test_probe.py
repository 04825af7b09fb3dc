"""The linear probe judges each picture with a model that was not trained on it."""

import numpy as np

from topwork.scoring.choosing.probe import probe

TESTS = [list(range(i, 40, 5)) for i in range(5)]
LABELS = np.array(["a", "b"] * 20)


def test_what_a_plane_can_tell_is_told():
    features = np.random.default_rng(0).normal(0, 1, (40, 3))
    features[:, 1] += 10 * (LABELS == "b")
    right = probe(features, LABELS, TESTS)
    assert right.dtype == bool
    assert right.all()


def test_a_picture_is_not_judged_by_itself():
    """With more features than pictures a model learns its training rows by heart; noise must still score low."""
    features = np.random.default_rng(1).normal(0, 1, (40, 200))
    assert probe(features, LABELS, TESTS).mean() < 0.75


def test_features_are_standardised():
    features = np.random.default_rng(2).normal(0, 1, (40, 2))
    features[:, 0] = 1e-1 * (LABELS == "b") + 1000
    features[:, 1] *= 1e4
    assert probe(features, LABELS, TESTS).all()


def test_folds_may_differ_in_size_and_keep_the_order_of_the_rows():
    features = np.where(LABELS == "b", 1.0, -1.0)[:, None]
    features[7] = -features[7]
    tests = [[7, 0, 1], [i for i in range(40) if i not in (0, 1, 7)]]
    tests = [tests[0], tests[1][:20], tests[1][20:]]
    assert np.flatnonzero(~probe(features, LABELS, tests)).tolist() == [7]
