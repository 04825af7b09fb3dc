"""Classes: two that cannot be told apart, and one that contains two different kinds of pictures."""

from collections.abc import Sequence

import numpy as np

from topwork.data.dataset import Dataset
from topwork.data.quality.findings import Finding
from topwork.scoring.audit.neighbours import Neighbours
from topwork.scoring.audit.suspects import Answers
from topwork.scoring.intervals import Z
from topwork.scoring.metrics import ranked

ALIKE = 0.75
"""Two classes are alike if the 95 % interval of the area under the ROC curve between them ends below this; chance is
0.5."""

PICTURES = 10
"""Classes with fewer pictures are not judged."""

APART = 0.05
"""One class is two clusters if the links between them are fewer than this share of what chance would give. Measured on
pure classes: photos of flowers 0.17 to 0.33, digits 0.11 to 0.32; on two digits under one label: 0.00 to 0.12."""

SMALLEST = 0.1
"""The smaller cluster has at least this share of the class."""

LINKS, MOST = 10, 500
"""Each picture is linked with this many neighbours of its class; of larger classes, this many pictures are drawn."""

SHOWN = 3
"""How many pictures of each class or cluster are named."""


def alike(data: Dataset, answers: Answers) -> list[Finding]:
    """Return the pairs of classes that heads cannot tell apart."""
    logits, labels, names = answers.logits, answers.labels, answers.classes
    counts = np.bincount(labels)
    wrong = np.stack([labels, logits.argmax(1)], 1)
    confused = np.unique(np.sort(wrong[wrong[:, 0] != wrong[:, 1]], axis=1), axis=0)
    found = []
    for one, other in confused.tolist():
        if min(counts[one], counts[other]) < PICTURES:
            continue
        rows = np.flatnonzero((labels == one) | (labels == other))
        area, high = area_between(logits[rows, other] - logits[rows, one], labels[rows] == other)
        if high < ALIKE:
            examples = [i for label in (one, other) for i in np.flatnonzero(labels == label)[:SHOWN]]
            paths = [data.rows[i].path for i in answers.positions[examples]]
            advice = (
                f"Of a picture of each, the more likely one is named right in {100 * area:.0f} % of the pairs "
                f"(95 % limit {100 * high:.0f} %, chance 50 %). If they are one class, give them one label."
            )
            both = {"label": names[one], "proposed": names[other]}
            found.append(Finding.of("classes_alike", 1 - high, paths, advice, **both))
    return found


def area_between(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """Return the area under the ROC curve and its upper 95 % limit (Hanley & McNeil 1982, Radiology 143).

    Args:
        scores: float ``[n]``.
        positive: bool ``[n]``; both values occur.

    >>> area, high = area_between(np.arange(40.0), np.arange(40) >= 20)
    >>> area, high
    (1.0, 1.0)
    """
    p, n = int(positive.sum()), int((~positive).sum())
    area = (ranked(scores)[positive].sum() - p * (p + 1) / 2) / (p * n)
    one, two = area / (2 - area), 2 * area * area / (1 + area)
    variance = (area * (1 - area) + (p - 1) * (one - area * area) + (n - 1) * (two - area * area)) / (p * n)
    return float(area), min(1.0, float(area + Z * np.sqrt(max(variance, 0.0))))


def split(data: Dataset, neighbours: Neighbours, labels: np.ndarray, names: Sequence[str], seed: int) -> list[Finding]:
    """Return the classes whose pictures are in two clusters with hardly a link between them."""
    found = []
    for number, label in enumerate(names):
        rows = np.flatnonzero(labels == number)
        if len(rows) < 2 * PICTURES:
            continue
        if len(rows) > MOST:
            rows = np.sort(np.random.default_rng(seed).choice(rows, MOST, replace=False))
        links, smaller = two_clusters(neighbours.directions[rows])
        if links < APART:
            first = [data.rows[i].path for side in (smaller, ~smaller) for i in rows[side][:SHOWN]]
            advice = (
                f"{100 * smaller.mean():.0f} % of its pictures are unlike the others, with {100 * links:.0f} % of the "
                "links between them that chance would give. If these are two kinds of things, give them two labels."
            )
            found.append(Finding.of("class_split", 1 - links, first, advice, label=label))
    return found


def two_clusters(directions: np.ndarray) -> tuple[float, np.ndarray]:
    """Divide pictures into two clusters with as few links between them as possible.

    The second eigenvector of the graph of neighbours orders the pictures (Shi & Malik 2000, IEEE PAMI 22); the best of
    all divisions of this order is taken.

    Args:
        directions: float32 ``[n, d]``, of norm 1.

    Returns:
        The number of links between the clusters, divided by what chance would give; and which pictures are in the
        smaller cluster, bool ``[n]``.
    """
    count = len(directions)
    own = directions - directions.mean(0)
    own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    similar = own @ own.T
    np.fill_diagonal(similar, -2)
    links = np.zeros((count, count))
    near = np.argpartition(-similar, min(LINKS, count - 1) - 1, axis=1)[:, :LINKS]
    np.put_along_axis(links, near, 0.5, axis=1)
    links += links.T
    degrees = links.sum(1)
    _, vectors = np.linalg.eigh(links / np.sqrt(np.outer(degrees, degrees)))
    order = np.argsort(vectors[:, -2] / np.sqrt(degrees), kind="stable")

    links, below = links[np.ix_(order, order)], np.cumsum(degrees[order])
    between = np.cumsum(degrees[order] - 2 * np.tril(links).sum(1))
    chance = below * (below[-1] - below) / below[-1]
    least = max(2, int(np.ceil(SMALLEST * count)))
    sizes = np.arange(least, count - least + 1)
    shares = between[sizes - 1] / chance[sizes - 1]
    best = int(sizes[shares.argmin()])
    smaller = np.zeros(count, bool)
    smaller[order[:best] if 2 * best <= count else order[best:]] = True
    return float(shares.min()), smaller
