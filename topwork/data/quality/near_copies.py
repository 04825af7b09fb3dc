"""Near-copies: the same picture saved again, in another size or file format.

A pair is proposed if the perceptual hashes (64 bits, `imagehash.dhash`) differ in few bits and the luma agrees at
8 x 8 pixels. It is accepted if the pixels agree, too: luma at 64 x 64, and colour at 8 x 8. Plain pictures
(`topwork.data.quality.facts`) show too little for that: they are copies only if all their pixels are equal.

The limits were measured on 250 photos of flowers saved as JPEG of quality 60 to 95, as PNG, and in half their size
(four filters), 2,000 pairs; and 1,100 pairs that look alike and are no copies (text, forms, packets, icons, drawings,
screenshots, gradients, photos with a patch replaced, bursts), and all of MNIST.

    limit          copies: 97 %, largest    others: smallest among those that this limit alone keeps out
    BITS       8   2, 5                     none: the pixels decide
    LUMA       6   3, 6                     9 (a burst, 10 % brighter), 12 (MNIST)
    COLOUR    10   5, 7                     none
    CHANGE  0.12   0.05, 0.51               0.14 (an eighth replaced), 0.32 (a digit of six), 0.38 (a burst)
    SPREAD     8   3.7, 9.5                 none; 3 of 20 screenshots with another number in one of 12 fields pass

`imagehash.phash` was tried first: its bits come from the median of a spectrum, and of pictures with few details (a
gradient, a pattern) half of them change when these are saved again. `dhash` does not need SciPy either.

Two pictures that differ only in a detail smaller than about 1/20 of their sides can pass for copies; so can two
pictures of a burst in which nothing moved. Of pictures under 64 pixels many copies are not found.
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
"""The number of bits, of 64, in which the hashes may differ."""
LUMA = 6
"""The levels, of 255, by which the mean luma of a block of 8 x 8 pixels may differ, at 64 x 64."""
COLOUR = 10
"""The same for the two chromas."""
CHANGE = 0.12
"""How much a block's luma may differ (squares, at 32 x 32), as a share of its variation from pixel to pixel."""
SPREAD = 8
"""How many times more the worst block may differ than the others (at 64 x 64): saving again changes all of them."""

_ROWS, _PAIRS = 128, 256
"""How many pictures are compared with the others at once, and how many pairs are tested at once."""


def sources(data: Dataset) -> dict[str, Source]:
    """Digest -> the picture. Empty for arrays too small for near-copies, as equal ones have one digest anyway."""
    if data.pixels is not None and max(data.pixels.shape[1:3]) < facts.SMALLEST:
        return {}
    is_gone = data.pixels is None and not data.root
    return {digest: None if is_gone else data.picture(path) for row in data.rows for path, digest in row.pictures}


def joined(data: Dataset, known: Mapping[str, Fact | str], where: Mapping[str, Source]) -> Dataset:
    """The dataset with near-copies of one label in *near*, and with a note on those with two labels.

    Args:
        data: rows with digests.
        known: the result of `topwork.data.quality.facts.known` for their pictures.
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
    """The pictures of *data* that are not in *others* but have near-copies there: digest -> digests of these."""
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
    """The digests of near-copies, in lists of two or more. A copy of a copy belongs to the same list.

    Args:
        seen: digest -> the facts of the picture.
        where: digest -> the picture, as from `sources`.
    """
    plain: dict[bytes, list[str]] = defaultdict(list)
    for digest, fact in seen.items():
        if fact.is_plain:
            plain[fact.mark].append(digest)
    digests = [digest for digest, fact in seen.items() if not fact.is_plain]

    root = np.arange(len(digests))  # one number for all near-copies of each other; linked pairs are not tested again
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
    """The second test: whether the pixels of pictures agree, pair by pair.

    Args:
        a, b: miniatures, uint8 ``[n, 4224]``, as from `topwork.data.quality.facts.miniatures`.

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
    """Pairs ``[n, 2]`` whose hashes are near and whose luma agrees at 8 x 8 pixels, block by block.

    Pictures are sorted by their mean luma. Copies cannot differ in it by more than `LUMA`, so few pairs are compared.
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
    """The means of blocks of *side* x *side* pixels: ``[n, h, w]`` becomes ``[n, h / side, w / side]``."""
    n, height, width = values.shape
    return values.reshape(n, height // side, side, width // side, side).mean((2, 4))


def _steps(values: np.ndarray) -> np.ndarray:
    """The squared slope of the picture at each pixel, from its neighbours."""
    wide = np.pad(values, ((0, 0), (1, 1), (1, 1)), "edge")
    across, down = wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2], wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]
    return (across**2 + down**2) / 4
