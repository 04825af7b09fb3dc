"""Slices: the accuracy on parts of the test pictures, by how they look, by group and by the user's own columns."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np

from topwork.data.dataset import Row
from topwork.data.quality.appearance import Appearance
from topwork.data.reading.listing import SUSPECT
from topwork.runs.scores import Rate
from topwork.scoring.intervals import ALPHA, wilson
from topwork.scoring.report.summary import Slice

LEAST = 10
"""A slice has at least this many pictures."""

MOST = 20
"""A column with more different values, as one of names, divides the pictures too finely."""

THIRDS = {
    "brightness": ("darkest third", "middle third", "brightest third"),
    "size": ("smallest third", "middle third", "largest third"),
    "sharpness": ("least sharp third", "middle third", "sharpest third"),
}
TALL, WIDE = 0.9, 1.1
"""The widths of pictures, divided by their heights, below which they are tall, and above which they are wide."""


def slices(rows: Sequence[Row], right: np.ndarray, known: Mapping[str, Appearance]) -> list[Slice]:
    """Return the accuracy on each slice.

    Args:
        rows: the test pictures.
        right: which answers are right, bool ``[rows]``.
        known: digest -> appearance; pictures that are not known are in no slice by appearance.
    """
    parts = [part for part in _by_appearance(rows, known) + _by_columns(rows) if len(part[2]) >= LEAST]
    overall = float(right.mean()) if len(rows) else 0.0
    z = NormalDist().inv_cdf(1 - ALPHA / 2 / max(1, len(parts)))
    found = []
    for by, value, positions in parts:
        accuracy = float(right[positions].mean())
        low, high = wilson(accuracy, len(positions), z)
        differs = not low <= overall <= high
        found.append(Slice(by, value, len(positions), Rate(accuracy, low, high), differs))
    return found


def _by_appearance(rows: Sequence[Row], known: Mapping[str, Appearance]) -> list[tuple[str, str, list[int]]]:
    there = [i for i, row in enumerate(rows) if row.digest in known]
    if len(there) < 3 * LEAST:
        return []
    seen = [known[rows[i].digest] for i in there]
    measures = {
        "brightness": [one.brightness for one in seen],
        "size": [float(one.width * one.height) for one in seen],
        "sharpness": [one.sharpness for one in seen],
    }
    found = []
    for by, values in measures.items():
        low, high = np.quantile(values, (1 / 3, 2 / 3))
        if low < high:
            numbers = np.searchsorted([low, high], values, "left")
            for number, name in enumerate(THIRDS[by]):
                found.append((by, name, [there[i] for i in np.flatnonzero(numbers == number)]))
    ratios = [one.width / one.height for one in seen]
    shapes = ["tall" if ratio < TALL else "wide" if ratio > WIDE else "square" for ratio in ratios]
    if len(set(shapes)) > 1:
        for shape in ("tall", "square", "wide"):
            found.append(("aspect", shape, [there[i] for i, one in enumerate(shapes) if one == shape]))
    return found


def _by_columns(rows: Sequence[Row]) -> list[tuple[str, str, list[int]]]:
    """Return the slices by group and by each of the user's columns that has few different values."""
    columns: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, row in enumerate(rows):
        cells = {**row.extra, **({"group": row.group} if row.group else {})}
        for name, text in cells.items():
            if name != SUSPECT:
                columns[name][text].append(i)
    found = []
    for name, values in columns.items():
        if 1 < len(values) <= MOST:
            found += [(name, value, positions) for value, positions in sorted(values.items())]
    return found
