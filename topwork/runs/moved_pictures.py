"""Find the pictures of a run again, by their content, after they were moved."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from topwork.data.dataset import Dataset
from topwork.data.picture_files import digest
from topwork.data.readers import refuse_missing, undrawn
from topwork.data.reading.folders import is_picture, visible
from topwork.errors import DatasetError, PictureError, RunError
from topwork.runs.folder import Folder
from topwork.runs.resume import with_arrays
from topwork.store.request import Request
from topwork.system.messages import Bar, counted, say, some


def placed(folder: Folder, data: Any) -> Dataset:
    """Return a run's dataset; if *data* is given, with the pictures or arrays that are found there.

    Pictures that are not found are counted and named on stderr; they keep their old relative paths, below the new root.

    Args:
        folder: the run.
        data: a folder, a file or a `Dataset` that has the pictures, under any names; for a run on arrays, its arrays.

    Raises:
        DatasetError: *data* cannot be read, or has arrays but the run's pictures are files.
        RunError: the arrays are not those of the run.
    """
    rows = folder.data()
    if data is None:
        return rows
    if not rows.root:
        return with_arrays(folder, rows, data)
    root, paths = _found(rows, data)
    lacking = {path: None for row in rows.rows for path, content in row.pictures if content not in paths}
    if lacking:
        count = len({path for row in rows.rows for path, _ in row.pictures})
        say(
            f"Not found in {root}: {len(lacking):,} of the {counted(count, 'picture')} of {folder.path} "
            f"({some([*map(repr, lacking)])})."
        )
    return replace(rows, root=root).with_paths(paths)


def unchanged(folder: Folder, data: Any, requests: Callable[[Dataset], Iterable[Request]]) -> Dataset:
    """Return a run's dataset, after checking that its pictures have not changed since the run started.

    Args:
        folder: the run.
        data: as in `placed`.
        requests: a function that returns the run's requests for a dataset. Missing pictures are not an error if the
            store already has everything that is requested for them.

    Raises:
        RunError: pictures or arrays have changed, or are missing and needed.
    """
    rows = placed(folder, data)
    if not rows.root:
        return with_arrays(folder, rows) if rows.pixels is None else rows
    lost = [path for row in rows.rows for path, content in row.pictures if _content(rows, path) != content]
    if any(Path(rows.root, path).exists() for path in lost) or (lost and _needed(rows, requests(rows))):
        raise _lost(folder, rows, lost, folder.resuming("NEWPLACE"))
    if lost:
        say(f"{counted(len(lost), 'picture')} of {folder.path} are missing; the store has all that is needed of them.")
    return rows


def refuse_lost(folder: Folder, rows: Dataset, requests: Iterable[Request], how: str) -> None:
    """Raise an error if a run needs pictures that are missing or have changed.

    Args:
        folder: the run.
        rows: the run's dataset.
        requests: the activations that are needed. Those that are in the store already need no picture.
        how: the command to propose, such as ``"topwork evaluate RUN --data NEWPLACE"``.

    Raises:
        RunError: such pictures are needed; the message names them.
    """
    if rows.root and (lost := _needed(rows, requests)):
        raise _lost(folder, rows, lost, how)


def _needed(rows: Dataset, requests: Iterable[Request]) -> list[str]:
    """Return the paths of missing or changed pictures that are needed because their activations are not stored."""
    shots = {shot.path: shot.content for one in requests for shot in one.missing()}
    return [path for path, content in shots.items() if _content(rows, path) != content]


def _lost(folder: Folder, rows: Dataset, paths: Sequence[str], how: str) -> RunError:
    return RunError(
        f"pictures of {str(folder.path)!r} changed or disappeared since it started: {some([*map(repr, paths)])}, in "
        f"{rows.root!r}. Put them back there as they were, or say where they are: {how}"
    )


def _content(rows: Dataset, path: str) -> str | None:
    """Return the SHA-256 of a picture as it is now; ``None`` if it cannot be read."""
    try:
        return digest(Path(rows.root, path))
    except PictureError:
        return None


def _found(rows: Dataset, data: Any) -> tuple[str, dict[str, str]]:
    """Return two things: the absolute root of the pictures; and the path of each found picture, by its SHA-256."""
    wanted = {content: path for row in rows.rows for path, content in row.pictures}
    if isinstance(data, str | os.PathLike):
        refuse_missing(data)
        if os.path.isdir(data):
            root = str(Path(data).resolve())
            return root, _below(root, wanted)
    listed = data if isinstance(data, Dataset) else undrawn(data)
    if not listed.root:
        raise DatasetError("the run's pictures are files, and arrays were given: give a folder that has the files.")
    return listed.root, {content: path for row in listed.rows for path, content in row.pictures if content in wanted}


def _below(root: str, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the paths of the wanted pictures below a folder, by SHA-256. Their old paths are tried first."""
    there = Dataset(root, ())
    found = {content: path for content, path in wanted.items() if _content(there, path) == content}
    if len(found) == len(wanted):
        return found
    lacking = [path for content, path in wanted.items() if content not in found]
    names = {os.path.basename(path) for path in lacking}
    ends = {os.path.splitext(path)[1].lower() for path in lacking}
    known = set(found.values())
    with Bar("looking for the pictures") as bar:
        files = []
        for path in visible(root).files:
            if path not in known and (is_picture(path) or os.path.splitext(path)[1].lower() in ends):
                files.append(path)
        files.sort(key=lambda path: os.path.basename(path) not in names)  # files with the old names come first
        for number, path in enumerate(files, 1):
            content = _content(there, path)
            if content and content in wanted:
                found.setdefault(content, path)
            if len(found) == len(wanted):
                break
            bar.update(number, len(files))
    return found
