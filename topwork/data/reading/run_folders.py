"""Where a run's pictures are: as in its ``environment.json``, or where a resumed run found them later.

``pictures.csv`` of a run is a listing whose paths are relative to that place, not to its own folder. ``moved.json``
beside it holds the new root as ``data`` and, as ``paths``, SHA-256 -> new path of each picture that was renamed. The
listing itself never changes, because checkpoints identify it by its bytes.
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
    """The absolute root of a run's pictures (``""`` for arrays), and SHA-256 -> path of those that were renamed.

    Raises:
        RunError: a file of the run is gone or damaged.
    """
    if (run / MOVED).exists():
        moved = run_files.table(run / MOVED)
        return moved["data"], moved["paths"]
    return run_files.table(run / "environment.json")["data"], {}


def is_run(folder: Path) -> bool:
    """Whether a folder is a run folder."""
    return folder.is_dir() and own_files.kind_of_folder(os.listdir(folder)) == "a run"


def is_listing(path: Path) -> bool:
    """Whether a file is the listing of a run's pictures, in its folder."""
    return path.name == PICTURES and is_run(path.parent)


def read_pictures(path: str) -> Dataset:
    """The pictures of a run with their parts in that run; digests are still empty.

    Args:
        path: the path of the run's ``pictures.csv``.

    Raises:
        DatasetError: they are gone, or came as arrays.
        RunError: a file of the run is gone or damaged.
    """
    run = Path(path).parent
    root, moved = place(run)
    if not root:
        source = run_files.table(run / "environment.json").get("source")
        told = f"give the file that they came from, {source!r}" if source else "give the arrays, as (X, y) in Python"
        raise DatasetError(f"{path!r} lists arrays, which a run does not save: {told}.")
    return read_table(placed(load(path, refuse_header), root, moved))


def refuse_run(path: str) -> None:
    """Refuse the folder of a run or a cross-validation as data, because its meaning is unclear.

    Raises:
        DatasetError: proposes what to write instead.
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
