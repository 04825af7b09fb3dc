"""Measure the solver alone, on three sizes, beside scikit-learn's logistic regression on the same path of strengths.

The features are drawn: rectified mixtures of correlated factors, of which some differ between the classes.
"""

import time
from dataclasses import dataclass, replace

import numpy as np
from sklearn.linear_model import LogisticRegression

from topwork.scoring.solver import STRENGTHS, Problem, by_validation
from topwork.system.messages import say

SHAPES = ((500, 1280, 5), (5000, 2048, 100), (100_000, 1280, 100))
"""Rows, features and classes."""

VALIDATION = 1000
LIMIT = 10_000_000
"""scikit-learn is measured up to this many numbers in the features; beyond, it takes many minutes."""


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Args:
        shapes: rows, features and classes.
        repeats: the number of rounds.
    """

    shapes: tuple[tuple[int, int, int], ...] = SHAPES
    repeats: int = 3

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, shapes=((60, 80, 3), (90, 40, 4)), repeats=1)


@dataclass(frozen=True)
class Measured:
    """The figures of one size.

    Args:
        shape: rows, features and classes.
        ours: the seconds for the whole path, per round.
        theirs: those of scikit-learn, for the same strengths; empty if it was not measured.
        strengths: how many strengths the path had.
        accuracy, their_accuracy: on the validation rows, at the best strength.
    """

    shape: tuple[int, int, int]
    ours: list[float]
    theirs: list[float]
    strengths: int
    accuracy: float
    their_accuracy: float | None


def measure(plan: Plan) -> list[Measured]:
    """Measure each size."""
    found = []
    for shape in plan.shapes:
        features, labels = drawn(*shape)
        ours, theirs, their_accuracy = [], [], None
        for _ in range(plan.repeats):
            seconds, count, accuracy = _ours(features, labels, shape)
            ours.append(seconds)
            if shape[0] * shape[1] <= LIMIT:
                seconds, their_accuracy = _theirs(features, labels, shape, count)
                theirs.append(seconds)
        found.append(Measured(shape, ours, theirs, count, accuracy, their_accuracy))
        beside = f", scikit-learn {theirs[-1]:.2f} s" if theirs else ""
        say(f"{' x '.join(map(str, shape))}: {ours[-1]:.2f} s for {count} strengths{beside}")
    return found


def drawn(rows: int, width: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features, float32, and labels of *rows* training rows and `VALIDATION` more."""
    draw = np.random.default_rng(seed)
    factors = min(width, 512)
    weights = draw.standard_normal((factors, width), np.float32) * np.arange(1, factors + 1)[:, None] ** -0.7
    labels = draw.integers(0, classes, rows + VALIDATION)
    labels[:classes] = np.arange(classes)
    centres = 0.35 * draw.standard_normal((classes, factors), np.float32)
    features = np.empty((rows + VALIDATION, width), np.float32)
    for start in range(0, len(labels), 10_000):
        some = labels[start : start + 10_000]
        mixed = (centres[some] + draw.standard_normal((len(some), factors), np.float32)) @ weights
        noise = draw.standard_normal((len(some), width), np.float32)
        features[start : start + 10_000] = np.maximum(mixed + 0.3 * noise, 0)
    return features, labels


def _ours(features: np.ndarray, labels: np.ndarray, shape: tuple[int, int, int]) -> tuple[float, int, float]:
    rows, _, classes = shape
    targets = np.eye(classes, dtype=np.float32)[labels[:rows]]
    own = features[:rows].copy()  # the solver overwrites it
    start = time.perf_counter()
    problem = Problem(own, targets, np.ones(rows))
    trials = [trial for trial, _ in by_validation(problem, features[rows:], labels[rows:])]
    return time.perf_counter() - start, len(trials), min(trials, key=lambda trial: trial.loss).accuracy


def _theirs(features: np.ndarray, labels: np.ndarray, shape: tuple[int, int, int], count: int) -> tuple[float, float]:
    rows = shape[0]
    start = time.perf_counter()
    mean, deviation = features[:rows].mean(0), np.sqrt(features[:rows].var(0) + 1e-3)
    train, val = (features[:rows] - mean) / deviation, (features[rows:] - mean) / deviation
    model = LogisticRegression(warm_start=True, max_iter=500, tol=1e-3)
    best = np.inf, 0.0
    for l2 in STRENGTHS[:count]:
        model.set_params(C=1 / (l2 * rows)).fit(train, labels[:rows])
        likely = model.predict_log_proba(val)
        loss = -float(likely[np.arange(len(val)), labels[rows:]].mean())
        best = min(best, (loss, float((likely.argmax(1) == labels[rows:]).mean())))
    return time.perf_counter() - start, best[1]
