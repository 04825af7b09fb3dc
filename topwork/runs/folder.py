"""The run folder. It has these files:

recipe.toml       the recipe that was run, with every default written out
pictures.csv      path, SHA-256, label, split, group, the reason if a picture was skipped, and DATA's other columns
environment.json  versions, processor, DATA's absolute path, the classes in the order of the model's outputs, and the
                  notes that were made when the data were read
pretrained.json   the files of pretrained weights that the run depends on (`topwork.runs.lockfile`)
journal.jsonl     one line per epoch
checkpoints/      the state from which an interrupted run continues
head.keras        your own head, if you gave one
weights/          the trained layers (top.npz); for a join, what its rule learned; and the distance of the model
                  from what it learned (distance.npz, `topwork.networks.outputs.distance`)
members/          for a join: copies of the members' run folders, without their checkpoints
sample.npz        if the pictures came as arrays: the pictures that an export is checked on
predictions.csv   the answers for the test part (`topwork.runs.predictions`)
wrong.csv         those of them that are wrong, the surest first
results.json      scores and cost
exports.jsonl     the files that the run was exported to, and how they answered (`topwork.shipping.exported`)
report.html, report.json, audit.json, curve.json (`topwork.scoring.report`)
search/           of a run that searches: its decisions, and the journals and checkpoints of its tries
search.csv        of a run that searched: all tries (`topwork.runs.search.tried`)
curves.png, confusion.png, predictions.png, search.png (the plots)
"""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from topwork.data.dataset import Dataset, Row
from topwork.data.reading import run_files as kept
from topwork.data.reading.listing import recall, write_csv
from topwork.data.reading.run_files import reading
from topwork.data.reading.run_folders import MOVED, PICTURES, place
from topwork.errors import RunError
from topwork.networks.outputs.distance import Distance
from topwork.recipes.recipe import Recipe
from topwork.runs import registry
from topwork.runs.journal import Journal
from topwork.runs.scores import Results
from topwork.system.advice import either, resuming
from topwork.system.files import written_whole
from topwork.system.text import as_json
from topwork.version import RUN_FORMAT

HEAD = "head.keras"
RECIPE = "recipe.toml"
ENVIRONMENT = "environment.json"
EXPORTS = "exports.jsonl"

T = TypeVar("T")


class Folder:
    """The files of one run, by name.

    The recipe, the environment and the pictures are read once, and read again only if their files have changed. The
    files that change during training (journal, results, weights) are read each time.

    Args:
        path: the folder.

    Raises:
        RunError: *path* is not a run folder, or has a newer format.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = model_of(Path(path))
        self.journal = Journal(self.path / "journal.jsonl")
        self._known: dict[tuple[str, ...], tuple[Any, Any]] = {}
        if not self.path.exists():
            train = either("topwork.train", "'topwork train'")
            raise RunError(f"there is no folder {str(path)!r}: expected a run, as {train} makes it.")
        if not (self.path / RECIPE).is_file() or not (self.path / ENVIRONMENT).is_file():
            raise RunError(f"{str(path)!r} is not a run folder: expected recipe.toml and environment.json in it.")
        found = self.environment["format"]
        if found > RUN_FORMAT:
            raise RunError(
                f"the run {str(path)!r} has format {found}; this topwork reads up to {RUN_FORMAT}. Update topwork."
            )

    @property
    def recipe(self) -> Recipe:
        """The recipe with all defaults. The paths of your own head and of a join's members are inside the folder."""
        return self._once(self._recipe, RECIPE)

    def _recipe(self) -> Recipe:
        with reading(self.path / RECIPE) as path:
            found = Recipe.load(path)
        if found.join:
            members = tuple(str(self.path / member) for member in found.join.members)
            return replace(found, join=replace(found.join, members=members))
        file = found.head.file and str(self.path / found.head.file)
        return replace(found, head=replace(found.head, file=file))

    @cached_property
    def members(self) -> tuple["Folder", ...]:
        """For a join, the copies of its members in the folder; for any other run, empty."""
        join = self.recipe.join
        return tuple(map(Folder, join.members)) if join else ()

    @property
    def origins(self) -> list[str]:
        """For a join, the original paths of its members; for any other run, empty."""
        return self.environment.get("members", [])

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, processor, and the original place of the data."""
        return self._once(lambda: kept.table(self.path / ENVIRONMENT), ENVIRONMENT)

    @property
    def results(self) -> Results:
        """The results of the run.

        Raises:
            RunError: the run has not finished.
        """
        path = self.path / "results.json"
        if not path.exists():
            raise self._unfinished("results.json")
        with reading(path):
            return Results.from_json(kept.table(path))

    def data(self) -> Dataset:
        """Return the run's pictures with their splits, and with the paths where they were last found."""
        return self._once(self._placed, PICTURES, MOVED, ENVIRONMENT)

    @property
    def learned(self) -> list[Row]:
        """The rows that the weights were learned from: the training part; after a refit, the validation part, too."""
        parts = ("train", "val") if any(phase.refit for phase in self.recipe.phases) else ("train",)
        return [row for part in parts for row in self.data().part(part)]

    def _placed(self) -> Dataset:
        about, listed = self.environment, self._listed()
        with reading(self.path / PICTURES):
            root, moved = place(self.path)
        by_text = sorted({row.label for row in listed.rows})  # for old runs, which did not save the order
        order, notes = tuple(about.get("classes", by_text)), tuple(about.get("notes", ()))
        ties = about.get("near", {})
        rows = tuple(replace(row, near=tuple(ties.get(row.content, ()))) for row in listed.rows)
        places = {"root": root, "source": about.get("source", ""), "table": about.get("table", "")}
        found = replace(listed, rows=rows, **places, order=order, notes=notes)
        return found.with_paths(moved) if moved else found

    def _listed(self) -> Dataset:
        """Return the pictures with the paths that they had when the run started, and with an empty root."""
        with reading(self.path / PICTURES) as path:
            return self._once(lambda: recall(str(path), ""), PICTURES)

    def _once(self, read: Callable[[], T], *names: str) -> T:
        """Return the result of *read*, which reads the files *names*; it is reused until one of the files changes."""
        state: list[tuple[int, ...]] = []
        for name in names:
            try:
                stat = (self.path / name).stat()
                state.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
            except FileNotFoundError:
                state.append(())
        if names not in self._known or self._known[names][0] != state:
            self._known[names] = state, read()
        found: T = self._known[names][1]
        return found

    def digests(self) -> dict[str, str]:
        """Return the SHA-256, by file name, of the files that a resumed run reads: recipe, pictures and own head."""
        files = [self.path / name for name in (RECIPE, PICTURES, HEAD)]
        return {path.name: sha256(path.read_bytes()).hexdigest() for path in files if path.exists()}

    @property
    def is_finished(self) -> bool:
        """Whether the run has finished."""
        return (self.path / "results.json").exists()

    def resuming(self, data: str = "") -> str:
        """Return how to resume the run, or its cross-validation if it is a fold; see `topwork.system.advice`."""
        above = self.path.parent
        is_fold = (above / "fold-1").is_dir()
        return resuming(above if is_fold else self.path, "Folds" if is_fold else "Run", data)

    @cached_property
    def parent(self) -> "Folder | None":
        """The run that this run started from, if any."""
        path = self.environment.get("parent")
        return Folder(path) if path else None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the run while it is written, because two processes would mix their journals and weights.

        Raises:
            RunError: another process has locked the run.
        """
        with (self.path / ENVIRONMENT).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the lock ends with the process, even if it is killed
            except OSError:
                raise RunError(
                    f"another process is training the run {str(self.path)!r}. Wait for it, or stop it first."
                ) from None
            yield

    def keep_recipe(self, recipe: Recipe) -> None:
        """Write ``recipe.toml`` again."""
        with written_whole(self.path / RECIPE) as path:
            path.write_text(recipe.dumps(), encoding="utf-8")

    def keep_data(self, data: Dataset) -> None:
        """Write ``pictures.csv`` again, now that it is known which pictures are skipped."""
        with written_whole(self.path / PICTURES) as path:
            write_csv(data, path)

    def keep_place(self, data: Dataset) -> None:
        """Save where the pictures were found; *data* is the run's dataset with the new paths."""
        before = [picture for row in self._listed().rows for picture in row.pictures]
        now = [path for row in data.rows for path, _ in row.pictures]
        paths = {digest: path for (old, digest), path in zip(before, now, strict=True) if path != old}
        with written_whole(self.path / MOVED) as aside:
            aside.write_text(as_text({"data": data.root, "paths": paths}), encoding="utf-8")

    def keep_results(self, results: Results) -> None:
        """Save the results."""
        with written_whole(self.path / "results.json") as path:
            path.write_text(as_text(results.as_json()), encoding="utf-8")

    def keep_weights(self, values: dict[str, list[np.ndarray]]) -> None:
        """Save the arrays of the trained layers as ``weights/top.npz``."""
        (self.path / "weights").mkdir(exist_ok=True)
        arrays = {f"{layer}/{i}": a for layer, some in values.items() for i, a in enumerate(some)}
        with written_whole(self.path / "weights/top.npz") as path, path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def keep_distance(self, distance: Distance) -> None:
        """Save the distance of the model as ``weights/distance.npz``."""
        (self.path / "weights").mkdir(exist_ok=True)
        with written_whole(self.path / "weights/distance.npz") as path, path.open("wb") as file:
            np.savez(file, **distance.values())  # type: ignore[arg-type]

    def distance(self) -> Distance | None:
        """Return the distance of the model; ``None`` if the run has none, as all runs before it was measured."""
        path = self.path / "weights/distance.npz"
        return Distance.of(kept.arrays(path)) if path.exists() else None

    def keep_sample(self, pictures: dict[str, np.ndarray]) -> None:
        """Save some pictures of a run on arrays; the keys are the paths of their rows."""
        with written_whole(self.path / "sample.npz") as path, path.open("wb") as file:
            np.savez(file, **pictures)  # type: ignore[arg-type]

    def sample(self) -> dict[str, np.ndarray]:
        """Return what `keep_sample` saved; empty if the pictures are files."""
        path = self.path / "sample.npz"
        return kept.arrays(path) if path.exists() else {}

    def abandon(self) -> None:
        """Remove the folder if the run stopped before its first epoch, because it then has nothing worth keeping."""
        if not self.journal.path.exists() and not [*self.path.glob("search/*/journal.jsonl")]:
            shutil.rmtree(self.path)
            registry.forget(self.path)

    @property
    def is_final(self) -> bool:
        """Whether this is the run on all pictures of a cross-validation, whose score is that of the folds."""
        return self.path.name == FINAL and bool(folds_in(self.path.parent))

    def weights(self) -> dict[str, list[np.ndarray]]:
        """Return the arrays that `keep_weights` saved: those of the trained layers, or those of a join's rule."""
        path = self.path / "weights" / "top.npz"
        if not path.exists():
            raise self._unfinished("weights")
        found: dict[str, list[np.ndarray]] = {}
        for name, array in kept.arrays(path).items():
            found.setdefault(name.rsplit("/", 1)[0], []).append(array)
        return found

    def _unfinished(self, what: str) -> RunError:
        return RunError(
            f"the run {str(self.path)!r} has not finished: it has no {what}. Continue it: {resuming(self.path)}"
        )


def exports_of(path: Path) -> list[dict[str, Any]]:
    """Return the files that a run was exported to, the oldest first: the lines of `EXPORTS`, without damaged ones.

    Runs of older versions list them in ``exported.json``, with ``path`` and ``sha256`` alone.
    """
    found: list[dict[str, Any]] = []
    if (path / "exported.json").exists():
        with suppress(RunError):
            found += kept.table(path / "exported.json")["files"]
    if (path / EXPORTS).is_file():
        for line in (path / EXPORTS).read_bytes().splitlines():
            with suppress(ValueError):
                one = json.loads(line)
                found += [one] if isinstance(one, dict) and {"path", "sha256"} <= one.keys() else []
    return found


def folds_in(path: Path) -> list[Path]:
    """Return the run folders of a cross-validation, in order; empty if *path* is not one.

    Raises:
        RunError: the folder of a fold is missing.
    """
    found = {fold.name for fold in path.glob("fold-*") if fold.name.removeprefix("fold-").isdecimal()}
    folds = [f"fold-{number}" for number in range(1, len(found) + 1)]
    if gone := [fold for fold in folds if fold not in found]:
        raise RunError(f"{str(path / gone[0])!r} is missing, and a cross-validation needs all its folds: put it back.")
    return [path / fold for fold in folds]


FINAL = "final"
"""The name of the run, in the folder of a cross-validation, that is trained on all pictures."""


def model_of(path: Path) -> Path:
    """Return the run folder that a path stands for: itself, or the run on all pictures of a cross-validation.

    Raises:
        RunError: the cross-validation has none, because it has not finished or was made without.
    """
    if not folds_in(path):
        return path
    if (path / FINAL).is_dir():
        return path / FINAL
    way = either(f"topwork.Folds({str(path)!r}).resume(final=True)", f"topwork train --resume {path} --final")
    raise RunError(
        f"the cross-validation {str(path)!r} has no model that learned from all pictures. To train it: {way}"
    )


def as_text(value: Any) -> str:
    """Return a value as text for the JSON files of a run."""
    return as_json(value, indent=1) + "\n"
