"""Copies: pictures that are the same, or nearly, by their pixels or to the network.

Pixels show pictures that were saved again or resized (`topwork.data.quality.near_copies`). Activations also show crops,
mirrored pictures, and pictures of a burst. Two pictures look alike to the network if they are much closer to each other
than each is to its other neighbours: the square of their distance is less than a share of the square of the distance to
the k-th other neighbour, for one of `SCALES`. Such a rule needs no limit on the similarity itself, which differs
between networks and data. Where pictures differ in few ways, some are so close by chance; the share is then smaller
(see `by_chance`).

Pixels then decide which of these pairs are certain: one picture must be a part of the other
(`topwork.data.quality.crops`). The other pairs are named as pictures of one scene if their share is below `CLOSE`.

Measured with efficientnet_lite0 on 500 photos of flowers: see `python -m benchmarks planted`. Of all pairs of 10,000
digits of MNIST, 6 look alike.
"""

from collections import defaultdict
from collections.abc import Sequence
from math import prod

import numpy as np

from topwork.data.dataset import Dataset, Row
from topwork.data.quality import facts, near_copies
from topwork.data.quality.crops import is_crop
from topwork.data.quality.facts import Fact
from topwork.data.quality.findings import Finding
from topwork.scoring.answers import SAMPLE
from topwork.scoring.audit.neighbours import Neighbours
from topwork.store.examples import StoredActivations, features
from topwork.system.advice import either

SCALES = ((5, 0.55), (20, 0.3))
"""Number of neighbours k, and the share of the squared distance to the k-th one. The second finds longer bursts."""

CLOSE = 0.45
"""Pictures that are not certain to be the same look alike below this share, at the first of `SCALES`."""

VERIFIED = 200
"""At most this many pairs are compared by their pixels, the closest first: each takes about 50 ms."""

FEATURES = 200
"""`copies_across` needs as many features: with fewer, as in the first layers, pictures look alike that are not."""

PRODUCTS, NUMBERS = 12_000_000_000, 50_000_000
"""`copies_across` does at most so many multiplications for the similarities (0.2 s), and reads so many numbers."""

FIRST = 5
"""`copies_across` compares at most so many pairs by their pixels."""

Pairs = np.ndarray
"""Positions of rows that are copies of each other, int ``[n, 2]``."""

NONE: Pairs = np.empty((0, 2), int)


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


def by_activations(neighbours: Neighbours, labels: np.ndarray, known: Pairs) -> tuple[Pairs, np.ndarray]:
    """Return pairs of rows that look alike to the network, the closest first, and whether they are below `CLOSE`.

    Args:
        neighbours: of the rows.
        labels: int ``[n]``. In a class with few pictures, even the k-th neighbour may be of another class, which says
            nothing; so the larger scale is used only for classes of twice as many pictures.
        known: pairs that are copies by their pixels; pairs that these connect are left out.
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
    ordered = np.array(sorted(found, key=lambda pair: found[pair]), int).reshape(-1, 2)
    new = _apart(len(labels), known, ordered)
    return new, np.array([found[a, b][1] for a, b in new.tolist()], bool)


def certain(data: Dataset, pairs: Pairs) -> np.ndarray:
    """Return for which pairs the pixels of one picture are a part of the other's, bool ``[n]``.

    Args:
        data: the dataset.
        pairs: the closest first; those after the first `VERIFIED` are not certain.
    """
    few = pairs[:VERIFIED].tolist()
    rows = {i: data.rows[i] for pair in few for i in pair}
    known = facts.miniatures({row.digest: data.picture(row.path) for row in rows.values()} if data.is_there else {})
    found = np.zeros(len(pairs), bool)
    for number, (a, b) in enumerate(few):
        one, other = (known.get(rows[i].digest) for i in (a, b))
        found[number] = one is not None and other is not None and is_crop(one, other)
    return found


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
    together: dict[int, list[int]] = defaultdict(list)
    for row, number in enumerate(_components(count, pairs).tolist()):
        together[number].append(row)
    return [rows for rows in together.values() if len(rows) > 1]


def findings(data: Dataset, sure: Pairs, alike: Pairs, neighbours: Neighbours) -> list[Finding]:
    """Return the findings on copies.

    Args:
        data: its rows have parts.
        sure: the pairs whose pixels agree.
        alike: pairs that look alike to the network.
        neighbours: of the rows.
    """
    found = [_finding([data.rows[i] for i in cluster], 1.0, is_certain=True) for cluster in clusters(len(data), sure)]
    for cluster in clusters(len(data), _apart(len(data), sure, alike)):
        first, *others = cluster
        score = min(0.999, float((neighbours.directions[others] @ neighbours.directions[first]).max()))
        found.append(_finding([data.rows[i] for i in cluster], score, is_certain=False))
    return [*filter(None, found), *_equal(data)]


def _apart(count: int, sure: Pairs, alike: Pairs) -> Pairs:
    """Return the pairs of *alike* that are not copies of each other already."""
    one, other = _components(count, sure)[alike].T
    return alike[one != other]


def _components(count: int, pairs: Pairs) -> np.ndarray:
    """Return a number for each of *count* rows, which is the same for rows that pairs connect: int ``[count]``."""
    if not len(pairs):
        return np.arange(count)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components  # a training mostly does without this import

    return connected_components(coo_array((np.ones(len(pairs)), pairs.T), (count, count)), directed=False)[1]


def _finding(rows: Sequence[Row], score: float, is_certain: bool) -> Finding | None:
    """Return the finding on copies of each other; ``None`` if they are equal files, which have a finding of their own.

    Args:
        rows: two or more.
        score: how alike they are: 1 if pixels show it, else less.
        is_certain: whether pixels show it.
    """
    if len({row.content for row in rows}) == 1:
        return None
    paths = [row.path for row in rows]
    labels, parts = {row.label for row in rows}, {str(row.split) for row in rows}
    what = "The same picture, saved again, resized or cropped" if is_certain else "They may be pictures of one scene"
    fix = f"{either('AuditResult.fixed', 'topwork audit --fix')} gives them one group"
    if len(labels) > 1:
        named = " and ".join(map(repr, sorted(labels)))
        advice = f"{what}: labelled {named}. Correct or remove the wrong one."
        return Finding.of("contradiction", score, paths, advice, is_certain=is_certain)
    label = rows[0].label
    if len(parts) > 1:
        which = "validation " if parts == {"train", "val"} else ""
        good = f"the {which}scores {'are' if is_certain else 'may be'} too good"
        advice = f"{what}: in {' and '.join(sorted(parts))}, so {good}. Keep them in one part: {fix}."
        return Finding.of("leak", score, paths, advice, label=label, is_certain=is_certain)
    advice = f"{what}. They are in one part, so no score is wrong. To keep them together: {fix}."
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


def copies_across(data: Dataset, stored: StoredActivations) -> list[Finding]:
    """Return the copies in different parts, or with different labels, that the activations and the pixels show.

    Args:
        data: the dataset of a run.
        stored: the activations of its last phase. If finding out would take long, nothing is returned.
    """
    if len(data) < 2 or len(data.part("test")) > SAMPLE:  # of more, only a sample is stored
        return []
    width = sum(stored.widths())
    size = sum(prod(tensor.shape) for reader in stored.readers for tensor in reader.tensors)
    is_small = len(data) ** 2 * width <= PRODUCTS and len(data) * size <= NUMBERS
    if width < FEATURES or not is_small:
        return []
    neighbours = Neighbours.of(features(stored, data.rows), stored.widths())
    place = {label: number for number, label in enumerate(data.classes)}
    labels = np.array([place[row.label] for row in data.rows])
    alike, _ = by_activations(neighbours, labels, NONE)
    parts, labelled = (np.array([getattr(row, name) or "" for row in data.rows]) for name in ("split", "label"))
    one, other = alike.T
    apart = alike[(parts[one] != parts[other]) | (labelled[one] != labelled[other])][:FIRST]
    sure = apart[certain(data, apart)]
    found = findings(data, sure, NONE, neighbours)
    return [one for one in found if one.severity == "error"]


def skipped(data: Dataset) -> list[Finding]:
    """Return the findings on skipped pictures: equal ones with different labels, and those that cannot be read."""
    found, seen = [], set()
    for gone in data.left_out:
        if not gone.is_torn:
            found.append(Finding.of("unreadable", 1, [gone.path], f"{gone.reason}.", label=gone.label or None))
        elif gone.path not in seen:
            seen |= {gone.path, gone.other}
            advice = f"Skipped: {gone.reason}. Correct or remove the wrong one."
            found.append(Finding.of("contradiction", 1, [gone.path, *filter(None, [gone.other])], advice))
    return found
