"""Checkpoints, from which a killed run continues bit for bit (law 4).

Each checkpoint is one file, such as ``checkpoints/000007.npz``. It holds named arrays, and a JSON object named
``about``. The file is written under a temporary name, synced, and renamed. The checkpoint before it is kept as well,
and is used if the newest one is damaged (every member of an npz has a CRC-32).
"""

import json
import os
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from topwork.system.files import written_whole
from topwork.system.messages import say

SHARE = 0.05
"""Writing checkpoints may take up to this share of a run's time."""

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class State:
    """The content of a checkpoint: a JSON object, and arrays by name."""

    about: dict[str, Any]
    arrays: Arrays

    def part(self, prefix: str) -> Arrays:
        """Return the arrays whose names start with *prefix*, in order; the keys are the names without the prefix."""
        return {name[len(prefix) :]: array for name, array in self.arrays.items() if name.startswith(prefix)}


@dataclass
class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: the folder of the checkpoints; `write` creates it if it does not exist.
    """

    folder: Path
    _cost: float = 0.0
    _last: float = field(default_factory=time.perf_counter)

    @property
    def due(self) -> bool:
        """Whether a checkpoint can be written now without exceeding `SHARE`. The first is always due."""
        return (time.perf_counter() - self._last) * SHARE >= self._cost

    def write(self, state: State) -> None:
        """Write a checkpoint, and remove all but the last two."""
        start = time.perf_counter()
        self.folder.mkdir(exist_ok=True)
        found = self._found()
        path = self.folder / f"{int(found[-1].stem) + 1 if found else 1:06}.npz"
        with written_whole(path) as aside, aside.open("wb") as file:
            np.savez(file, about=np.array(json.dumps(state.about)), **state.arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        for old in found[:-1]:
            old.unlink()
        self._last = time.perf_counter()
        self._cost = self._last - start

    def read(self) -> State | None:
        """Return the newest undamaged checkpoint, or ``None``. Damaged checkpoints are reported and removed."""
        found = self._found()
        while found:
            path = found.pop()
            try:
                with path.open("rb") as opened, np.load(opened) as file:
                    arrays = {name: file[name] for name in file.files}
                return State(json.loads(str(arrays.pop("about"))), arrays)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                instead = "the one before it is used" if found else "there is none before it"
                say(f"the checkpoint {path} is damaged ({error}); {instead}.")
                path.unlink()
        return None

    def _found(self) -> list[Path]:
        return sorted(self.folder.glob("*.npz")) if self.folder.is_dir() else []
