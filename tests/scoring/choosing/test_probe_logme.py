"""LogME equals the evidence of the same model, written as a normal distribution and maximised by brute force."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from topwork.scoring.choosing.probe import logme


def brute(features, labels):
    """Maximise the evidence without the module's formulas: targets are normal with covariance ``I / b + F F' / a``."""
    n = len(features)

    def worse(logs, y):
        a, b = np.exp(np.clip(logs, -30, 30))
        return -multivariate_normal(np.zeros(n), np.eye(n) / b + features @ features.T / a).logpdf(y)

    classes = [labels == label for label in np.unique(labels)]
    best = [
        min(
            minimize(worse, start, (y.astype(float),), "Nelder-Mead", tol=1e-9).fun
            for start in ([0, 0], [3, 0], [0, 3])
        )
        for y in classes
    ]
    return -np.mean(best) / n


@pytest.mark.parametrize(("n", "d", "signal"), [(30, 3, 0.0), (30, 3, 2.0), (12, 20, 1.0), (25, 25, 0.5)])
def test_it_is_the_largest_evidence(n, d, signal):
    draw = np.random.default_rng(n + d)
    labels = np.arange(n) % 3
    features = draw.normal(0, 1, (n, d))
    features[:, 0] += signal * labels
    assert logme(features, labels) == pytest.approx(brute(features, labels), abs=2e-4)


def test_features_that_explain_more_have_more():
    draw = np.random.default_rng(0)
    labels = np.array(list("abcd") * 25)
    noise = draw.normal(0, 1, (100, 8))
    means = draw.normal(0, 1, (4, 8))[np.arange(100) % 4]
    values = [logme(noise + signal * means, labels) for signal in (0, 0.5, 1, 2, 4)]
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.2


def test_scale_and_columns_of_zeros_change_little():
    draw = np.random.default_rng(1)
    features, labels = draw.normal(0, 1, (40, 6)), np.arange(40) % 2
    features[:, 0] += labels
    plain = logme(features, labels)
    assert logme(1000 * features, labels) == pytest.approx(plain, abs=1e-4)
    assert logme(np.pad(features, ((0, 0), (0, 5))), labels) == pytest.approx(plain, abs=1e-4)
    assert logme(features, labels.astype(str)) == plain


def test_more_features_than_pictures_that_explain_all():
    labels = np.arange(10) % 2
    assert np.isfinite(logme(np.eye(10, 30), labels))
    assert np.isfinite(logme(np.zeros((10, 4)), labels))
