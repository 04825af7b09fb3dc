"""The register of runs: a small file per run in topwork's home, from which topwork finds the files that runs need.

``runs/DIGEST`` has the absolute path of a run, as UTF-8. It is written before the run folder appears. If the run was
moved or removed, the file has no effect, unless a run appears at that path again. A run is also registered when it is
resumed or evaluated, as it may have been moved.
"""

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from topwork.system.files import home, written_whole


def remember(run: Path) -> None:
    """Register the path of a run. If the file cannot be written, 'topwork store prune' does not know about the run."""
    note = _note(run)
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(note) as aside:
            aside.write_bytes(os.fsencode(os.path.abspath(run)))


def forget(run: Path) -> None:
    """Remove a run from the register, if it is there."""
    with suppress(OSError):
        _note(run).unlink()


def runs() -> list[Path]:
    """Return the registered paths, sorted, whether the runs still exist or not."""
    found = []
    for note in (home() / "runs").glob("[!.]*"):
        with suppress(FileNotFoundError):  # removed meanwhile
            found.append(Path(os.fsdecode(note.read_bytes())))
    return sorted(found)


def _note(run: Path) -> Path:
    return home() / "runs" / sha256(os.fsencode(os.path.abspath(run))).hexdigest()[:16]
