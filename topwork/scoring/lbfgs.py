"""L-BFGS: find the minimum of a smooth convex function (Liu & Nocedal 1989, Mathematical Programming 45).

SciPy has the same method. Importing it takes 0.26 s, a fifth of a short training, and its wrappers take a third of the
time of a small solution. A function that is not convex needs SciPy's, which also checks the curvature of each step.
"""

from collections import deque
from collections.abc import Callable

import numpy as np

MEMORY = 10
"""The number of steps whose changes of the gradient are remembered."""

STEPS = 500
"""The largest number of steps."""

ENOUGH = 1e-4
"""A step must lower the function by this share of what its slope promises (Armijo's condition)."""

HALVINGS = 20
"""A step is shortened at most so many times; if nothing is gained then, the rest is rounding errors."""

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Takes a point, float64 ``[n]``, and returns the value and the gradient there."""

Change = tuple[np.ndarray, np.ndarray, float]
"""Of one step: the change of the point, that of the gradient, and the inverse of their product."""


def minimum(function: Function, start: np.ndarray, gain: float) -> np.ndarray:
    """Return the point where a convex function is smallest.

    Args:
        function: its curvature should be alike in all directions. The first step has length 1, or is shorter.
        start: where to begin, float64 ``[n]``.
        gain: the search ends when a step lowers the function by less than this, as a share of its value or, below 1,
            in absolute terms.

    >>> minimum(lambda x: (((x - 3) ** 2).sum(), 2 * (x - 3)), np.zeros(2), 1e-9).round(4)
    array([3., 3.])
    """
    point, (value, gradient) = start, function(start)
    changes: deque[Change] = deque(maxlen=MEMORY)
    for _ in range(STEPS):
        step = _direction(gradient, changes)
        slope = float(step @ gradient)
        if slope >= 0:  # rounding errors, or the lowest point
            return point
        for _ in range(HALVINGS):
            found, new = function(point + step)
            if found <= value + ENOUGH * slope:
                break
            # the minimum of the parabola through both values with the slope at the point
            shorter = min(0.5, max(0.1, -slope / (2 * (found - value - slope))))
            step, slope = step * shorter, slope * shorter
        else:
            return point
        bend = float(step @ (new - gradient))
        if bend > 0:
            changes.append((step, new - gradient, 1 / bend))
        fell, point, value, gradient = value - found, point + step, found, new
        if fell <= gain * max(abs(value), 1):
            return point
    return point


def _direction(gradient: np.ndarray, changes: deque[Change]) -> np.ndarray:
    """Return the step to the minimum of the parabola that the last changes describe (the two-loop recursion)."""
    step, shares = -gradient, []
    for moved, bent, inverse in reversed(changes):
        shares.append(inverse * float(moved @ step))
        step = step - shares[-1] * bent
    if changes:
        _, bent, inverse = changes[-1]
        step = step / (inverse * float(bent @ bent))
    elif (length := float(np.linalg.norm(step))) > 0:
        step = step / length
    for (moved, bent, inverse), share in zip(changes, reversed(shares)):
        step = step + (share - inverse * float(bent @ step)) * moved
    return step
