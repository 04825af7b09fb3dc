"""Late fusion: a rule, which is fitted on validation pictures, combines the probabilities of several classifiers.

A rule maps the members' probabilities, float64 ``[members, n, classes]``, to probabilities ``[n, classes]``.
"""

import numpy as np

from topwork.networks.fusion import Learned, Mixture, Stack, log_probabilities
from topwork.recipes.settings import Rule
from topwork.scoring.metrics import losses

FEW = 100
EACH = 10
"""A warning is given for fewer than `FEW` validation pictures, or fewer than `EACH` for each value that is learned."""
GAP = 1e-7
STEPS = 1000


def fit(rule: Rule, each: np.ndarray, labels: np.ndarray) -> Learned:
    """Fit a rule and return it.

    Args:
        rule: its name.
        each: the members' probabilities for the validation pictures, float64 ``[members, n, classes]``.
        labels: int ``[n]``; for the rule ``"stacked"``, every class must occur.

    Example:
        >>> each = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.5, 0.5], [0.1, 0.9]]])
        >>> fit("mean", each, np.array([0, 1]))(each).round(2).tolist()
        [[0.7, 0.3], [0.25, 0.75]]
    """
    if rule == "mean":
        return Mixture(np.full(len(each), 1 / len(each)))
    return Mixture(mixture(each[:, np.arange(len(labels)), labels])) if rule == "weighted" else stack(each, labels)


def mixture(own: np.ndarray) -> np.ndarray:
    """Return the weights that maximise the mean over pictures of ``log sum_i w_i p_i``.

    This function is concave on the simplex. No weights are better by more than ``max_i g_i - 1`` nats, where ``g_i`` is
    the gradient, the mean of ``p_i / sum_k w_k p_k``, because ``sum_i w_i g_i`` is 1. The steps end when this bound is
    below `GAP`. Each step is one of expectation maximisation, which replaces ``w_i`` by ``w_i g_i`` (Dempster, Laird &
    Rubin 1977, J. R. Statist. Soc. B 39:1-38), and one of vertex exchange (Böhning 1986, Metrika 33:337-347). The first
    alone takes 100,000 steps and more where members are nearly equal; both together took at most 36 (docs/log.md).

    Args:
        own: the probability that each member gives to the true class, float64 ``[members, n]``.

    Returns:
        The weights, float64 ``[members]``: at least 0, with the sum 1.

    Example:
        >>> mixture(np.array([[0.9, 0.9, 0.1], [0.1, 0.1, 0.9]])).round(3)
        array([0.708, 0.292])
    """
    logs = np.log(np.maximum(own, np.finfo(float).tiny))
    own = np.exp(logs - logs.max(0))  # scaling the values of one picture changes no weight
    weights = np.full(len(own), 1 / len(own))
    for _ in range(STEPS):
        gradient = (own / (weights @ own)).mean(1)
        if gradient.max() - 1 < GAP:
            break
        weights = _exchanged(weights * gradient, own)
    return weights / weights.sum()


def _exchanged(weights: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the weights after the worst member has given to the best as much as raises the mean most."""
    from scipy.optimize import bisect

    mixed = weights @ own
    gradient = (own / mixed).mean(1)
    best, worst = gradient.argmax(), np.where(weights > 0, gradient, np.inf).argmin()
    change = own[best] - own[worst]

    def slope(given: float) -> float:
        with np.errstate(divide="ignore"):  # where only the worst member has a probability, giving all is no choice
            return float((change / np.maximum(mixed + given * change, 0)).mean())

    most = float(weights[worst])
    if slope(0) <= 0:
        return weights
    given = most if slope(most) >= 0 else bisect(slope, 0, most)
    moved = weights.copy()
    moved[worst] -= given
    moved[best] += given
    return moved


def stack(each: np.ndarray, labels: np.ndarray) -> Stack:
    """Fit a multinomial logistic regression on the members' log-probabilities, with an L2 penalty.

    The penalty is scikit-learn's at ``C = 1``. This is stacked generalisation (Wolpert 1992, Neural Networks
    5:241-259). See `fit` for the arguments.
    """
    from sklearn.linear_model import LogisticRegression

    found = LogisticRegression(max_iter=10_000).fit(log_probabilities(each), labels)
    kernel, bias = found.coef_.T, found.intercept_
    if kernel.shape[1] == 1:  # for two classes scikit-learn has one logit, for the second class
        kernel, bias = np.hstack([0 * kernel, kernel]), np.array([0, *bias])
    return Stack(kernel, bias)


def loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean cross-entropy in nats."""
    return float(losses(labels, probabilities).mean())


def warned(rule: Rule, found: Learned, pictures: int) -> list[str]:
    """Return a list with one warning if the rule was fitted on so few pictures that it may have learned noise."""
    free = len(found.weights) - 1 if isinstance(found, Mixture) else found.kernel.size + found.bias.size
    if rule == "mean" or pictures >= max(FEW, EACH * free):
        return []
    values = f"{free:,} value" + ("" if free == 1 else "s")
    return [
        f"The rule {rule!r} fitted {values} on {pictures:,} validation pictures, which is few: it may have learned "
        "chance, and its validation loss is too low. The rule 'mean' learns nothing; compare the two on test pictures."
    ]
