"""Folds: divide a dataset into equal test parts, so that each picture is tested once (k-fold cross-validation).

Rows that share a picture or a group stay together, as in `topwork.data.splits`.
"""

from dataclasses import replace

import numpy as np

from topwork.data import splits
from topwork.data.dataset import Dataset
from topwork.data.splits import Unit
from topwork.errors import DatasetError, RecipeError

HELD_OUT = 0.1
"""The size of a fold's validation part, as a share of the rows that the fold does not test."""


def folds(data: Dataset, count: int, seed: int = 0) -> list[Dataset]:
    """Divide the rows of a dataset into folds. The parts that the rows had before are ignored.

    The test parts of all folds contain nearly the same share of every class (by scikit-learn's `StratifiedKFold` or, if
    some rows belong together, `StratifiedGroupKFold`). In each fold, a stratified tenth of the other rows is the
    validation part.

    Args:
        data: its rows have digests.
        count: the number of folds, 2 or more.
        seed: the same seed gives the same folds and validation parts.

    Returns:
        *count* datasets with the same rows. Each row is ``"test"`` in exactly one of them. *notes* name the classes
        that a part lacks.

    Raises:
        RecipeError: *count* is less than 2.
        DatasetError: *count* is larger than the number of pictures of a class (pictures that belong together count as
            one), or all pictures of a class are in one test part.

    Example:
        >>> from topwork.data.dataset import Row
        >>> rows = tuple(Row(f"{i}.png", str(i), "ab"[i % 2]) for i in range(20))
        >>> [len(fold.part("test")) for fold in folds(Dataset("/d", rows), 5)]
        [4, 4, 4, 4, 4]
    """
    if count < 2:
        raise RecipeError(f"folds = {count}: expected at least 2.")
    units = splits.units_of(data.rows)
    sizes = splits.independent(data.rows, units)
    label, size = min(sizes.items(), key=lambda item: (item[1], item[0]), default=("", count))
    if size < count:
        pictures = sum(row.label == label for row in data.rows)
        once = f"({pictures}, but equal ones, near-copies and groups count as one)"
        ties = "" if pictures == size else f" that are independent {once}"
        raise DatasetError(
            f"{count} folds, but the class {label!r} has {size} picture{'s' if size > 1 else ''}{ties}: "
            "expected at least one per fold. Use fewer folds, add pictures, or leave out the class."
        )
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    labels = [row.label for row in data.rows]
    if len(units) == len(labels):
        dealt = StratifiedKFold(count, shuffle=True, random_state=seed).split(labels, labels)
    else:
        groups = np.empty(len(labels), int)
        for number, unit in enumerate(units):
            groups[unit] = number
        dealt = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(labels, labels, groups)
    return [_fold(data, units, set(map(int, test)), seed) for _, test in dealt]


def most(data: Dataset) -> int:
    """Return the largest possible number of folds: the number of independent pictures in the smallest class.

    >>> from topwork.data.dataset import Row
    >>> most(Dataset("/d", tuple(Row(f"{i}.png", str(i), "aab"[i % 3]) for i in range(9))))
    3
    """
    return min(splits.independent(data.rows, splits.units_of(data.rows)).values(), default=0)


def undivided(data: Dataset, seed: int = 0) -> Dataset:
    """Return the dataset for a model that learns from all rows: none is tested, and a tenth is the validation part.

    >>> from topwork.data.dataset import Row
    >>> rows = tuple(Row(f"{i}.png", str(i), "ab"[i % 2]) for i in range(20))
    >>> {name: len(undivided(Dataset("/d", rows)).part(name)) for name in ("train", "val", "test")}
    {'train': 18, 'val': 2, 'test': 0}
    """
    return replace(_fold(data, splits.units_of(data.rows), set(), seed), notes=())


def _fold(data: Dataset, units: list[Unit], test: set[int], seed: int) -> Dataset:
    rows = data.rows
    rest = [unit for unit in units if unit[0] not in test]
    learned = {rows[i].label for unit in rest for i in unit}
    lost = next((label for label in sorted({row.label for row in rows}) if label not in learned), None)
    if lost:
        raise DatasetError(
            f"all pictures of the class {lost!r} are in the test part of one fold, because its groups are uneven. "
            "Use fewer folds or another seed, or leave out the class."
        )

    often = splits.independent(rows, rest)
    free = [unit for unit in rest if all(often[rows[i].label] > 1 for i in unit)]  # the only unit of a class must train
    parts = splits.stratified(rows, free, (1 - HELD_OUT, HELD_OUT, 0.0), seed)
    val = {i for unit, part in zip(free, parts) if part == "val" for i in unit}
    split = ("test" if i in test else "val" if i in val else "train" for i in range(len(rows)))
    drawn = tuple(replace(row, split=part) for row, part in zip(rows, split))
    return replace(data, rows=drawn, notes=tuple(splits.gaps(drawn)))
