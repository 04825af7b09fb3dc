"""The parts that both sides train and test on.

They are drawn once, and written as folders for Keras and as a CSV file for topwork.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from topwork.data.dataset import PARTS, Dataset, Row

VALIDATION = 10
"""One in this many of the pictures outside the test part is used for validation."""

READ_BY_KERAS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


@dataclass(frozen=True)
class Split:
    """One fold of one seed, written below a folder.

    Args:
        seed: the seed of the draw and of the training.
        fold: the number of the fold that is tested, from 0.
        folder: contains ``pictures.csv``, and ``train``, ``val`` and ``test`` with one folder per class.
        data: the rows; their paths are relative to *folder*.
    """

    seed: int
    fold: int
    folder: Path
    data: Dataset

    @property
    def csv(self) -> Path:
        """The path of the CSV file that topwork reads, with the columns path, label and split."""
        return self.folder / "pictures.csv"

    @property
    def name(self) -> str:
        """The name of the fold in messages."""
        return f"seed {self.seed}, fold {self.fold}"


def splits(data: Dataset, seeds: int, folds: int, scratch: Path) -> list[Split]:
    """Write every fold of every seed below *scratch*: first the first fold of each seed, then the second, and so on."""
    every = [(seed, fold) for fold in range(folds) for seed in range(seeds)]
    return [
        lay_out(data, parts(data, seed, fold, folds), scratch / f"seed{seed}-fold{fold}", seed, fold)
        for seed, fold in every
    ]


def deal(rows: Iterable[Row], count: int, seed: int) -> dict[str, int]:
    """Shuffle the pictures from *seed*, then deal them into *count* groups of about equal size, class by class.

    Copies of a picture have one digest, and so are in one group.

    Returns:
        The group of each digest, from 0.

    >>> sorted(deal([Row("a", "00", "x"), Row("b", "01", "x"), Row("copy of b", "01", "x")], 2, seed=0).values())
    [0, 1]
    """
    labels = {row.digest: row.label for row in rows}
    digests = sorted(labels)
    np.random.default_rng(seed).shuffle(digests)
    digests.sort(key=labels.__getitem__)
    return {digest: place % count for place, digest in enumerate(digests)}


def parts(data: Dataset, seed: int, fold: int, folds: int) -> list[str]:
    """Return the part (train, val or test) of each row, in one fold of one seed."""
    hands = deal(data.rows, folds, seed)
    held = deal([row for row in data.rows if hands[row.digest] != fold], VALIDATION, seed)
    return ["test" if hands[r.digest] == fold else "train" if held[r.digest] else "val" for r in data.rows]


def lay_out(data: Dataset, given: Sequence[str], folder: Path, seed: int = 0, fold: int = 0) -> Split:
    """Write the rows of a dataset below a new folder, each in the part that *given* has for it."""
    rows = []
    for number, (row, part) in enumerate(zip(data.rows, given, strict=True)):
        path = f"{part}/{row.label}/{number:06}{_suffix(row)}"
        rows.append(replace(row, path=path, split=part))
    split = Split(seed, fold, folder, Dataset(str(folder), tuple(rows)))
    _materialise(split, [Path(data.root, row.path).resolve() for row in data.rows])
    return split


def _materialise(split: Split, sources: list[Path]) -> None:
    for part in PARTS:
        for label in split.data.classes:  # Keras counts the folders as classes, so an empty part needs them too
            (split.folder / part / label).mkdir(parents=True)
    for row, source in zip(split.data.rows, sources):
        (split.folder / row.path).symlink_to(source)
    with split.csv.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "split"])
        table.writerows((row.path, row.label, row.split) for row in split.data.rows)


def _suffix(row: Row) -> str:
    suffix = Path(row.path).suffix.lower()
    if suffix not in READ_BY_KERAS:
        raise ValueError(f"{row.path!r}: Keras' image_dataset_from_directory reads {', '.join(READ_BY_KERAS)} alone.")
    return suffix
