"""Calibration: one temperature for all logits, so that probabilities say how often the answers are right.

The logits are divided by the temperature, which changes no answer (Guo, Pleiss, Sun & Weinberger 2017, On calibration
of modern neural networks). Dividing is part of the last layer's weights, so that every file has it.
"""

from math import sqrt

import numpy as np

from topwork.networks.fusion import softmax
from topwork.scoring.metrics import losses

LOW, HIGH = 0.5, 5.0
"""The limits of a temperature: a few pictures that are all answered right would make the answers as sure as can be."""

HALVINGS = 30


def fitted(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature at which the loss of ``logits / temperature`` is smallest, between `LOW` and `HIGH`.

    It is 1 if the loss is not lower on pictures from which the temperature was not fitted, by more than one standard
    error: each half of the pictures tests the temperature of the other half.

    Args:
        logits: float ``[n, classes]``, of pictures that the model did not learn from.
        labels: int ``[n]``.

    >>> draw = np.random.default_rng(0)
    >>> labels = draw.integers(0, 2, 500)
    >>> logits = 3 * (np.eye(2)[labels] + draw.normal(0, 1, (500, 2)))
    >>> 2 < fitted(logits, labels) < 4
    True
    """
    if len(labels) < 2:
        return 1.0
    halves = [np.arange(len(labels)) % 2 == number for number in (0, 1)]
    apart = np.array(logits, float)
    for half, other in (halves, halves[::-1]):
        apart[half] /= _best(logits[other], labels[other])
    gains = losses(labels, softmax(logits)) - losses(labels, softmax(apart))
    return _best(logits, labels) if gains.mean() > gains.std() / sqrt(len(labels)) else 1.0


def _best(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the best temperature. The loss is convex in its inverse, so that the slope says on which side it is."""
    logits = np.asarray(logits, float)
    own = np.take_along_axis(logits, labels[:, None], 1)[:, 0]

    def slope(temperature: float) -> float:
        """Return the derivative of the loss by the inverse of the temperature."""
        return float(((softmax(logits / temperature) * logits).sum(1) - own).mean())

    if slope(LOW) <= 0:
        return LOW
    if slope(HIGH) >= 0:
        return HIGH
    low, high = LOW, HIGH
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return (low * high) ** 0.5
