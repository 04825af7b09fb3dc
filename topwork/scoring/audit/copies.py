"""Copies: pictures that are the same, or nearly, by their pixels or to the network.

Pixels show pictures that were saved again or resized (`topwork.data.quality.near_copies`). Activations also show crops,
mirrored pictures, and pictures of a burst. Two pictures look alike to the network if they are much closer to each other
than each is to its other neighbours: the square of their distance is less than a share of the square of the distance to
the k-th other neighbour, for one of `SCALES`. Such a rule needs no limit on the similarity itself, which differs
between networks and data. Where pictures differ in few ways, some are so close by chance; the share is then smaller
(see `by_chance`).

Of pictures that look alike, pixels decide which are certain: those of which one is a part of the other
(`topwork.data.quality.crops`). The others are named if their share is below `CLOSE`, as pictures of one scene.

Measured with efficientnet_lite0 on 500 photos of flowers: see `python -m benchmarks planted`. Of all pairs of 10,000
digits of MNIST, 6 look alike.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from topwork.data.dataset import Dataset, Row
from topwork.data.quality import facts, near_copies
from topwork.data.quality.crops import is_crop
from topwork.data.quality.facts import Fact
from topwork.data.quality.findings import Finding
from topwork.scoring.audit.neighbours import Neighbours

SCALES = ((5, 0.55), (20, 0.3))
"""Number of neighbours k, and the share of the squared distance to the k-th one. The second finds longer bursts."""

CLOSE = 0.45
"""Pictures that are not certain to be the same look alike below this share, at the first of `SCALES`."""

VERIFIED = 200
"""At most this many pairs are compared by their pixels, the closest first: each takes about 50 ms."""

Pairs = np.ndarray
"""Positions of rows that are copies of each other, int ``[n, 2]``."""


def by_pixels(data: Dataset) -> Pairs:
    """Return pairs of rows that have near-copies; all rows of near-copies are connected by pairs."""
    where = near_copies.sources(data)
    known = {digest: one for digest, one in facts.known(where).items() if isinstance(one, Fact)}
    rows_of: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(data.rows):
        for _, digest in row.pictures:
            rows_of[digest].append(number)
    pairs = []
    for cluster in near_copies.clusters({digest: known[digest] for digest in rows_of if digest in known}, where):
        first, *others = [number for digest in cluster for number in rows_of[digest]]
        pairs += [(first, other) for other in others]
    return np.array(pairs, int).reshape(-1, 2)


def by_activations(neighbours: Neighbours, labels: np.ndarray) -> tuple[Pairs, np.ndarray]:
    """Return pairs of rows that look alike to the network, the closest first, and whether they are below `CLOSE`.

    Args:
        neighbours: of the rows.
        labels: int ``[n]``. In a class with few pictures, even the k-th neighbour may be of another class, which says
            nothing; so the larger scale is used only for classes of twice as many pictures.
    """
    sizes = np.bincount(labels)[labels]
    distances = np.maximum(2 - 2 * neighbours.similarities, 0)
    found: dict[tuple[int, int], tuple[float, bool]] = {}
    for scale, most in SCALES:
        if neighbours.nearest.shape[1] <= scale:
            continue
        one = np.repeat(np.arange(len(labels)), scale)
        other = neighbours.nearest[:, :scale].ravel()
        is_mutual = (neighbours.nearest[other, :scale] == one[:, None]).any(1)
        limits = np.minimum(distances[one, scale], distances[other, np.where(is_mutual, scale, scale - 1)])
        shares = distances[:, :scale].ravel() / np.maximum(limits, np.finfo(np.float32).tiny)
        alike = shares < min(most, by_chance(distances, scale))
        if scale != SCALES[0][0]:
            alike &= np.minimum(sizes[one], sizes[other]) >= 2 * scale
        for i in np.flatnonzero(alike).tolist():
            pair = min(one[i], other[i]).item(), max(one[i], other[i]).item()
            is_close = scale != SCALES[0][0] or shares[i] < CLOSE
            share, was_close = found.get(pair, (np.inf, False))
            found[pair] = min(share, float(shares[i])), is_close or was_close
    ordered = sorted(found, key=lambda pair: found[pair])
    return np.array(ordered, int).reshape(-1, 2), np.array([found[pair][1] for pair in ordered], bool)


def certain(data: Dataset, pairs: Pairs) -> np.ndarray:
    """Return for which pairs the pixels of one picture are a part of the other's, bool ``[n]``.

    Args:
        data: the dataset.
        pairs: the closest first; those after the first `VERIFIED` are not certain.
    """
    few = pairs[:VERIFIED].tolist()
    rows = {i: data.rows[i] for pair in few for i in pair}
    known = facts.miniatures({row.digest: data.picture(row.path) for row in rows.values()} if _is_there(data) else {})
    found = np.zeros(len(pairs), bool)
    for number, (a, b) in enumerate(few):
        one, other = (known.get(rows[i].digest) for i in (a, b))
        found[number] = one is not None and other is not None and is_crop(one, other)
    return found


def _is_there(data: Dataset) -> bool:
    return data.pixels is not None or bool(data.root)


def by_chance(distances: np.ndarray, scale: int) -> float:
    """Return the share that about one picture of all would reach by chance, given how the pictures vary.

    Where pictures vary in m independent ways, the share of the squared distance to the k-th neighbour that the nearest
    one has is below x with the probability (k - 1) x^(m / 2), about. The dimension m is estimated from the distances to
    the second and further neighbours (Levina & Bickel 2005, Advances in Neural Information Processing Systems 17); the
    median over the pictures is used. Photos of flowers have 24, handwritten digits 18.

    Args:
        distances: squared distances of each picture to its neighbours, the nearest first, float ``[n, neighbours]``.
        scale: the k above.
    """
    some = np.maximum(distances[:, 1 : SCALES[-1][0] + 1], np.finfo(np.float32).tiny)
    logs = np.log(some[:, -1:] / some[:, :-1]).mean(1) / 2
    dimension = 1 / max(float(np.median(logs)), 1e-6)
    return float((1 / (len(distances) * (scale - 1))) ** (2 / dimension))


def clusters(count: int, pairs: Pairs) -> list[list[int]]:
    """Return lists of the rows, of *count*, that are connected by pairs; two or more in each list, in reading order.

    >>> clusters(5, np.array([[3, 1], [1, 4]]))
    [[1, 3, 4]]
    """
    _, numbers = connected_components(coo_array((np.ones(len(pairs)), pairs.T), (count, count)), directed=False)
    together: dict[int, list[int]] = defaultdict(list)
    for row, number in enumerate(numbers.tolist()):
        together[number].append(row)
    return [rows for rows in together.values() if len(rows) > 1]


def findings(data: Dataset, found: Sequence[Sequence[int]], sure: Pairs, neighbours: Neighbours) -> list[Finding]:
    """Return the findings on copies.

    Args:
        data: its rows have parts.
        found: the rows of each cluster.
        sure: the pairs whose pixels agree.
        neighbours: of the rows.
    """
    each = []
    for cluster in found:
        within = [(a, b) for a, b in sure.tolist() if a in cluster and b in cluster]
        first, *others = cluster
        score = 1.0 if within else float((neighbours.directions[others] @ neighbours.directions[first]).max())
        each.append(_finding(data, cluster, within, score))
    return each + _equal(data)


def _finding(data: Dataset, cluster: Sequence[int], sure: Sequence[tuple[int, int]], score: float) -> Finding:
    """Return the finding on one cluster; it is certain if a pair of *sure* has two labels, or is in two parts."""
    rows = [data.rows[i] for i in cluster]
    paths = [row.path for row in rows]
    labels, parts = Counter(row.label for row in rows), Counter(str(row.split) for row in rows)
    pairs = [(data.rows[a], data.rows[b]) for a, b in sure]
    what = "The same picture, saved again, resized or cropped" if pairs else "They look like pictures of one scene"
    if len(labels) > 1:
        is_certain = any(a.label != b.label for a, b in pairs)
        named = " and ".join(map(repr, sorted(labels)))
        advice = f"{what}: labelled {named}. Correct or remove the wrong one."
        return Finding.of("contradiction", score, paths, advice, is_certain=is_certain)
    label = rows[0].label
    if len(parts) > 1:
        is_certain = any(a.split != b.split for a, b in pairs)
        scores = "the scores are" if is_certain else "the scores may be"
        advice = f"{what}: in {' and '.join(sorted(parts))}, so {scores} too good. Give them one group: --fix does."
        return Finding.of("leak", score, paths, advice, label=label, is_certain=is_certain)
    advice = f"{what}. They should stay in one part: --fix gives them one group."
    return Finding.of("near_copy", score, paths, advice, label=label)


def _equal(data: Dataset) -> list[Finding]:
    """Return the findings on pictures whose bytes are equal."""
    paths: dict[str, list[Row]] = defaultdict(list)
    for row in data.rows:
        paths[row.content].append(row)
    found = []
    for rows in paths.values():
        if len(rows) > 1:
            advice = "The files are equal. They count more than once, and share a part: remove all but one."
            found.append(Finding.of("equal", len(rows), [row.path for row in rows], advice, label=rows[0].label))
    return found


def skipped(data: Dataset) -> list[Finding]:
    """Return the findings on skipped pictures: equal ones with different labels, and those that cannot be read."""
    found, seen = [], set()
    for gone in data.left_out:
        if not gone.twin:
            found.append(Finding.of("unreadable", 1, [gone.path], f"{gone.reason}."))
        elif gone.path not in seen:
            seen |= {gone.path, gone.twin}
            advice = f"Skipped: {gone.reason}. Correct or remove the wrong one."
            found.append(Finding.of("contradiction", 1, [gone.path, gone.twin], advice))
    return found
