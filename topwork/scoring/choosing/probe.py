"""Two scores for features: a cross-validated linear probe; and LogME, which is the evidence of a linear model."""

from collections.abc import Sequence

import numpy as np

from topwork.scoring.solver import Problem, by_folds


def probe(
    features: np.ndarray, labels: np.ndarray, tests: Sequence[Sequence[int]], widths: Sequence[int] = ()
) -> np.ndarray:
    """Return which pictures a cross-validated linear head classifies correctly; each by a head that did not learn it.

    The head is solved as in training (`topwork.scoring.solver`), with the strength that has the lowest loss in these
    folds.

    Args:
        features: float ``[n, d]``.
        labels: ``[n]``.
        tests: for each fold, the positions of the rows that it tests; every row is in exactly one fold.
        widths: the numbers of features of the terms of a sum, in order.

    Returns:
        bool ``[n]``.

    Example:
        >>> features = np.array([[0.0], [0.1], [1.0], [1.1]])
        >>> probe(features, np.array(["a", "a", "b", "b"]), [[0, 2], [1, 3]])
        array([ True,  True,  True,  True])
    """
    classes, numbers = np.unique(labels, return_inverse=True)
    folds = np.empty(len(labels), int)
    for number, test in enumerate(tests):
        folds[np.asarray(test)] = number
    targets = np.eye(len(classes), dtype=np.float32)[numbers]
    problem = Problem(np.array(features, np.float32), targets, np.ones(len(labels)), widths)
    return min(by_folds(problem, numbers, folds), key=lambda trial: trial.loss).right


TOLERANCE = 1e-5
STEPS = 1000


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the LogME score: the logarithm of the maximum evidence per picture, averaged over the classes.

    The method is from You, Liu, Wang & Long 2021, ICML, arXiv:2102.11005. For each class, a linear regression predicts
    the targets ``y`` (1 for its pictures, else 0) from the features ``F`` ``[n, d]``. The noise has precision ``b``;
    the weights have a prior with precision ``a``. With ``A = a I + b F'F`` and ``m = b A^-1 F'y``, the evidence is

        log p(y|F,a,b) = n/2 log b + d/2 log a - n/2 log 2 pi - b/2 |Fm - y|² - a/2 m'm - 1/2 log|A|

    The values of ``a`` and ``b`` that maximise it are found by the paper's fixed-point iteration (MacKay 1992):
    ``g = sum b s² / (a + b s²)`` over the singular values ``s`` of ``F``, ``a = g / m'm``, ``b = (n - g) / |Fm - y|²``.
    In the basis of the singular vectors, a step needs no matrix product. Higher scores are better; only scores on the
    same pictures can be compared.

    Args:
        features: float ``[n, d]``, not standardised; multiplying all features by one factor does not change the score.
        labels: int or str ``[n]``, of at least two classes.

    Example:
        >>> labels = np.array([0, 0, 1, 1])
        >>> good, poor = np.array([[1.0], [1.1], [-1.0], [-0.9]]), np.array([[1.0], [-1.0], [1.0], [-1.1]])
        >>> logme(good, labels) > logme(poor, labels)
        True
    """
    n, d = features.shape
    tiny = np.finfo(float).tiny
    left, s, _ = np.linalg.svd(np.asarray(features, float), full_matrices=False)
    seen = s > s[0] * max(features.shape) * np.finfo(float).eps
    left, squares = left[:, seen], s[seen] ** 2
    spare = n - len(squares)

    each = []
    for label in np.unique(labels):
        y = (labels == label).astype(float)
        z = left.T @ y
        outside = max(y @ y - z @ z, 0.0)
        following = 1.0, 1.0
        for _ in range(STEPS):
            a, b = following
            kept = a / (a + b * squares)  # shrunk is not computed as 1 - kept: if small, it would lose all digits
            shrunk = b * squares / (a + b * squares)
            mm = max(float((shrunk**2 * z**2 / squares).sum()), tiny)
            rest = max(float((kept**2 * z**2).sum()) + outside, tiny)
            following = max(float(shrunk.sum()), tiny) / mm, (spare + float(kept.sum())) / rest
            if abs(following[0] / following[1] - a / b) <= TOLERANCE * (a / b):
                break

        volume = np.log(a + b * squares).sum() + (d - len(squares)) * np.log(a)
        each.append((n * np.log(b) + d * np.log(a) - n * np.log(2 * np.pi) - b * rest - a * mm - volume) / 2)
    return float(np.mean(each)) / n
