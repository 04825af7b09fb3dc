"""Check that a run can continue as if it had never stopped: with the same versions and the same pictures."""

import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from topwork.data.dataset import Dataset
from topwork.data.readers import read
from topwork.errors import DatasetError, RunError
from topwork.runs.creation import versions
from topwork.runs.folder import Folder
from topwork.store.request import Request
from topwork.system import gpu, keras_backend
from topwork.system.advice import either
from topwork.system.messages import say, some
from topwork.version import RUN_FORMAT, VERSION


def check_versions(folder: Folder, other_versions: bool) -> None:
    """Check that the versions are those that the run started with. Report if the same bits are not guaranteed.

    Args:
        folder: the run.
        other_versions: if versions have changed, report it instead of raising an error.

    Raises:
        RunError: versions have changed (the message names each), or the run has format 1.
    """
    environment = folder.environment
    if environment["format"] < RUN_FORMAT:
        file = folder.path / "recipe.toml"
        python = f"topwork.train(DATA, recipe=topwork.Recipe.load({str(file)!r}))"
        way = either(python, f"topwork train DATA --recipe {file}")
        raise RunError(
            f"the run {str(folder.path)!r} has format {environment['format']} and is not finished. This topwork "
            f"resumes runs of format {RUN_FORMAT} only: it draws and computes some things otherwise than the topwork "
            f"that began the run, and the weights would be those of neither. Train it again from the beginning: {way}"
        )

    then = {name: environment[name] for name in ("topwork", "python", "backend")} | environment["packages"]
    now = {"topwork": VERSION, "python": platform.python_version(), "backend": keras_backend.name(), **versions()}
    then[keras_backend.ONEDNN] = environment.get("onednn", "unset")
    keras_backend.follow(then[keras_backend.ONEDNN])
    now[keras_backend.ONEDNN] = keras_backend.onednn()
    others = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if others:
        changed = some([f"{name} {then.get(name)} then, {now.get(name)} now" for name in others])
        told = f"versions changed since {str(folder.path)!r} began: {changed}. Its weights may differ in some bits"
        if not other_versions:
            way = either("other_versions=True", "--other-versions")
            raise RunError(f"{told} from those of a run that was never interrupted. To continue: {way}.")
        say(f"{told}.")

    if not repeats():
        where = f"{keras_backend.name()} on a GPU" if gpu.at_hand() else keras_backend.name()
        say(f"law 4 holds with TensorFlow on a CPU alone: with {where} the weights may differ in some bits.")


def repeats() -> bool:
    """Return whether an interrupted run repeats bit for bit (law 4). On a GPU it does not: the order of sums varies."""
    return keras_backend.name() == keras_backend.DEFAULT and not gpu.at_hand()


def with_arrays(
    folder: Folder, rows: Dataset, data: Any = None, how: str = "topwork.Run(...).resume((X, y))"
) -> Dataset:
    """Return the run's dataset with its arrays: from *data* if it is given, otherwise read again from their file.

    An error says *how* to give them.

    Raises:
        RunError: the arrays are not those of the run; or none are given, and there is no file to read them from.
        DatasetError: the arrays cannot be read.
    """
    if data is None and not rows.source:
        raise RunError(f"{str(folder.path)!r} was trained on arrays, which are not kept: give them again, as in {how}.")
    if data is None and not Path(rows.source).exists():
        raise RunError(
            f"the arrays of {str(folder.path)!r} came from {rows.source!r}, which is missing now: put it back, or "
            f"give the arrays, as in {how}."
        )
    given = data if isinstance(data, Dataset) else read(rows.source if data is None else data, near_copies="ignore")
    content = {row.path: row.digest for row in given.rows}
    changed = [row.path for row in rows.rows if content.get(row.path) != row.digest]
    if changed:
        raise RunError(f"the arrays are not those of {str(folder.path)!r}: others at {some(changed)}.")
    return replace(rows, pixels=given.pixels)


def here(folder: Folder, data: Dataset, requests: Sequence[Request], how: str) -> Dataset:
    """Return the data, with its arrays added if they are needed.

    They are needed if the requests ask for more than the store has. A run does not keep its arrays.

    Raises:
        DatasetError: the arrays did not come from a file; the message says *how* to give them.
        RunError: the file of the arrays has changed or is missing.
    """
    if data.root or data.pixels is not None or not any(one.missing() for one in requests):
        return data
    if not data.source:
        raise DatasetError(f"the run was trained on arrays, and these are not kept: give them, as in {how}.")
    return with_arrays(folder, data, how=how)
