"""Where runs are: a small file per run in topwork's home, so that it is known what runs need.

``runs/DIGEST`` holds one absolute path, as UTF-8. It is written before the run folder appears. A run that was moved or
removed needs nothing, and its file harms nobody: it counts again as soon as a run stands at its path. A run that is
resumed or evaluated is noted again.
"""

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from topwork.system.files import home, written_whole


def remember(run: Path) -> None:
    """Register the path of a run. If that cannot be written, 'topwork store prune' does not know the run."""
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
        with suppress(FileNotFoundError):  # taken away meanwhile
            found.append(Path(os.fsdecode(note.read_bytes())))
    return sorted(found)


def _note(run: Path) -> Path:
    return home() / "runs" / sha256(os.fsencode(os.path.abspath(run))).hexdigest()[:16]
