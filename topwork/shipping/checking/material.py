"""The pictures of a run that its exported files are checked on, and those that calibrate the files in 8 bits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from topwork.data.dataset import Dataset, Row
from topwork.data.pictures import load
from topwork.errors import DatasetError, PictureError
from topwork.runs.folder import Folder
from topwork.runs.moved_pictures import placed
from topwork.scoring.answers import checked, examples
from topwork.shipping.metadata import Input
from topwork.system.advice import either


@dataclass(frozen=True)
class Material:
    """Some pictures of a run.

    Args:
        pixels: one array for each input, uint8 ``[n, height, width, 3]``; empty if there is no picture.
        sources: the same pictures as files or arrays, in the form that `topwork.shipping.predictor.Predictor` takes.
        rows: their rows.
    """

    pixels: list[np.ndarray]
    sources: list[Any]
    rows: list[Row]


def to_check(folder: Folder, rows: Dataset, inputs: Sequence[Input]) -> Material:
    """Return up to `topwork.scoring.answers.CHECKED` pictures: of the test part first, then of the other parts.

    Args:
        folder: the run.
        rows: its pictures, from `existing`.
        inputs: of the model.

    Raises:
        DatasetError: no picture of the run is where it was.
    """
    found = _read(folder, rows, checked(rows), inputs)
    if not found.sources:
        raise DatasetError(
            f"no picture of the run is where it was ({rows.root or 'arrays'}): the file is checked on real pictures "
            "before it is written. Put them back, or say where they are: "
            + either("run.export(FILE, data=NEWPLACE)", f"topwork export {folder.path} FILE --data NEWPLACE")
        )
    return found


def to_calibrate(folder: Folder, rows: Dataset, inputs: Sequence[Input]) -> list[np.ndarray]:
    """Return the pixels of training pictures, never of test pictures; empty if none is where it was."""
    return _read(folder, rows, examples(rows), inputs).pixels


def existing(folder: Folder, data: Any) -> Dataset:
    """Return the run's dataset with those rows whose pictures are files that exist, or were kept by the run.

    Args:
        folder: the run.
        data: where the run's pictures are now, if they were moved.
    """
    rows, kept = placed(folder, data), folder.sample()

    def is_there(path: str) -> bool:
        return path in kept or rows.pixels is not None or (bool(rows.root) and Path(rows.root, path).is_file())

    return replace(rows, rows=tuple(row for row in rows.rows if all(is_there(path) for path, _ in row.pictures)))


def _read(folder: Folder, data: Dataset, rows: Sequence[Row], inputs: Sequence[Input]) -> Material:
    """Read pictures, and leave out those that cannot be read."""
    kept = folder.sample()
    pixels, sources, used = [], [], []
    for row in rows:
        files = [_source(data, path, kept) for path, _ in row.pictures]
        own = dict(zip(data.columns, files))
        wanted = [own[entry.picture] if entry.picture else files[0] for entry in inputs]
        try:
            pixels.append([load(picture, entry.fit, inf) for picture, entry in zip(wanted, inputs)])
        except PictureError:
            continue
        sources.append(own if inputs[0].picture else files[0])
        used.append(row)
    return Material([np.stack(some) for some in zip(*pixels)], sources, used)


def _source(data: Dataset, path: str, kept: Mapping[str, np.ndarray]) -> Path | np.ndarray:
    found = kept[path] if path in kept else data.picture(path)
    return Path(found) if isinstance(found, str) else found
