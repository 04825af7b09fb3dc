"""Shortcuts: how pictures were taken or saved predicts their label, without a look at what they show.

A network may learn such a shortcut: that the photos of one class are darker, larger, or saved in another format. For
each measure and class, the area under the ROC curve tells how well the measure separates the class from the others. A
permutation test decides whether that could be chance: the labels are shuffled, and the largest area of all classes is
compared (the maximum of the statistics corrects for the number of classes; Westfall & Young 1993). The p-values are
multiplied by the number of measures (Bonferroni). If a class is found, its pictures are left out, and the others are
tested again: beside one dark class, all others are bright.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

import numpy as np

from topwork.data import splits
from topwork.data.dataset import Dataset
from topwork.data.quality.appearance import Appearance
from topwork.data.quality.findings import Finding
from topwork.scoring.metrics import ranked

SHUFFLES = 999
"""How many times the labels are shuffled; the smallest p-value is 1 / (SHUFFLES + 1)."""

LEVEL = 0.05
"""The largest p-value of a finding, after its correction."""

LEAST = 0.08
"""The least distance of an area from 0.5: with many pictures, areas of no importance are significant."""

TONES = ("brightness", "highlights")
"""Of these, only the one that predicts a class better is named."""

MOST = 5
"""For each measure, at most this many classes are named: all are predicted if files are numbered class by class."""

PICTURES = 10
"""Classes with fewer pictures are not judged."""

ENDS = {
    "brightness": ("are darker", "are brighter"),
    "highlights": ("have darker highlights", "have brighter highlights"),
    "size": ("are smaller", "are larger"),
    "aspect": ("are narrower", "are wider"),
    "order": ("come earlier by the numbers in their names", "come later by the numbers in their names"),
}
"""What a low and a high value of a measure mean for a picture."""

Measures = dict[str, np.ndarray]
"""Name -> a value per picture, float ``[n]``."""


def measures(data: Dataset, rows: Sequence[int], known: Mapping[str, Appearance]) -> Measures:
    """Return brightness, highlights, size, aspect, file formats and file order of the first picture of each row.

    The file order is that of the first number in the file's name, as cameras and downloads number their pictures. It is
    omitted if a name has no number, or if more than a tenth of the pictures share their number with another.

    Args:
        data: the dataset.
        rows: the positions of the rows.
        known: digest -> appearance, of all these rows.
    """
    seen = [known[data.rows[i].digest] for i in rows]
    width, height = np.array([(one.width, one.height) for one in seen], float).T
    found = {
        "brightness": np.array([one.brightness for one in seen]),
        "highlights": np.array([one.highlights for one in seen]),
        "size": width * height,
        "aspect": width / height,
    }
    formats = sorted({one.format for one in seen if one.format})
    for name in formats[1:] if len(formats) <= 2 else formats:  # of two, one says all
        found[name] = np.array([float(one.format == name) for one in seen])
    numbers = [re.search(r"\d+", PurePath(data.rows[i].path).stem) for i in rows]
    values = np.array([float(number[0]) for number in numbers if number])
    if data.pixels is None and len(values) == len(rows) and len(np.unique(values)) > 0.9 * len(rows):
        found["order"] = values
    return {name: values for name, values in found.items() if values.min() < values.max()}


def findings(data: Dataset, known: Mapping[str, Appearance], seed: int) -> list[Finding]:
    """Return the measures that predict a class, each with the class that it predicts best.

    Args:
        data: the dataset. Of rows that belong together, only the first is used.
        known: digest -> appearance.
        seed: the seed of the permutations.
    """
    rows = [unit[0] for unit in splits.units_of(data.rows) if data.rows[unit[0]].digest in known]
    names, labels, counts = np.unique([data.rows[i].label for i in rows], return_inverse=True, return_counts=True)
    judged = counts >= PICTURES
    if judged.sum() < 2:
        return []
    found: dict[tuple[str, str], Finding] = {}
    values = measures(data, rows, known)
    for measure, each in values.items():
        kind = "tones" if measure in TONES else measure
        for number, area, chance in _predicted_classes(each, labels, judged, seed, len(values)):
            one = _finding(measure, str(names[number]), area, chance)
            before = found.get((kind, str(names[number])))
            if before is None or before.score < one.score:
                found[kind, str(names[number])] = one
    return list(found.values())


def _predicted_classes(
    values: np.ndarray, labels: np.ndarray, judged: np.ndarray, seed: int, tests: int
) -> Iterator[tuple[int, float, float]]:
    """Yield the classes that a measure predicts: number, area and p-value, the most certain first.

    The arguments are those of `predicted`; the p-value is multiplied by *tests*.
    """
    judged = judged.copy()
    for _ in range(MOST):
        if judged.sum() < 2:
            return
        areas, chances = predicted(values, labels, judged, seed)
        number = int(np.where(judged, np.abs(areas - 0.5), -1).argmax())
        chance = min(1.0, float(chances[number]) * tests)
        if chance > LEVEL or abs(areas[number] - 0.5) < LEAST:
            return
        yield number, float(areas[number]), chance
        judged[number] = False
        values, labels = values[labels != number], labels[labels != number]


def predicted(values: np.ndarray, labels: np.ndarray, judged: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how well a measure separates each class from all others, and how likely chance does it as well.

    Args:
        values: float ``[n]``.
        labels: int ``[n]``.
        judged: which classes count, bool ``[classes]``; these occur.
        seed: the seed of the permutations.

    Returns:
        The areas under the ROC curve, and the p-values over all classes, both float ``[classes]``.
    """
    ranks = ranked(values)
    counts = np.bincount(labels, minlength=len(judged))
    ties = np.unique(values, return_counts=True)[1]
    n = len(values)
    spread = (n + 1 - (ties**3 - ties).sum() / (n * (n - 1))) / 12  # less than (n + 1) / 12 if values are equal
    scale = np.sqrt(np.maximum(spread / np.maximum(counts * (n - counts), 1), 1e-12))

    def areas(of: np.ndarray) -> np.ndarray:
        sums = np.bincount(of, ranks, minlength=len(counts))
        return (sums - counts * (counts + 1) / 2) / np.maximum(counts * (n - counts), 1)

    found = areas(labels)
    draw = np.random.default_rng(seed)
    largest = [np.abs((areas(draw.permutation(labels)) - 0.5) / scale)[judged].max() for _ in range(SHUFFLES)]
    seen = np.abs((found - 0.5) / scale)
    above = (np.array(largest)[:, None] >= seen - 1e-9).sum(0)
    return found, (1 + above) / (SHUFFLES + 1)


def _finding(measure: str, label: str, area: float, chance: float) -> Finding:
    low, high = ENDS.get(measure, (f"are less often {measure} files", f"are more often {measure} files"))
    right = 100 * max(area, 1 - area)
    by = "the file format" if measure not in ENDS else "the order of file names" if measure == "order" else measure
    advice = (
        f"Pictures of {label!r} {high if area > 0.5 else low} than the others: by {by} alone, one of them is told from "
        f"another picture in {right:.0f} % of the cases (chance 50 %, corrected p = {chance:.3f}). If that comes from "
        "how they were taken or saved, and not from what they show, take or save all classes in the same way."
    )
    return Finding.of("shortcut", abs(area - 0.5), [], advice, label=label)
