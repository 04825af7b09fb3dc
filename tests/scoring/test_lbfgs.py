"""L-BFGS finds the minimum that SciPy's finds, in about as many evaluations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import fmin_l_bfgs_b

from topwork.scoring.lbfgs import minimum

GAIN = 1e-9


def counting(function):
    def counted(x):
        counted.calls += 1
        return function(x)

    counted.calls = 0
    return counted


def scipys(function, start, gain=GAIN):
    return fmin_l_bfgs_b(function, start, factr=gain / np.finfo(float).eps, pgtol=0, maxiter=500)[0]


def logistic(seed, rows=40, width=8, l2=1e-2):
    """Return the loss of a logistic regression, as a function of its weights."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(rows, width)) * draw.gamma(1, 1, width)
    labels = draw.integers(0, 2, rows)

    def loss(weights):
        margins = values @ weights
        slope = (1 / (1 + np.exp(-margins)) - labels) / rows
        value = np.mean(np.logaddexp(0, margins) - labels * margins) + l2 / 2 * weights @ weights
        return float(value), values.T @ slope + l2 * weights

    return loss


@settings(deadline=None)  # the first call imports SciPy
@given(st.integers(0, 10_000), st.sampled_from([1e-4, 1e-2, 1.0]), st.floats(-1, 1))
def test_the_minimum_is_that_of_scipy(seed, l2, begin):
    function = logistic(seed, l2=l2)
    start = np.full(8, begin)
    own, other = (function(find(function, start, GAIN))[0] for find in (minimum, scipys))
    assert own == pytest.approx(other, abs=1e-5)  # where the function is flat, steps gain less than GAIN early


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_a_parabola_ends_at_its_lowest_point_from_anywhere(seed):
    draw = np.random.default_rng(seed)
    lowest, curvature = draw.normal(size=6) * 10, np.exp(draw.normal(size=6))
    found = minimum(
        lambda x: (float((curvature * (x - lowest) ** 2).sum()), 2 * curvature * (x - lowest)), np.zeros(6), 1e-12
    )
    assert np.allclose(found, lowest, atol=1e-3)


def test_it_takes_about_as_many_evaluations_as_scipy():
    own, other = 0, 0
    for seed in range(20):
        ours, theirs = counting(logistic(seed, l2=1e-3)), counting(logistic(seed, l2=1e-3))
        minimum(ours, np.zeros(8), GAIN)
        scipys(theirs, np.zeros(8))
        own, other = own + ours.calls, other + theirs.calls
    assert own < 1.25 * other


def test_it_ends_at_once_where_nothing_is_to_be_gained():
    function = counting(lambda x: (float(x @ x), 2 * x))
    assert (minimum(function, np.zeros(3), GAIN) == 0).all()
    assert function.calls == 1


def test_values_that_are_no_numbers_end_the_search_where_it_was():
    function = counting(lambda x: (1.0 if (x == 0).all() else np.nan, np.ones(3)))
    assert (minimum(function, np.zeros(3), GAIN) == 0).all()
    assert function.calls < 30
