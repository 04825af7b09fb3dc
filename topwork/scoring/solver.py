"""Solve a linear head: logistic regression on standardised features with an L2 term.

On frozen activations, the cross-entropy of a linear head is convex in its weights, so the head is solved instead of
being trained epoch by epoch. For features ``x`` ``[n, d]``, targets ``t`` ``[n, outputs]`` and row weights ``w``, the
kernel ``K`` ``[d, outputs]`` and the bias ``b`` minimise

    sum_i w_i H(t_i, softmax(s_i K + b)) / sum_i w_i + l2 / 2 |K|²,
    s = (x - mean) / sqrt(variance + 0.001 + min(0.3 v, 30 variance))

where ``H`` is the cross-entropy, and ``v`` is the mean variance of the features of the same term of the cut. With a
single output, a sigmoid replaces the softmax. The bias is not penalised. Without ``v``, channels that are rarely
active would count as much as the others; with it, the loss was lower for three networks on each of three kinds of
pictures (docs/log.md, 2026-11-29). L-BFGS finds the minimum (`topwork.scoring.lbfgs`). Three steps make it quick:

- The features are rotated to their principal axes, so that only ``min(n, d)`` coordinates are left, which do not
  correlate. A rotation changes neither the outputs nor ``|K|``. If there are more features than rows, the axes come
  from the ``n x n`` matrix of inner products.
- Each coordinate is divided by the square root of its curvature at ``K = 0``, ``variance / outputs + l2``. The
  curvature is then about 1 in all directions.
- Strengths of the L2 term are tried from the strongest to the weakest, and each starts at the solution before it. The
  path ends when weaker strengths no longer help.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from topwork.data import splits
from topwork.data.dataset import Row
from topwork.networks.heads import EPSILON, LinearHead, class_logits
from topwork.scoring.lbfgs import minimum
from topwork.scoring.metrics import cross_entropy
from topwork.system.machine import jobs

STRENGTHS = tuple(10.0 ** (power / 2) for power in range(1, -11, -1))
"""The strengths of the L2 term that are compared, from the strongest to the weakest."""

WAIT = 2
"""The path ends after this many strengths that were not better than the best."""

FOLDS = 5
"""The number of folds of a cross-validation within the training part."""

DAMPING = 0.3
"""The share of the mean variance that is added to the variance of each feature."""

MOST = 30
"""At most this many times its own variance is added to the variance of a feature."""

GAIN = 1e-6
"""A solution counts as found when a step lowers the loss by less than this, in nats."""

SMALL = 1_000_000_000
"""Below this many multiplications, one thread is faster than several: they wait for each other."""

LARGE = 2_000_000
"""Above this many multiplications, the folds are solved at the same time, each by one thread."""

Point = np.ndarray
"""A kernel and a bias in the rotated coordinates, float64 ``[coordinates + 1, outputs]``; the bias is the last row."""


@dataclass(frozen=True)
class Trial:
    """One strength of the L2 term, measured on rows from which it was not solved.

    Args:
        l2: the strength.
        loss: the mean cross-entropy in nats.
        right: which rows were classified correctly, bool ``[m]``.
    """

    l2: float
    loss: float
    right: np.ndarray

    @property
    def accuracy(self) -> float:
        """The share of rows that were classified correctly."""
        return float(self.right.mean())


class Problem:
    """Rows and their labels, ready to be solved. The features are standardised and rotated once.

    Args:
        features: float32 ``[n, d]``. The array is overwritten.
        targets: float32 ``[n, outputs]``: probabilities of the classes, or of the second class if there is one output.
        weights: the weight of each row, float ``[n]``.
        widths: the numbers of features of the terms of a sum, in order; by default, there is one term.
    """

    def __init__(
        self, features: np.ndarray, targets: np.ndarray, weights: np.ndarray, widths: Sequence[int] = ()
    ) -> None:
        self.targets, self.weights = targets, weights
        share = (weights / weights.sum()).astype(np.float32)
        self._mean = share @ features
        features -= self._mean
        self._variance = np.einsum("i,ij,ij->j", share, features, features)
        self._deviation = deviations(self._variance, widths)
        features /= self._deviation

        n, d = features.shape
        with _threads(features.size * min(n, d)):
            if d <= n:
                found, axes = np.linalg.eigh(features.T @ (share[:, None] * features))
                self._axes = axes[:, _seen(found)]
            else:
                found, sides = np.linalg.eigh(features @ features.T)
                seen = _seen(found)
                self._axes = features.T @ (sides[:, seen] / np.sqrt(found[seen]))
            self.values = features @ self._axes
        self._variances = np.einsum("i,ij,ij->j", share, self.values, self.values)

    def rotated(self, features: np.ndarray) -> np.ndarray:
        """Return the coordinates of other features, float32 ``[m, coordinates]``."""
        return (features - self._mean) / self._deviation @ self._axes

    def solve(self, l2: float, start: Point | None = None, used: np.ndarray | None = None) -> Point:
        """Return the point where the loss is smallest.

        Args:
            l2: the strength of the L2 term.
            start: where to begin; by default, with zeros.
            used: which rows to use, bool ``[n]``; by default, all.
        """
        weights = self.weights if used is None else self.weights * used
        share = (weights / weights.sum()).astype(np.float32)
        outputs = self.targets.shape[1]
        targets = np.ascontiguousarray(self.targets.T)
        curvature = 1 / outputs if outputs > 1 else 1 / 4
        scale = np.sqrt(np.append(curvature * self._variances + l2, curvature), dtype=np.float64)[:, None]

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            point = flat.reshape(-1, outputs) / scale
            entropy, slope = _cross_entropy(logits(self.values, point).T, targets)
            slope *= share
            kernel = point[:-1]
            gradient = np.vstack([(slope @ self.values).T + l2 * kernel, slope.sum(1)]) / scale
            return float(share @ entropy) + l2 / 2 * float((kernel * kernel).sum()), gradient.ravel()

        begin = np.zeros((len(scale), outputs)) if start is None else start * scale
        with _threads(self.values.size * outputs):
            found = minimum(loss, begin.ravel(), GAIN)
        return found.reshape(-1, outputs) / scale

    def head(self, point: Point, batch_norm: bool) -> LinearHead:
        """Return the head for a point; without *batch_norm*, its dense layer also standardises the features."""
        kernel, bias = self._axes @ point[:-1].astype(np.float32), point[-1].astype(np.float32)
        kernel /= self._deviation[:, None]
        if not batch_norm:
            return LinearHead(kernel, bias - self._mean @ kernel)
        kernel *= np.sqrt(self._variance + EPSILON)[:, None]  # batch-norm divides by this
        one, zero = np.ones_like(self._mean), np.zeros_like(self._mean)
        return LinearHead(kernel, bias, (one, zero, self._mean, self._variance))


def deviations(variance: np.ndarray, widths: Sequence[int] = ()) -> np.ndarray:
    """Return what features are divided by: the square root in the formula above, float ``[d]``.

    Args:
        variance: of each feature, float ``[d]``.
        widths: the numbers of features of the terms of a sum, in order; by default, there is one term.
    """
    terms = np.split(variance, np.cumsum(widths)[:-1]) if widths else [variance]
    means = np.concatenate([np.full_like(term, term.mean()) for term in terms])
    return np.sqrt(variance + EPSILON + np.minimum(DAMPING * means, MOST * variance))


def by_validation(
    problem: Problem, features: np.ndarray, labels: np.ndarray, strengths: Sequence[float] = STRENGTHS
) -> Iterator[tuple[Trial, Point]]:
    """Yield the strengths of the path, each measured on validation rows, with the solution.

    Args:
        problem: the training rows.
        features, labels: of the validation rows, float32 ``[m, d]`` and int ``[m]``.
        strengths: what to compare, from the strongest to the weakest.
    """
    values = problem.rotated(features)
    point: Point | None = None
    trials: list[Trial] = []
    for l2 in strengths:
        point = problem.solve(l2, point)
        trials.append(_trial(l2, labels, logits(values, point)))
        yield trials[-1], point
        if _is_over(trials):
            return


def by_folds(
    problem: Problem, labels: np.ndarray, folds: np.ndarray, strengths: Sequence[float] = STRENGTHS
) -> Iterator[Trial]:
    """Yield the strengths of the path, each measured by cross-validation; see `answers_by_folds`."""
    for trial, _ in answers_by_folds(problem, labels, folds, strengths):
        yield trial


def answers_by_folds(
    problem: Problem, labels: np.ndarray, folds: np.ndarray, strengths: Sequence[float] = STRENGTHS
) -> Iterator[tuple[Trial, np.ndarray]]:
    """Yield the strengths of the path, each with the logits of every row by a solution of the other folds.

    Mean, variance and axes are those of all rows. They do not depend on the labels.

    Args:
        problem: the training rows. If there are several views per picture, the rows of view 0 come first.
        labels: of the rows of view 0, int ``[m]``; only these are measured.
        folds: the fold of each row, int ``[n]``; all views of a picture are in one fold.
        strengths: what to compare, from the strongest to the weakest.

    Returns:
        Pairs of a trial and its logits, float ``[m, outputs]``.
    """
    outputs = problem.targets.shape[1]
    numbers = np.unique(folds).tolist()
    points: dict[int, Point] = {}
    trials: list[Trial] = []
    for l2 in strengths:
        with _side_by_side(problem.values.size * outputs) as apply:
            points = dict(zip(numbers, apply(partial(_without, problem, folds, points, l2), numbers)))
        found = np.empty((len(labels), outputs))
        for fold, point in points.items():
            tested = np.flatnonzero(folds[: len(labels)] == fold)
            found[tested] = logits(problem.values[tested], point)
        trials.append(_trial(l2, labels, found))
        yield trials[-1], found
        if _is_over(trials):
            return


def _without(problem: Problem, folds: np.ndarray, points: dict[int, Point], l2: float, fold: int) -> Point:
    return problem.solve(l2, points.get(fold), folds != fold)


def inner_folds(rows: Sequence[Row], count: int = FOLDS) -> np.ndarray:
    """Return the fold of each row, int ``[n]``. Rows that belong together are in one fold; each class is spread evenly.

    >>> inner_folds([Row(f"{i}.png", str(i), "ab"[i % 2]) for i in range(4)], 2)
    array([0, 1, 1, 0])
    """
    units = splits.units_of(tuple(rows))
    drawn = sorted(units, key=lambda unit: (rows[unit[0]].label, sha256(rows[unit[0]].content.encode()).digest()))
    folds = np.empty(len(rows), int)
    for number, unit in enumerate(drawn):
        folds[unit] = number % count
    return folds


def logits(values: np.ndarray, point: Point) -> np.ndarray:
    """Return the logits for rotated features, float32 ``[n, outputs]``."""
    return values @ point[:-1].astype(np.float32) + point[-1].astype(np.float32)


def _trial(l2: float, labels: np.ndarray, found: np.ndarray) -> Trial:
    found = class_logits(found)
    return Trial(l2, cross_entropy(labels, found), found.argmax(1) == labels)


def _is_over(trials: Sequence[Trial]) -> bool:
    best = min(range(len(trials)), key=lambda i: trials[i].loss)
    return len(trials) - 1 - best >= WAIT


def _threads(multiplications: int) -> AbstractContextManager:
    """Return a context in which matrices are multiplied by one thread, if a product has few *multiplications*."""
    return _pools().limit(limits=1 if multiplications < SMALL else None, user_api="blas")


@contextmanager
def _side_by_side(multiplications: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """Yield a ``map`` whose calls multiply matrices with so many *multiplications*: in threads if that is quicker."""
    processors = jobs()
    if multiplications < LARGE or processors == 1 or (multiplications >= SMALL and processors > FOLDS):
        yield map
        return
    with _pools().limit(limits=1, user_api="blas"), ThreadPoolExecutor(min(processors, FOLDS)) as pool:
        yield pool.map


@cache
def _pools() -> ThreadpoolController:
    """Find the thread pools of this process once: a search takes 2 ms, as long as some solutions."""
    return ThreadpoolController()


def _seen(found: np.ndarray) -> np.ndarray:
    """Return which axes have a variance above rounding errors."""
    return found > max(found[-1], np.finfo(np.float32).tiny) * len(found) * np.finfo(np.float32).eps


def _cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cross-entropy of each row, ``[n]``, and its gradient with respect to the logits, ``[outputs, n]``.

    *logits* and *targets* are ``[outputs, n]``: with the rows last, sums over a few classes are quick.
    """
    if len(logits) == 1:
        entropy = np.logaddexp(0, logits) - targets * logits
        return entropy[0], 1 / (1 + np.exp(-logits)) - targets
    likely = np.ascontiguousarray(logits)
    likely -= likely.max(0)
    chosen = (likely * targets).sum(0)  # the targets of a row add up to 1
    np.exp(likely, out=likely)
    total = likely.sum(0)
    likely /= total
    likely -= targets
    return np.log(total) - chosen, likely
