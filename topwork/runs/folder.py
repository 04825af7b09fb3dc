"""The run folder: what was asked for, what happened, what came out.

recipe.toml       the recipe as it was run, every default spelled out
pictures.csv      path, SHA-256, label, split, group, the reason where a picture was left out, and what else DATA said
environment.json  versions, processor, DATA's absolute path, the classes in the order of the model's outputs, what was
                  noted when the data were read
pretrained.json   which files of pretrained weights the run stands on (`topwork.runs.lockfile`)
journal.jsonl     one line an epoch
checkpoints/      what an interrupted run goes on from
head.keras        where the head is your own
weights/          the trained layers; of a join, what its rule learned
members/          of a join, the members' own run folders as they were, less their checkpoints
sample.npz        where the pictures came as arrays, those that an export is checked on
results.json      scores and cost
curves.png, confusion.png, predictions.png
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from topwork.data.dataset import Dataset
from topwork.data.reading import run_files as kept
from topwork.data.reading import run_folders
from topwork.data.reading.listing import recall, write_csv
from topwork.data.reading.run_files import reading
from topwork.errors import RunError
from topwork.recipes.recipe import Recipe
from topwork.runs import registry
from topwork.runs.environment import environment
from topwork.runs.journal import Epoch
from topwork.runs.scores import Results
from topwork.system.advice import either, resuming
from topwork.system.files import unusable, written_whole
from topwork.system.text import as_json
from topwork.version import RUN_FORMAT

HEAD = "head.keras"
LOCK = "pretrained.json"
MEMBERS = "members"

Lock = dict[str, dict[str, Any] | None]
"""What identifies the pretrained weights of each backbone; ``None`` where that is not known yet."""


class Folder:
    """The files of one run, by name.

    Args:
        path: the folder.

    Raises:
        RunError: it is no run folder, or one of a newer format.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            train = either("topwork.train", "'topwork train'")
            raise RunError(f"there is no folder {str(path)!r}: expected a run, as {train} makes it.")
        if (self.path / "fold-1").is_dir():
            raise RunError(
                f"{str(path)!r} is a cross-validation, not one run: expected one of its folds, as in "
                f"{str(self.path / 'fold-1')!r}. What all came to stands in results.json there."
            )
        if not (self.path / "recipe.toml").is_file() or not (self.path / "environment.json").is_file():
            raise RunError(f"{str(path)!r} is no run folder: expected recipe.toml and environment.json in it.")
        found = self.environment["format"]
        if found > RUN_FORMAT:
            raise RunError(
                f"the run {str(path)!r} has format {found}; this topwork reads up to {RUN_FORMAT}. Update topwork."
            )

    @classmethod
    def create(
        cls, path: str | Path, recipe: Recipe, data: Dataset, parent: "Folder | None" = None, lock: Lock | None = None
    ) -> "Folder":
        """Make a run folder; it appears whole, and never over one that exists.

        Args:
            path: where.
            recipe: to be run.
            data: its pictures.
            parent: the run that it starts from.
            lock: the pretrained weights of its backbones.

        Raises:
            RunError: something stands at *path*.
        """
        path = Path(path)
        if os.path.lexists(path):
            unfinished = (path / "environment.json").exists() and not (path / "results.json").exists()
            mend = f"Go on with it ({resuming(path)}), choose" if unfinished else "Choose"
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
                about["members"] = [str(Path(member).resolve()) for member in recipe.join.members]
                recipe = replace(recipe, join=replace(recipe.join, members=_copied(recipe.join.members, aside)))
            (aside / "recipe.toml").write_text(recipe.dumps(), encoding="utf-8")
            write_csv(data, aside / "pictures.csv")
            (aside / "environment.json").write_text(_json(about), encoding="utf-8")
            if lock is not None:
                (aside / LOCK).write_text(_json(lock), encoding="utf-8")
            aside.chmod(0o755)
            registry.remember(path)
        return cls(path)

    @property
    def recipe(self) -> Recipe:
        """The recipe as it was run; a head of its own, and members of a join, lie in the folder."""
        with reading(self.path / "recipe.toml") as path:
            found = Recipe.load(path)
        if found.join:
            members = tuple(str(self.path / member) for member in found.join.members)
            return replace(found, join=replace(found.join, members=members))
        file = found.head.file and str(self.path / found.head.file)
        return replace(found, head=replace(found.head, file=file))

    def members(self) -> list["Folder"]:
        """The members of a join, as they lie in its folder; of any other run none."""
        join = self.recipe.join
        return [Folder(member) for member in join.members] if join else []

    @property
    def origins(self) -> list[str]:
        """Where the members of a join lay."""
        return self.environment.get("members", [])

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, processor, and where the data lay."""
        return kept.table(self.path / "environment.json")

    @property
    def lock(self) -> Lock:
        """Which pretrained weights it stands on; a join has none of its own."""
        return {} if self.recipe.join else kept.table(self.path / LOCK)

    @property
    def journal(self) -> list[Epoch]:
        """All epochs so far, in order.

        Raises:
            RunError: a line is damaged.
        """
        path = self.path / "journal.jsonl"
        return _epochs(path, path.read_text(encoding="utf-8").splitlines()) if path.exists() else []

    @property
    def results(self) -> Results:
        """What the run came to.

        Raises:
            RunError: the run has not finished.
        """
        path = self.path / "results.json"
        if not path.exists():
            raise self._unfinished("results.json")
        with reading(path):
            return Results.from_json(kept.table(path))

    def data(self) -> Dataset:
        """The run's pictures, with the splits that were drawn, from where they lay."""
        about = self.environment
        with reading(self.path / run_folders.PICTURES) as path:
            found = recall(str(path), *run_folders.place(self.path))
        by_text = sorted({row.label for row in found.rows})  # the order of runs that did not write theirs
        order, notes = tuple(about.get("classes", by_text)), tuple(about.get("notes", ()))
        return replace(found, source=about.get("source", ""), order=order, notes=notes)

    def digests(self) -> dict[str, str]:
        """SHA-256 of what a run reads of itself when it goes on."""
        files = [self.path / name for name in ("recipe.toml", "pictures.csv", HEAD)]
        return {path.name: sha256(path.read_bytes()).hexdigest() for path in files if path.exists()}

    @property
    def is_finished(self) -> bool:
        """Whether all of it was done."""
        return (self.path / "results.json").exists()

    @property
    def whole(self) -> Path:
        """What is resumed: the cross-validation that it is a fold of, else itself."""
        above = self.path.parent
        return above if (above / "fold-1").is_dir() else self.path

    def resuming(self, data: str = "") -> str:
        """How `whole` goes on, as `topwork.system.advice.resuming` says it."""
        return resuming(self.whole, "Run" if self.whole == self.path else "Folds", data)

    @property
    def parent(self) -> "Folder | None":
        """The run that this one started from."""
        path = self.environment.get("parent")
        return Folder(path) if path else None

    def cut_journal(self, phase: int, epoch: int) -> None:
        """Take away the lines after an epoch: a run that is resumed writes them again.

        Raises:
            RunError: a line is damaged; one that a kill cut short at the end is no such line.
        """
        path = self.path / "journal.jsonl"
        if path.exists():
            whole = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
            lines = zip(whole, _epochs(path, whole), strict=True)
            kept = [line for line, at in lines if (at.phase, at.epoch) <= (phase, epoch)]
            with written_whole(self.path / "journal.jsonl") as aside:
                aside.write_text("".join(kept), encoding="utf-8")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run while it is written: two processes would mix their journals and weights.

        Raises:
            RunError: another process holds it.
        """
        with (self.path / "environment.json").open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it ends with the process, however that ends
            except OSError:
                raise RunError(
                    f"another process is training the run {str(self.path)!r}. Wait for it, or stop it first."
                ) from None
            yield

    def note(self, epoch: Epoch) -> None:
        """Add one line to the journal."""
        with (self.path / "journal.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(epoch.as_json()) + "\n")

    def keep_data(self, data: Dataset) -> None:
        """Write the pictures again, once it is known which were left out."""
        with written_whole(self.path / "pictures.csv") as path:
            write_csv(data, path)

    def keep_place(self, data: Dataset) -> None:
        """Write where the pictures were found; *data* has the rows of `data`, with other paths."""
        with reading(self.path / run_folders.PICTURES) as path:
            before = [picture for row in recall(str(path), "").rows for picture in row.pictures]
        now = [path for row in data.rows for path, _ in row.pictures]
        paths = {digest: path for (old, digest), path in zip(before, now, strict=True) if path != old}
        with written_whole(self.path / run_folders.MOVED) as aside:
            aside.write_text(_json({"data": data.root, "paths": paths}), encoding="utf-8")

    def keep_lock(self, lock: Lock) -> None:
        """Write the lock again, once all of it is known."""
        with written_whole(self.path / LOCK) as path:
            path.write_text(_json(lock), encoding="utf-8")

    def keep_results(self, results: Results) -> None:
        """Write the results; they appear whole."""
        with written_whole(self.path / "results.json") as path:
            path.write_text(_json(results.as_json()), encoding="utf-8")

    def keep_weights(self, values: dict[str, list[np.ndarray]]) -> None:
        """Write the trained layers' arrays as ``weights/top.npz``."""
        (self.path / "weights").mkdir(exist_ok=True)
        arrays = {f"{layer}/{i}": a for layer, some in values.items() for i, a in enumerate(some)}
        with written_whole(self.path / "weights/top.npz") as path:
            _savez(path, arrays)

    def keep_sample(self, pictures: dict[str, np.ndarray]) -> None:
        """Write some of the pictures that came as arrays, by the paths of their rows."""
        with written_whole(self.path / "sample.npz") as path:
            _savez(path, pictures)

    def sample(self) -> dict[str, np.ndarray]:
        """What `keep_sample` got; empty where the pictures are files."""
        path = self.path / "sample.npz"
        if not path.exists():
            return {}
        return kept.arrays(path)

    def abandon(self) -> None:
        """Remove the folder of a run that was stopped before its first epoch: there is nothing in it to keep."""
        if not (self.path / "journal.jsonl").exists():
            shutil.rmtree(self.path)
            registry.forget(self.path)

    def weights(self) -> dict[str, list[np.ndarray]]:
        """The trained layers' arrays (of a join, its rule's), as `keep_weights` got them."""
        path = self.path / "weights" / "top.npz"
        if not path.exists():
            raise self._unfinished("weights")
        found: dict[str, list[np.ndarray]] = {}
        for name, array in kept.arrays(path).items():
            found.setdefault(name.rsplit("/", 1)[0], []).append(array)
        return found

    def _unfinished(self, what: str) -> RunError:
        return RunError(
            f"the run {str(self.path)!r} has not finished: it has no {what}. Go on with it: {resuming(self.path)}"
        )


@contextmanager
def making(path: Path) -> Iterator[None]:
    """While the folder of a run, or of a cross-validation, is made.

    Raises:
        RunError: that is not possible; names the folder, or what cannot be read of what goes into it.
    """
    try:
        yield
    except OSError as error:
        if os.path.lexists(path):
            raise RunError(f"{str(path)!r} exists already, and a run is never overwritten.") from None
        raise RunError(f"cannot make the run folder {str(path)!r}: {_why(error, path)}") from None


def _why(error: OSError, path: Path) -> str:
    if isinstance(error, shutil.Error):
        source, _, reason = error.args[0][0]
        return f"cannot copy {source!r} ({reason})."
    if error.filename and not str(error.filename).startswith(str(path.parent)):
        return f"cannot read {str(error.filename)!r} ({error.strerror})."
    found = unusable(path.parent)
    where = f"{found[0]}: {found[1]}" if found else error.strerror
    return f"{where}. Choose another place for it, with {either('out', '--out')}."


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A folder that becomes *path* at the end, unless an error passes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield aside
        os.rename(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _copied(members: Sequence[str], folder: Path) -> tuple[str, ...]:
    """Copy the folders of a join's members; gives their paths from *folder*."""
    names = tuple(f"{MEMBERS}/{number}" for number in range(1, len(members) + 1))
    for member, name in zip(members, names):
        shutil.copytree(member, folder / name, ignore=shutil.ignore_patterns("checkpoints", "*.part"))
    return names


def folds_in(path: Path) -> list[Path]:
    """The run folders of a cross-validation, in order; none where *path* is no such folder.

    Raises:
        RunError: one is gone.
    """
    found = {fold.name for fold in path.glob("fold-*") if fold.name.removeprefix("fold-").isdecimal()}
    folds = [f"fold-{number}" for number in range(1, len(found) + 1)]
    if gone := [fold for fold in folds if fold not in found]:
        raise RunError(f"{str(path / gone[0])!r} is gone, without which the cross-validation is none: put it back.")
    return [path / fold for fold in folds]


def fresh(parent: Path, name: str) -> Path:
    """A path for a new run: ``runs/flowers-2026-11-23-1405``, with a number behind where that is taken."""
    from datetime import datetime

    stem = f"{name}-{datetime.now():%Y-%m-%d-%H%M}"
    return next(p for p in _numbered(parent / stem) if not p.exists())


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.name}-{number}")
        number += 1


def _savez(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _epochs(path: Path, lines: list[str]) -> list[Epoch]:
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(Epoch.from_json(json.loads(line)))
        except (ValueError, LookupError):
            raise RunError(
                f"line {number} of {str(path)!r} is damaged: expected JSON. Put the file back, or train anew."
            ) from None
    return found


def _json(value: Any) -> str:
    return as_json(value, indent=1) + "\n"
