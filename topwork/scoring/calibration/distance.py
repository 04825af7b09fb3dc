"""Fit the distance from the training pictures, and the limit up to which a picture counts as known.

The centres are found by k-means among the training pictures of each class. A centre is the mean of several pictures
that are not nearly the same, so that a file which is passed on does not hold the features of a single one.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np

from topwork.networks.outputs.distance import Distance, Measure, largest

ACCEPTED = 0.95
"""The share of pictures of the trained classes that are accepted as known."""

PER_CLASS = 16
"""The number of centres of a class, if it has enough pictures. With 8, AUROC was 0.007 lower (docs/log.md)."""

MEMBERS = 3
"""A centre is the mean of at least so many pictures that are not alike."""

ALIKE = 0.99
"""Of pictures whose features have at least this cosine, as the same picture in two sizes, only the first is used."""

MOST, BYTES = 256, 2_000_000
"""The largest number of all centres, and their largest size in a file, as float32."""

LEARNED = 2000
"""At most so many training pictures are clustered."""

ROUNDS = 20
"""The number of rounds of k-means; they end earlier if no picture changes its centre."""


def clusters(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the cluster of each picture, int ``[n]``; -1 if it has none.

    Each class has its own clusters. Classes with too few pictures share theirs; so do all classes if there are more of
    them than `MOST`.

    Args:
        features: from `topwork.networks.outputs.distance.unit`, float ``[n, features]``.
        labels: int ``[n]``.
    """
    has_earlier = (np.tril(features @ features.T, -1) > ALIKE).any(1)
    kept = np.flatnonzero(~has_earlier)
    most = min(MOST, BYTES // (4 * features.shape[1]))
    counts = np.bincount(labels[kept])
    own = np.flatnonzero(counts >= MEMBERS) if (counts > 0).sum() <= most else np.array([], int)
    groups = [kept[labels[kept] == number] for number in own]
    rest = kept[~np.isin(labels[kept], own)]
    groups += [rest] if len(rest) >= MEMBERS else []
    each = max(1, min(PER_CLASS if len(own) else most, most // max(1, len(groups))))
    found, start = np.full(len(features), -1), 0
    for group in groups:
        found[group] = start + _clustered(features[group], each)
        start = found.max() + 1
    return found


def _clustered(points: np.ndarray, count: int) -> np.ndarray:
    """Return the cluster of each point, int ``[n]``, by k-means on the sphere (Dhillon & Modha 2001).

    The first means are drawn by k-means++ (Arthur & Vassilvitskii 2007). A cluster with fewer than `MEMBERS` points is
    dissolved.
    """
    draw = np.random.default_rng(0)
    count = min(count, len(points) // MEMBERS)
    chosen = [int(draw.integers(len(points)))]
    nearest = points @ points[chosen[0]]
    while len(chosen) < count:
        far = np.maximum(1 - nearest, 0) + 1e-12
        chosen.append(int(draw.choice(len(points), p=far / far.sum())))
        nearest = np.maximum(nearest, points @ points[chosen[-1]])

    means, own = points[chosen], np.full(len(points), -1)
    for _ in range(ROUNDS):
        before, own = own, (points @ means.T).argmax(1)
        if (own == before).all():
            break
        means = means_of(points, own)
    own = (points @ means.T).argmax(1)
    while (counts := np.bincount(own, minlength=len(means))).min() < MEMBERS:
        means = np.delete(means, counts.argmin(), 0)
        own = (points @ means.T).argmax(1)
    return own


def means_of(features: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the mean of each cluster, with the length 1: ``[clusters, features]``. Empty clusters are left out."""
    numbers, places = np.unique(own[own >= 0], return_inverse=True)
    sums = np.eye(len(numbers), dtype=features.dtype)[places].T @ features[own >= 0]
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)


def measure(
    features: np.ndarray,
    labels: np.ndarray,
    apart: tuple[np.ndarray, np.ndarray] | None = None,
    folds: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[Measure, np.ndarray] | None:
    """Fit the distance of a network.

    Args:
        features, labels: of training pictures, from `topwork.networks.outputs.distance.unit`.
        apart: features and logits of pictures that were not learned.
        folds: or, in their place, the fold of each training picture, and its logits by a head that was trained without
            this fold. Its cosine is that to the means of the pictures in other folds.

    Returns:
        The distance, and those of the pictures that were not learned, float ``[n]``; ``None`` if there are too few
        pictures.
    """
    own = clusters(features, labels)
    if (own < 0).all():
        return None
    centres = means_of(features, own).T.astype(np.float16)
    if folds:
        number, logits = folds
        cosine = np.full(len(features), -1.0)
        for one in np.unique(number):
            others = means_of(features[number != one], own[number != one])
            if len(others):
                cosine[number == one] = (features[number == one] @ others.T).max(1)
    else:
        assert apart
        logits, cosine = apart[1], (apart[0] @ centres.astype(np.float32)).max(1)
    if len(cosine) < 2:
        return None
    sure = largest(logits)
    (logit, one), (nearest, other) = scales = [
        (float(values.mean()), max(float(values.std()), 1e-6)) for values in (sure, cosine)
    ]
    return Measure(centres, *scales), (logit - sure) / one + (nearest - cosine) / other


def limited(measures: Sequence[Measure], distances: np.ndarray) -> Distance:
    """Return a distance with its threshold.

    A further picture like those of *distances* is at most so far with a probability of about `ACCEPTED`; with fewer
    than 19 distances, of n / (n + 1), because the threshold is then the largest of them. This is the threshold of
    split conformal prediction (Vovk, Gammerman & Shafer 2005, Algorithmic learning in a random world), whose guarantee
    holds exactly only if nothing else was fitted on these pictures.

    Args:
        measures: of the network, or of the members of a join.
        distances: of pictures that were not learned, float ``[n]``.
    """
    rank = min(len(distances), ceil((len(distances) + 1) * ACCEPTED))
    accepted = min(ACCEPTED, rank / (len(distances) + 1))
    return Distance(tuple(measures), float(np.sort(distances)[rank - 1]), round(accepted, 4))
