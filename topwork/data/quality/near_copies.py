"""Near-copies: the same picture saved again, in another size or file format.

There are two tests. The first test proposes a pair if the perceptual hashes (64 bits, `imagehash.dhash`) differ in few
bits and the luma agrees at 8 x 8 pixels. The second test accepts the pair if the pixels agree, too: luma at 64 x 64
pixels, and colour at 8 x 8. Plain pictures (`topwork.data.quality.facts`) have too little detail for these tests: they
are copies only if all their pixels are equal.

The limits were measured on three sets:

- 2,000 pairs of copies: 250 photos of flowers, saved as JPEG of quality 60 to 95, as PNG, and at half the size (four
  filters)
- 1,100 pairs that look alike but are not copies: text, forms, packets, icons, drawings, screenshots, gradients, photos
  with a patch replaced, bursts
- all of MNIST

The table shows, for each limit: the value that 97 % of the copies do not exceed; the largest value of a copy; and the
smallest values of other pairs, among the pairs that this limit alone keeps out.

    limit          copies: 97 %, largest    other pairs: smallest values
    BITS       8   2, 5                     none: the pixels decide
    LUMA       6   3, 6                     9 (a burst, 10 % brighter), 12 (MNIST)
    COLOUR    10   5, 7                     none
    CHANGE  0.12   0.05, 0.51               0.14 (an eighth replaced), 0.32 (a digit of six), 0.38 (a burst)
    SPREAD     8   3.7, 9.5                 none; 3 of 20 screenshots with another number in one of 12 fields pass

`imagehash.phash` was tried first. Its bits come from the median of a spectrum. If a picture has few details (a
gradient, a pattern), half of the bits change when it is saved again. Besides, `dhash` does not need SciPy.

Two pictures can pass for copies although they are not, if they differ only in a detail smaller than about 1/20 of their
sides, or if they are from a burst in which nothing moved. Many copies of pictures under 64 pixels are not found.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from topwork.data.dataset import Dataset, Row
from topwork.data.quality import facts
from topwork.data.quality.facts import SIDE, Fact, Source
from topwork.system.messages import some

BITS = 8
"""The largest number of bits, out of 64, that may differ between the hashes."""
LUMA = 6
"""The largest difference of the mean luma of a block of 8 x 8 pixels, in levels of 255, at 64 x 64 pixels."""
COLOUR = 10
"""The same limit for each of the two chromas."""
CHANGE = 0.12
"""The largest squared difference of a block's luma, as a share of its variation between pixels (at 32 x 32)."""
SPREAD = 8
"""How many times more the worst block may differ than the average (at 64 x 64): saving again changes all blocks."""

_ROWS, _PAIRS = 128, 256
"""How many pictures are compared with all others at once (first test); how many pairs are compared at once (second)."""


def sources(data: Dataset) -> dict[str, Source]:
    """Return digest -> the picture. Empty for arrays of small pictures: their only copies are equal ones."""
    if data.pixels is not None and max(data.pixels.shape[1:3]) < facts.SMALLEST:
        return {}
    is_there = data.is_there
    return {digest: data.picture(path) if is_there else None for row in data.rows for path, digest in row.pictures}


def joined(data: Dataset, known: Mapping[str, Fact | str], where: Mapping[str, Source]) -> Dataset:
    """Return the dataset with *near* set for near-copies that share a label. A note names those with two labels.

    Args:
        data: its rows have digests.
        known: the result of `topwork.data.quality.facts.known` for the pictures of *data*.
        where: the result of `sources` for *data*.
    """
    seen = {digest: fact for digest, fact in known.items() if isinstance(fact, Fact)}
    rows_of: dict[str, list[Row]] = defaultdict(list)
    for row in data.rows:
        for _, digest in row.pictures:
            rows_of[digest].append(row)
    ties: dict[str, set[str]] = defaultdict(set)
    clashes: list[str] = []
    for cluster in clusters({digest: seen[digest] for digest in rows_of if digest in seen}, where):
        cluster.sort(key=lambda digest: (-seen[digest].width * seen[digest].height, digest))
        first = {row.label: row for digest in reversed(cluster) for row in reversed(rows_of[digest])}
        for row in (row for digest in cluster for row in rows_of[digest]):
            ties[row.content].add(first[row.label].content)
        named = sorted(f"{row.path!r} ({row.label!r})" for row in first.values())
        clashes += [" and ".join(named)] if len(named) > 1 else []
    rows = tuple(
        replace(row, near=tuple(sorted(ties[row.content]))) if row.content in ties else row for row in data.rows
    )
    notes = (f"Near-copies with two labels, one of which may be wrong: {some(clashes)}.",) if clashes else ()
    return replace(data, rows=rows, notes=data.notes + notes)


def originals(data: Dataset, others: Iterable[Dataset]) -> dict[str, set[str]]:
    """Return digest -> digests of near-copies in *others*, for pictures of *data* that are not in *others*."""
    old = {digest: source for other in others for digest, source in sources(other).items()}
    new = {digest: source for digest, source in sources(data).items() if digest not in old}
    if not new:
        return {}
    seen = {digest: fact for digest, fact in facts.known(new | old).items() if isinstance(fact, Fact)}
    found = [set(cluster) for cluster in clusters(seen, new | old)]
    return {
        digest: cluster & old.keys() for cluster in found for digest in cluster & new.keys() if cluster & old.keys()
    }


def clusters(seen: Mapping[str, Fact], where: Mapping[str, Source]) -> list[list[str]]:
    """Return lists of the digests of near-copies, two or more in each list. A copy of a copy is in the same list.

    Args:
        seen: digest -> the facts of the picture.
        where: digest -> the picture, as `sources` returns it.
    """
    plain: dict[bytes, list[str]] = defaultdict(list)
    for digest, fact in seen.items():
        if fact.is_plain:
            plain[fact.mark].append(digest)
    digests = [digest for digest, fact in seen.items() if not fact.is_plain]

    root = np.arange(len(digests))  # near-copies of each other have one number; such pairs are not tested again
    for proposed in _proposals([seen[digest] for digest in digests]):
        pairs = proposed
        while len(pairs := pairs[root[pairs[:, 0]] != root[pairs[:, 1]]]):
            now, pairs = pairs[:_PAIRS].tolist(), pairs[_PAIRS:]
            found = facts.miniatures({digests[i]: where[digests[i]] for pair in now for i in pair})
            now = [(i, j) for i, j in now if digests[i] in found and digests[j] in found]
            if now:
                a, b = (np.stack([found[digests[i]] for i in side]) for side in zip(*now))
                for i, j in np.array(now)[alike(a, b)]:
                    root[root == root[j]] = root[i]

    together: dict[int, list[str]] = defaultdict(list)
    for digest, number in zip(digests, root.tolist()):
        together[number].append(digest)
    return [cluster for cluster in (*plain.values(), *together.values()) if len(cluster) > 1]


def alike(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Run the second test: return whether the pixels agree, for each of *n* pairs of pictures.

    Args:
        a, b: miniatures of `topwork.data.quality.facts.miniatures`, uint8 ``[n, 4224]``.

    Returns:
        bool ``[n]``.
    """
    x, y = (one[:, : SIDE * SIDE].reshape(-1, SIDE, SIDE).astype(np.float32) for one in (a, b))
    colours = (one[:, SIDE * SIDE :].astype(np.float32) for one in (a, b))
    colour = np.abs(np.subtract(*colours)).max(1)
    half_x, half_y = _means(x, 2), _means(y, 2)
    change = _means((half_x - half_y) ** 2, 4) / (_means(_steps(half_x) + _steps(half_y), 4) / 2 + 20)
    residue, steps = _means((x - y) ** 2, 8), _means(_steps(x) + _steps(y), 8) / 2
    usual = residue.sum((1, 2)) / (steps.sum((1, 2)) + 1e-6)
    spread = residue / (usual[:, None, None] * steps + 2)
    return (colour <= COLOUR) & (change.max((1, 2)) <= CHANGE) & (spread.max((1, 2)) <= SPREAD)


def _proposals(seen: Sequence[Fact]) -> Iterator[np.ndarray]:
    """Yield the pairs, ``[n, 2]``, that pass the first test: near hashes, and luma that agrees at 8 x 8 pixels.

    Pictures are sorted by mean luma. The mean luma of copies differs by at most `LUMA`, so few pairs are compared.
    """
    coarse = np.frombuffer(b"".join(fact.coarse for fact in seen), np.uint8).reshape(-1, 64).astype(np.int16)
    light = coarse.mean(1)
    order = np.argsort(light, kind="stable")
    light, coarse = light[order], coarse[order]
    hashes = np.frombuffer(b"".join(seen[i].mark for i in order), np.uint64)
    sizes = np.array([(seen[i].width, seen[i].height) for i in order], np.int64).reshape(-1, 2)
    for start in range(0, len(order), _ROWS):
        stop = min(start + _ROWS, len(order))
        end = int(np.searchsorted(light, light[stop - 1] + LUMA, "right"))
        near = np.bitwise_count(hashes[start:stop, None] ^ hashes[None, start:end]) <= BITS
        i, j = (side + start for side in np.nonzero(np.triu(near, 1)))
        across, down = sizes[i, 0] * sizes[j, 1], sizes[j, 0] * sizes[i, 1]
        fits = np.abs(across - down) <= np.maximum(sizes[i], sizes[j]).sum(1)
        i, j = i[fits], j[fits]
        agree = np.abs(coarse[i] - coarse[j]).max(1, initial=0) <= LUMA
        yield np.stack([order[i[agree]], order[j[agree]]], axis=1)


def _means(values: np.ndarray, side: int) -> np.ndarray:
    """Return the means of blocks of *side* x *side* pixels: ``[n, h, w]`` becomes ``[n, h / side, w / side]``."""
    n, height, width = values.shape
    return values.reshape(n, height // side, side, width // side, side).mean((2, 4))


def _steps(values: np.ndarray) -> np.ndarray:
    """Return the squared slope at each pixel of the pictures, computed from the neighbouring pixels."""
    wide = np.pad(values, ((0, 0), (1, 1), (1, 1)), "edge")
    across, down = wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2], wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]
    return (across**2 + down**2) / 4
