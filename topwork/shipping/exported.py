"""Which files a run was exported to, and how each answered: ``exports.jsonl`` in its folder, the oldest file first."""

import os
import time
from pathlib import Path
from typing import Any

from topwork.networks.weights.files import sha256
from topwork.runs.folder import EXPORTS, exports_of
from topwork.scoring.metrics import Agreement
from topwork.system.messages import say
from topwork.system.text import as_json


def note(run: Path, file: Path, found: Agreement, pictures: int) -> None:
    """Record that a run was exported to a file.

    If the run folder cannot be written to, a line says so; the file is complete.

    Args:
        run: the folder of the run.
        file: the file.
        found: how its answers agree with those of the model.
        pictures: the number of pictures that were compared.
    """
    line: dict[str, Any] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "path": os.path.abspath(file),
        "sha256": sha256(file),
        "format": "onnx",
        "precision": "float32",
        "largest_difference": found.largest_difference,
        "agreement": found.top1_agreement,
        "pictures": pictures,
        "forced": False,
    }
    try:
        before = (run / EXPORTS).read_bytes() if (run / EXPORTS).exists() else b""
        is_torn = bool(before) and not before.endswith(b"\n")  # by a full disk
        with (run / EXPORTS).open("a", encoding="utf-8") as table:
            table.write(("\n" if is_torn else "") + as_json(line) + "\n")
    except OSError as error:
        say(f"{str(run / EXPORTS)!r} cannot be written ({error.strerror}), so the run does not list {str(file)!r}.")


def newest(run: Path) -> Path | None:
    """Return the last file that a run was exported to, among those that still exist and have not changed."""
    for one in reversed(exports_of(run)):
        path = Path(one["path"])
        if path.is_file() and sha256(path) == one["sha256"]:
            return path
    return None
