"""Where runs are: a small file for each below topwork's home, so that what they need is known.

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
    """Note where a run is, or will be; where that cannot be written, 'topwork store prune' knows nothing of it."""
    note = _note(run)
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(note) as aside:
            aside.write_bytes(os.fsencode(os.path.abspath(run)))


def forget(run: Path) -> None:
    """Take the note away, if there is one."""
    with suppress(OSError):
        _note(run).unlink()


def runs() -> list[Path]:
    """The places that were noted, sorted; whether there is still a run is not asked."""
    found = []
    for note in (home() / "runs").glob("[!.]*"):
        with suppress(FileNotFoundError):  # taken away meanwhile
            found.append(Path(os.fsdecode(note.read_bytes())))
    return sorted(found)


def _note(run: Path) -> Path:
    return home() / "runs" / sha256(os.fsencode(os.path.abspath(run))).hexdigest()[:16]
