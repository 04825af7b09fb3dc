"""Measure a classifier's probabilities: loss, accuracy and scores per class, each with its 95 % interval.

Shares of counted pictures (accuracy, top-k, precision, recall) have Wilson's interval. The other scores (loss, AUC, F1,
macro averages) have the interval of a seeded bootstrap, which draws pictures regardless of their class. For fewer than
30 pictures, see `topwork.scoring.intervals`. All intervals assume that the pictures are independent: ten photos of one
flower count as ten. Use groups to keep similar pictures in the same part.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np

from topwork.errors import DatasetError
from topwork.runs.scores import Average, ClassScores, Rate, Scores
from topwork.scoring import confusion as confusions
from topwork.scoring import intervals
from topwork.scoring.intervals import FEW
from topwork.system.records import Record

SMALLEST = float(np.finfo(np.float32).tiny)
"""In the loss, a smaller probability is replaced by this."""
WORST = -log(SMALLEST)
"""The largest possible loss of a picture."""
DRAWS = 1000
SEED = 0
_BLOCK = 256


def measure(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> Scores:
    """Return all scores of the predictions for one part.

    The time grows with n²: 2,000 pictures take up to half a second.

    Args:
        labels: int ``[n]``, positions in *classes*.
        probabilities: float ``[n, len(classes)]``.
        classes: the labels in the order of the columns.

    Raises:
        DatasetError: there are no rows, shapes do not match, a label is not one of the classes, or a probability is
            not finite.

    Example:
        >>> found = measure(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), ["cat", "dog"])
        >>> found.confusion, round(found.accuracy.value, 3)
        ([[1, 0], [1, 1]], 0.667)
    """
    labels, probabilities = _checked(labels, probabilities)
    _refuse_strangers(labels, probabilities, classes)
    n, c = len(labels), len(classes)

    own = np.take_along_axis(probabilities, labels[:, None], 1)
    earlier = np.arange(c) < labels[:, None]
    # Of equal probabilities, the first one has the lowest rank, as in argmax.
    ranks = ((probabilities > own) | ((probabilities == own) & earlier)).sum(1)
    ks = [k for k in sorted({min(3, c - 1), min(5, c - 1)}) if k > 1]
    confusion = np.zeros((c, c), int)
    np.add.at(confusion, (labels, probabilities.argmax(1)), 1)
    macro, each = _by_class(confusion, classes)

    counts = redraw(n)
    of_each = losses(labels, probabilities)
    loss = between(of_each.mean(), counts @ of_each / n)
    area = auc(labels, probabilities)
    ranked = None if area is None else between(area, drawn_auc(labels, probabilities, counts))
    bootstrap = f"bootstrap, {DRAWS:,} draws, seed {SEED}"
    methods = dict.fromkeys(("accuracy", "top_k", "precision", "recall"), "wilson")
    methods |= dict.fromkeys(("loss", "auc", "f1", "macro"), bootstrap)
    if n < FEW:
        loss = Rate(float(of_each.mean()), *intervals.mean(of_each, 0.0, WORST))
        ranked = ranked and few_auc(labels, ranked, c)
        methods |= dict.fromkeys(("auc", "f1", "macro"), f"{bootstrap}, at least wilson")
        methods["loss"] = "Student's t"
    return Scores(
        pictures=n,
        accuracy=share(int((ranks == 0).sum()), n),
        loss=loss,
        auc=ranked,
        top_k={str(k): share(int((ranks < k).sum()), n) for k in ks},
        macro=macro,
        classes=each,
        confusion=confusions.as_json(confusion),
        intervals={"level": "95 %", **methods},
    )


def cross_entropy(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the unweighted mean of ``log(sum(exp(logits))) - logits[label]``, in nats.

    It is computed in float64, and nan if logits are not finite.

    Args:
        labels: int ``[n]``.
        logits: float ``[n, classes]``.

    Raises:
        DatasetError: there are no rows, or the shapes do not match.

    Example:
        >>> round(cross_entropy(np.array([0]), np.array([[0.0, 0.0]])), 4)
        0.6931
    """
    labels, logits = _checked(labels, logits, "logits")
    with np.errstate(invalid="ignore"):
        shifted = logits - logits.max(1, keepdims=True)
        own = shifted[np.arange(len(labels)), labels]
        return float((np.log(np.exp(shifted).sum(1)) - own).mean())


def losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each picture, in nats: float64 ``[n]``. Probabilities below `SMALLEST` are replaced.

    >>> losses(np.array([0]), np.array([[0.5, 0.5]])).round(4)
    array([0.6931])
    """
    own = probabilities[np.arange(len(labels)), labels]
    return -np.log(np.clip(own, SMALLEST, None))


def ranked(values: np.ndarray) -> np.ndarray:
    """Return the ranks of values from 1, float ``[n]``; equal values get their mean rank. SciPy's takes 1 s to import.

    >>> ranked(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the area under the ROC curve.

    For one class, this is the probability that a picture of the class has a higher score for it than a picture of
    another class. For two classes, the area of the second class is returned. For more, it is the unweighted mean of the
    areas of each class against the rest, over the classes that have some but not all of the pictures.

    The area is Mann and Whitney's ``U / (P N)``: P pictures are of the class, N are not, and ``U`` is the sum of the P
    pictures' ranks minus ``P (P + 1) / 2``. Equal scores get their mean rank, so that a tie counts half (Mann & Whitney
    1947, Ann. Math. Statist. 18:50-60; Hanley & McNeil 1982, Radiology 143:29-36).

    Args:
        labels: int ``[n]``.
        scores: probabilities, float ``[n, classes]``. Do not use logits: those of different pictures have no common
            scale.

    Returns:
        0 to 1 (chance: 0.5); ``None`` if all pictures are of one class; nan if scores are not finite.

    Raises:
        DatasetError: there are no rows, or the shapes do not match.

    Example:
        >>> auc(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]]))
        0.75
    """
    labels, scores = _checked(labels, scores, "scores")
    if not np.isfinite(scores).all():
        return float("nan")
    ordered = scores.T.copy()  # the scores of a class are contiguous: sorting takes most of the time
    ordered.sort(1)
    support = np.bincount(labels, minlength=len(ordered))
    seen = [i for i in _judged(len(ordered)) if 0 < support[i] < len(labels)]
    areas = []
    for i in seen:
        own = scores[labels == i, i]
        p = len(own)
        ranks = (np.searchsorted(ordered[i], own, "left") + np.searchsorted(ordered[i], own, "right") + 1) / 2
        areas.append((ranks.sum() - p * (p + 1) / 2) / (p * (len(labels) - p)))
    return float(np.mean(areas)) if areas else None


def redraw(n: int, draws: int = DRAWS) -> np.ndarray:
    """Return the bootstrap's draws: how often each of *n* pictures occurs in a sample of *n* with replacement.

    Returns:
        float32 ``[draws, n]``, drawn with a fixed seed; each row sums to n.

    Example:
        >>> redraw(3, draws=2).sum(1)
        array([3., 3.], dtype=float32)
    """
    rng = np.random.default_rng(SEED)
    return np.array([np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(draws)], np.float32)


def drawn_auc(labels: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the `auc` of each draw, float ``[draws]``; nan if all drawn pictures are of one class.

    All draws use the same table, which compares the score of every picture with that of every other. A draw therefore
    needs one row of a matrix product instead of a sort.

    Args:
        labels: int ``[n]``.
        scores: float ``[n, classes]``, finite.
        counts: float32 ``[draws, n]``, see `redraw`.

    Example:
        >>> drawn_auc(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1]]), np.ones((1, 3)))
        array([0.75])
    """
    n, classes = scores.shape
    wins = np.empty_like(counts)
    for at in range(0, n, _BLOCK):
        some = np.arange(at, min(at + _BLOCK, n))
        own = labels[some]
        mine, others = scores[some, own], scores[:, own]
        halves = (mine > others).astype(np.float32) + (mine >= others)
        beaten = np.where(labels[:, None] == own, np.float32(0), halves / 2)  # [n, some]: 0, ½ for a tie, or 1
        wins[:, at : at + _BLOCK] = counts @ beaten
    one_hot = np.eye(classes)[labels][:, _judged(classes)]
    support = counts @ one_hot
    with np.errstate(invalid="ignore"):
        areas = (counts * wins) @ one_hot / (support * (n - support))
        seen = ~np.isnan(areas)
        return np.where(seen, areas, 0).sum(1) / seen.sum(1)


def between(value: float, draws: np.ndarray) -> Rate:
    """Return a value with the percentile interval of bootstrap draws, widened if necessary to contain the value.

    See Efron 1979, Ann. Statist. 7:1-26. Draws that are nan are ignored.

    >>> between(0.5, np.array([0.0, 0.5, np.nan, 1.0]))
    Rate(value=0.5, low=0.025, high=0.975)
    """
    low, high = np.percentile(draws[~np.isnan(draws)], [2.5, 97.5])
    return Rate(float(value), float(min(low, value)), float(max(high, value)))


@dataclass(frozen=True)
class Agreement(Record):
    """How much two computations of the same probabilities differ.

    Args:
        largest_difference: the largest difference between two probabilities; inf if one is nan.
        top1_agreement: the share of rows with the same most probable class in both.
        disagreements: the number of rows with different most probable classes, not counting near ties.
    """

    largest_difference: float
    top1_agreement: float
    disagreements: int


def agreement(a: np.ndarray, b: np.ndarray, bound: float = 1e-4) -> Agreement:
    """Return how much *b*, a second computation of the same probabilities, differs from *a*.

    Args:
        a: the reference, float ``[n, classes]``.
        b: float ``[n, classes]``.
        bound: a row is a near tie if its two largest probabilities in *a* differ by at most this. Rounding decides
            their order, so a near tie is not counted as a disagreement.

    Raises:
        DatasetError: there are no rows, or the shapes are different.

    Example:
        >>> agreement(np.array([[0.75, 0.25]]), np.array([[0.5, 0.5]]))
        Agreement(largest_difference=0.25, top1_agreement=1.0, disagreements=0)
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape or a.ndim != 2:
        raise DatasetError(
            f"cannot compare {list(a.shape)} with {list(b.shape)}: expected two arrays of the same shape [n, classes]."
        )
    if not len(a):
        raise DatasetError("cannot compare 0 rows of probabilities: at least one was expected.")
    same = a.argmax(1) == b.argmax(1)
    best = np.sort(a, axis=1)[:, -2:]
    clear = best[:, -1] - best[:, 0] > bound
    return Agreement(
        largest_difference=float(np.nan_to_num(np.abs(a - b), nan=np.inf).max()),
        top1_agreement=float(same.mean()),
        disagreements=int((clear & ~same).sum()),
    )


def share(hits: int, total: int) -> Rate:
    """Return the share ``hits / total`` with its interval (see `topwork.scoring.intervals.wilson`).

    *total* is at least 1.

    >>> found = share(45, 50)
    >>> found.value, round(found.low, 3), round(found.high, 3)
    (0.9, 0.786, 0.957)
    """
    return Rate(hits / total, *intervals.wilson(hits / total, total))


def few_auc(labels: np.ndarray, rate: Rate, classes: int) -> Rate:
    """Return *rate*, the `auc` of few pictures, with an interval that is wide enough.

    A class divides the pictures into two sides, its own pictures and the rest. The interval is at least as wide as
    Wilson's interval for a share of *m* pictures, where *m* is the size of the smallest side of any averaged class.
    """
    support = np.bincount(labels, minlength=classes)[_judged(classes)]
    sides = np.minimum(support, len(labels) - support)
    return _widened(rate, int(sides[sides > 0].min()))


def _widened(rate: Rate, total: int) -> Rate:
    """Return *rate* with an interval at least as wide as Wilson's interval for a share of *total* pictures."""
    low, high = intervals.wilson(rate.value, max(1, total))
    return replace(rate, low=min(low, rate.low), high=max(high, rate.high))


def _checked(labels: np.ndarray, values: np.ndarray, word: str = "probabilities") -> tuple[np.ndarray, np.ndarray]:
    labels, values = np.asarray(labels), np.asarray(values, float)
    if labels.ndim != 1 or values.ndim != 2 or len(labels) != len(values):
        raise DatasetError(
            f"cannot measure labels {list(labels.shape)} against {word} {list(values.shape)}: expected [n] and "
            "[n, classes]."
        )
    if not len(labels):
        raise DatasetError("cannot measure 0 pictures: at least one was expected; is the part empty?")
    return labels, values


def _refuse_strangers(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> None:
    n, shape = len(classes), list(probabilities.shape)
    if probabilities.shape[1] != n:
        raise DatasetError(f"cannot measure probabilities {shape} of {n} classes: expected one column per class.")
    if labels.min() < 0 or labels.max() >= n:
        wrong = int(labels[(labels < 0) | (labels >= n)][0])
        raise DatasetError(f"label {wrong} is not one of the {n} classes: expected 0 to {n - 1}.")
    bad = np.flatnonzero(~np.isfinite(probabilities).all(1))
    if len(bad):
        raise DatasetError(
            f"{len(bad)} of {len(labels)} rows of probabilities are not finite (the first is row {bad[0]}): "
            "the training diverged. Try a lower learning rate."
        )


def _by_class(confusion: np.ndarray, classes: Sequence[str]) -> tuple[dict[Average, Rate], dict[str, ClassScores]]:
    """Return the macro averages of precision, recall and F1, and the scores of each class.

    A bootstrap sample of n pictures is one multinomial draw from the cells of the confusion matrix.
    """
    true, predicted = np.nonzero(confusion)
    cells, right, every = confusion[true, predicted], true == predicted, len(confusion)
    rng = np.random.default_rng(SEED)
    hits, support, chosen = np.empty((3, 1 + DRAWS, every))  # index 0: the counts themselves; then one index per draw
    for i in range(1 + DRAWS):
        drawn = rng.multinomial(cells.sum(), cells / cells.sum()) if i else cells
        support[i] = np.bincount(true, drawn, every)
        chosen[i] = np.bincount(predicted, drawn, every)
        hits[i] = np.bincount(true, drawn * right, every)
    with np.errstate(invalid="ignore"):
        scores = np.stack([hits / chosen, hits / support, 2 * hits / (support + chosen)])  # nan where undefined

    occurs = support > 0
    means = np.where(occurs, np.nan_to_num(scores), 0).sum(-1) / occurs.sum(-1)
    names: tuple[Average, ...] = ("precision", "recall", "f1")
    macro = {name: between(values[0], values[1:]) for name, values in zip(names, means)}
    few = cells.sum() < FEW
    if few:
        macro = {name: _widened(rate, int(cells.sum())) for name, rate in macro.items()}

    each = {}
    counts = np.stack([confusion.diagonal(), confusion.sum(1), confusion.sum(0)], 1).tolist()
    for i, (name, (correct, actual, guessed)) in enumerate(zip(classes, counts)):
        f1 = between(scores[2, 0, i], scores[2, 1:, i]) if actual + guessed else None
        each[name] = ClassScores(
            precision=share(correct, guessed) if guessed else None,
            recall=share(correct, actual) if actual else None,
            f1=_widened(f1, actual) if f1 and few else f1,
            support=actual,
        )
    return macro, each


def _judged(classes: int) -> list[int]:
    """Return the columns whose AUC is averaged; for two classes only the second, because both have the same AUC."""
    return [1] if classes == 2 else list(range(classes))
