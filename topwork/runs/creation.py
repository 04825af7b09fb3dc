"""Create a run folder, and describe the environment that the run starts in."""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from topwork.data.dataset import Dataset
from topwork.data.reading.listing import write_csv
from topwork.data.reading.run_folders import PICTURES
from topwork.errors import RunError
from topwork.recipes.recipe import Recipe
from topwork.runs import lockfile, registry
from topwork.runs.folder import HEAD, Folder, as_text
from topwork.runs.lockfile import Lock
from topwork.system import keras_backend
from topwork.system.advice import either, resuming
from topwork.system.files import unusable
from topwork.system.machine import processor
from topwork.version import RUN_FORMAT, VERSION

MEMBERS = "members"
"""In a join's run folder: the subfolder with copies of its members' run folders."""

PACKAGES = (
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "jax",
    "torch",
    "openvino",
    "numpy",
    "pillow",
    "scikit-learn",
    "onnx",
)


def create(
    path: str | Path, recipe: Recipe, data: Dataset, parent: Folder | None = None, lock: Lock | None = None
) -> Folder:
    """Create a run folder. It appears only when it is complete, and never replaces an existing one.

    Args:
        path: the folder to create.
        recipe: the recipe of the run.
        data: the pictures of the run.
        parent: the run that the new run starts from, if any.
        lock: the lock of the backbones' pretrained weights (`topwork.runs.lockfile`).

    Raises:
        RunError: *path* exists already, or the folder cannot be created.
    """
    path = Path(path)
    if os.path.lexists(path):
        unfinished = (path / "environment.json").exists() and not (path / "results.json").exists()
        mend = f"Continue it ({resuming(path)}), choose" if unfinished else "Choose"
        raise RunError(
            f"{str(path)!r} exists already, and a run is never overwritten. {mend} another "
            f"{either('out', '--out')}, or remove it."
        )
    with making(path), _aside(path) as aside:
        if recipe.head.file:
            shutil.copy(recipe.head.file, aside / HEAD)
            recipe = replace(recipe, head=replace(recipe.head, file=HEAD))
        about = environment(data, parent.path if parent else None)
        if recipe.join:
            members = recipe.join.members
            about["members"] = [str(Path(member).resolve()) for member in members]
            names = tuple(f"{MEMBERS}/{number}" for number in range(1, len(members) + 1))
            for member, name in zip(members, names):
                shutil.copytree(member, aside / name, ignore=shutil.ignore_patterns("checkpoints", "*.part"))
            recipe = replace(recipe, join=replace(recipe.join, members=names))
        (aside / "recipe.toml").write_text(recipe.dumps(), encoding="utf-8")
        write_csv(data, aside / PICTURES)
        (aside / "environment.json").write_text(as_text(about), encoding="utf-8")
        if lock is not None:
            lockfile.write(aside, lock)
        aside.chmod(0o755)
        registry.remember(path)
    made = Folder(path)
    made.parent = parent
    return made


@contextmanager
def making(path: Path) -> Iterator[None]:
    """Explain errors that occur while the folder of a run or of a cross-validation is created.

    Raises:
        RunError: the folder cannot be created; the message names it, and the file that cannot be read or copied, if
            that is the reason.
    """
    try:
        yield
    except OSError as error:
        if os.path.lexists(path):
            raise RunError(f"{str(path)!r} exists already, and a run is never overwritten.") from None
        cannot = f"cannot make the run folder {str(path)!r}"
        if isinstance(error, shutil.Error):
            source, _, reason = error.args[0][0]
            raise RunError(f"{cannot}: cannot copy {source!r} ({reason}).") from None
        if error.filename and not str(error.filename).startswith(str(path.parent)):
            raise RunError(f"{cannot}: cannot read {str(error.filename)!r} ({error.strerror}).") from None
        found = unusable(path.parent)
        where = f"{found[0]}: {found[1]}" if found else error.strerror
        raise RunError(f"{cannot}: {where}. Choose another place with {either('out', '--out')}.") from None


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """Yield a temporary folder; at the end it is renamed to *path*, or removed if there was an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield aside
        os.rename(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def fresh(parent: Path, name: str) -> Path:
    """Return a path for a new run, such as ``runs/flowers-2026-11-23-1405``; if it exists, a number is added."""
    from datetime import datetime

    stem = f"{name}-{datetime.now():%Y-%m-%d-%H%M}"
    path, number = parent / stem, 1
    while path.exists():
        number += 1
        path = parent / f"{stem}-{number}"
    return path


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that a run depends on."""
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            if release := version(name):  # a damaged installation has none
                found[name] = release
    return found


def environment(data: Dataset, parent: Path | None) -> dict[str, Any]:
    """Return the content of ``environment.json`` for a run that starts now.

    Args:
        data: the run's dataset.
        parent: the folder of the run that this run starts from, if any.
    """
    return {
        "format": RUN_FORMAT,
        "topwork": VERSION,
        "data": data.root,
        **({"table": data.table} if data.table else {}),
        "source": data.source,
        "columns": list(data.columns),
        "classes": list(data.classes),
        "notes": list(data.notes),
        "near": {row.content: list(row.near) for row in data.rows if row.near},
        "parent": str(parent.resolve()) if parent else None,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "backend": keras_backend.name(),
        "onednn": keras_backend.onednn(),
        "packages": versions(),
    }
