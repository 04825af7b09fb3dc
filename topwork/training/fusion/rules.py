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
STEPS = 100_000
SMALLEST = 1e-300


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

    This function is concave on the simplex. The method is expectation maximisation (Dempster, Laird & Rubin 1977, J. R.
    Statist. Soc. B 39:1-38): each step replaces ``w_i`` by ``w_i g_i``, where ``g_i`` is the gradient, the mean of
    ``p_i / sum_k w_k p_k``. No weights are better by more than ``max_i g_i - 1`` nats, as ``sum_i w_i g_i`` is 1 and
    the function is concave. The steps end when this bound is below `GAP`. Where members are nearly equal, that takes
    many plain steps. So ``g_i`` is raised to a power, which is doubled as long as the mean grows and then starts again
    at 1 (Salakhutdinov & Roweis 2003, Adaptive Overrelaxed Bound Optimization Methods, ICML).

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
    power = 1
    for _ in range(STEPS):
        mixed = weights @ own
        gradient = (own / mixed).mean(1)
        if gradient.max() - 1 < GAP:
            break
        further = _moved(weights, gradient, power)
        if np.log(further @ own / mixed).mean() > 0:
            weights, power = further, 2 * power
        else:
            weights, power = _moved(weights, gradient, 1), 1
    return weights


def _moved(weights: np.ndarray, gradient: np.ndarray, power: int) -> np.ndarray:
    """Return the weights after a step. None becomes 0, or no later step could raise it."""
    logs = np.log(weights) + power * np.log(np.maximum(gradient, SMALLEST))
    moved = np.maximum(np.exp(logs - logs.max()), SMALLEST)
    return moved / moved.sum()


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
