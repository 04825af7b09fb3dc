"""Find the pictures of a run: at the root that ``environment.json`` names, or where a resumed run found them.

A run's ``pictures.csv`` is a listing. Its paths are relative to that root, not to its own folder. If the pictures were
moved, ``moved.json`` beside the listing contains the new root (``data``) and, for each picture that was renamed,
SHA-256 -> new path (``paths``). The listing itself never changes, because checkpoints identify it by its bytes.
"""

import os
from pathlib import Path

from topwork.data.dataset import Dataset
from topwork.data.reading import own_files, run_files
from topwork.data.reading.listing import load, placed, read_table, refuse_header
from topwork.errors import DatasetError
from topwork.system.advice import either, resuming

PICTURES = "pictures.csv"
MOVED = "moved.json"


def place(run: Path) -> tuple[str, dict[str, str]]:
    """Return the absolute root of a run's pictures (``""`` for arrays), and SHA-256 -> path of each renamed picture.

    Raises:
        RunError: a file of the run is missing or damaged.
    """
    if (run / MOVED).exists():
        moved = run_files.table(run / MOVED)
        return moved["data"], moved["paths"]
    return run_files.table(run / "environment.json")["data"], {}


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run folder."""
    return folder.is_dir() and own_files.kind_of_folder(os.listdir(folder)) == "a run"


def is_listing(path: Path) -> bool:
    """Return whether a file is the ``pictures.csv`` in a run folder."""
    return path.name == PICTURES and is_run(path.parent)


def read_pictures(path: str) -> Dataset:
    """Return the pictures of a run, with the parts that they have in it; digests are still empty.

    Args:
        path: the path of the run's ``pictures.csv``.

    Raises:
        DatasetError: the pictures are missing, or were given as arrays.
        RunError: a file of the run is missing or damaged.
    """
    run = Path(path).parent
    root, moved = place(run)
    if not root:
        source = run_files.table(run / "environment.json").get("source")
        told = f"give the file that they came from, {source!r}" if source else "give the arrays, as (X, y) in Python"
        raise DatasetError(f"{path!r} lists arrays, which a run does not save: {told}.")
    return read_table(placed(load(path, refuse_header), root, moved))


def refuse_run(path: str) -> None:
    """Refuse the folder of a run or a cross-validation as data, because it is unclear what the user wants.

    Raises:
        DatasetError: the folder is one of these; the error proposes what to write instead.
    """
    folds = is_run(Path(path, "fold-1"))
    if not folds and not is_run(Path(path)):
        return
    listing = str(Path(path, "fold-1" if folds else "", PICTURES))
    what, there = ("a cross-validation", "its first fold") if folds else ("a run", "it")
    start = either(f"topwork.train(DATA, parent={path!r})", f"topwork train DATA --from {path}")
    way = resuming(path, "Folds") if folds else f"{resuming(path)}; to start from it: {start}"
    raise DatasetError(
        f"{path!r} is {what}, not data. Its pictures, with the parts that they have in {there}: {listing!r}. "
        f"To continue it: {way}"
    )
