"""Which files a run was exported to: ``exported.json`` in its folder, the oldest file first."""

import json
import os
from contextlib import suppress
from pathlib import Path

from topwork.data.reading.run_files import table
from topwork.errors import RunError
from topwork.networks.weights.files import sha256
from topwork.system.files import written_whole

FILE = "exported.json"


def note(run: Path, file: Path) -> None:
    """Record that a run was exported to a file. A run folder that cannot be written to is left as it is.

    A damaged record is begun again: the exported file is complete, whatever is known of earlier ones.
    """
    entries: list[dict[str, str]] = []
    with suppress(RunError):
        entries = [one for one in _entries(run) if one["path"] != os.path.abspath(file)]
    entries.append({"path": os.path.abspath(file), "sha256": sha256(file)})
    with suppress(OSError), written_whole(run / FILE) as aside:
        aside.write_text(json.dumps({"files": entries}, indent=1) + "\n", encoding="utf-8")


def newest(run: Path) -> Path | None:
    """Return the last file that a run was exported to, among those that still exist and have not changed."""
    for one in reversed(_entries(run)):
        path = Path(one["path"])
        if path.is_file() and sha256(path) == one["sha256"]:
            return path
    return None


def _entries(run: Path) -> list[dict[str, str]]:
    path = run / FILE
    return list(table(path)["files"]) if path.exists() else []
