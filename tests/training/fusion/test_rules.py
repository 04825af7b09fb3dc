"""Rules that join probabilities are fitted exactly and applied as defined."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from topwork.networks import fusion
from topwork.networks.fusion import Mixture, Stack, learned
from topwork.training.fusion.rules import GAP, fit, loss, mixture, stack, warned

QUICK = settings(deadline=None, max_examples=40)


def said(seed=0, members=3, n=60, classes=4, skill=(2.0, 1.0, 0.0)):
    """Return the members' answers for n pictures, and the labels; the first member is right most often."""
    draw = np.random.default_rng(seed)
    labels = draw.permutation(np.arange(n) % classes)
    logits = draw.normal(size=(members, n, classes))
    logits[:, np.arange(n), labels] += np.array(skill[:members])[:, None]
    return fusion.softmax(logits), labels


def own(each, labels):
    return each[:, np.arange(len(labels)), labels]


def test_the_mean_is_the_mean():
    each, labels = said()
    np.testing.assert_allclose(fit("mean", each, labels)(each), each.mean(0), atol=1e-15)


@given(seed=st.integers(0, 10_000), members=st.integers(1, 6), n=st.integers(1, 80))
@QUICK
def test_weights_are_the_best_of_all(seed, members, n):
    assert_best(np.random.default_rng(seed).beta(0.7, 0.7, (members, n)) + 1e-12)


@given(seed=st.integers(0, 10_000), members=st.integers(2, 6), n=st.integers(1, 80), power=st.floats(-9, -2))
@example(seed=6, members=6, n=5, power=-6)
@QUICK
def test_weights_are_the_best_of_all_where_members_are_nearly_equal(seed, members, n, power):
    draw = np.random.default_rng(seed)
    own = draw.beta(3, 1, (members, n))
    own[1] = np.clip(own[0] + 10**power * draw.normal(size=n), 1e-6, 1)
    assert_best(own)


def assert_best(own):
    """The weights meet the condition of Karush, Kuhn and Tucker: raising any weight would gain nothing."""
    weights = mixture(own)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert (own / (weights @ own)).mean(1).max() <= 1 + 1.01 * GAP


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_those_of_a_general_optimiser(seed):
    each, labels = said(seed)
    p = own(each, labels)
    general = minimize(
        lambda w: -np.log(w @ p).mean(),
        np.full(3, 1 / 3),
        method="SLSQP",
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12},
    )
    found = fit("weighted", each, labels)
    assert loss(found(each), labels) <= general.fun + GAP
    np.testing.assert_allclose(found.weights, general.x, atol=2e-3)


@given(seed=st.integers(0, 10_000))
@QUICK
def test_weighted_is_no_worse_on_validation_than_the_mean_or_any_member(seed):
    each, labels = said(seed)
    best = min(loss(one, labels) for one in (each.mean(0), *each))
    assert loss(fit("weighted", each, labels)(each), labels) <= best + GAP


def test_probabilities_of_nothing_do_no_harm():
    weights = mixture(np.array([[0.0, 0.0, 1e-300], [1e-200, 0.0, 0.0]]))
    assert np.isfinite(weights).all() and weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("classes", [2, 3])
def test_stacked_is_the_regression_of_scikit_learn(classes):
    from sklearn.linear_model import LogisticRegression

    each, labels = said(classes=classes)
    x = np.concatenate(list(np.log(each)), axis=1)
    expected = LogisticRegression(max_iter=10_000).fit(x, labels).predict_proba(x)
    found = stack(each, labels)
    assert (found.kernel.shape, found.bias.shape) == ((3 * classes, classes), (classes,))
    np.testing.assert_allclose(found(each), expected, atol=1e-9)
    assert expected.std(0).max() > 0.1


def test_the_better_member_counts_more():
    each, labels = said(n=400)
    for rule in ("weighted", "stacked"):
        weights = fit(rule, each, labels).weights
        assert list(np.argsort(-weights)) == [0, 1, 2]


def test_what_is_kept_is_the_rule():
    each, labels = said()
    for rule, kind in (("mean", Mixture), ("weighted", Mixture), ("stacked", Stack)):
        found = fit(rule, each, labels)
        again = learned(found.values())
        assert type(again) is kind
        np.testing.assert_array_equal(again(each), found(each))


def test_few_pictures_are_told():
    each, labels = said(n=20)
    assert warned("mean", fit("mean", each, labels), 20) == []
    values = {"weighted": "2 values", "stacked": "52 values"}
    for rule, many in (("weighted", 100), ("stacked", 520)):
        found = fit(rule, each, labels)
        assert warned(rule, found, many) == []
        assert warned(rule, found, many - 1) == [
            f"The rule {rule!r} fitted {values[rule]} on {many - 1} validation pictures, which is few: it may have "
            "learned chance, and its validation loss is too low. The rule 'mean' learns nothing; "
            "compare the two on test pictures."
        ]
    assert warned("weighted", Mixture(np.array([0.5, 0.5])), 7)[0].startswith("The rule 'weighted' fitted 1 value on")
