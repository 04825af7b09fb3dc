"""Which files a run was exported to, and how each answered: ``exports.jsonl`` in its folder, the oldest file first."""

import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topwork.networks.weights.files import sha256
from topwork.runs.folder import EXPORTS, exports_of
from topwork.shipping.formats.known import FORMATS, ONNX, PRECISIONS, Format, Precision, of_path
from topwork.system.messages import say
from topwork.system.text import as_json

if TYPE_CHECKING:  # predicting needs no scores
    from topwork.shipping.checking.gate import Parity


def note(run: Path, file: Path, chosen: Format, precision: Precision, parity: "Parity") -> None:
    """Record that a run was exported to a file.

    If the run folder cannot be written to, a line says so; the file is complete.

    Args:
        run: the folder of the run.
        file: the file.
        chosen, precision: its format.
        parity: how its answers agree with those of the model.
    """
    line: dict[str, Any] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "path": os.path.abspath(file),
        "sha256": digest(file),
        "format": chosen.name,
        "precision": precision,
        "largest_difference": parity.largest_difference,
        "agreement": parity.agreement,
        "pictures": parity.pictures,
        "accuracy": list(parity.accuracy),
        "forced": bool(parity.problem),
    }
    try:
        before = (run / EXPORTS).read_bytes() if (run / EXPORTS).exists() else b""
        is_torn = bool(before) and not before.endswith(b"\n")  # by a full disk
        with (run / EXPORTS).open("a", encoding="utf-8") as table:
            table.write(("\n" if is_torn else "") + as_json(line) + "\n")
    except OSError as error:
        say(f"{str(run / EXPORTS)!r} cannot be written ({error.strerror}), so the run does not list {str(file)!r}.")


def best(run: Path) -> Path | None:
    """Return the file that stands for a run, among those that still exist and have not changed.

    Files that were kept by force come last; float32 comes before fewer bits, and ONNX before formats that are slower to
    read. Among equal ones, it is the newest.
    """
    kinds = [one.name for one in FORMATS]

    def rank(numbered: tuple[int, dict[str, Any]]) -> tuple[bool, int, int, int]:
        number, line = numbered
        kind, precision = line.get("format", "onnx"), line.get("precision", "float32")
        of_kind = kinds.index(kind) if kind in kinds else len(kinds)
        bits = PRECISIONS.index(precision) if precision in PRECISIONS else len(PRECISIONS)
        return bool(line.get("forced")), bits, of_kind, -number

    for _, one in sorted(enumerate(exports_of(run)), key=rank):
        path = Path(one["path"])
        found = of_path(path) or ONNX
        is_complete = all(file.exists() for file in (path, *found.further(path)))
        if is_complete and digest(path) == one["sha256"]:
            return path
    return None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, that of the names and digests of its files."""
    if not path.is_dir():
        return sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return hashlib.sha256("".join(f"{file.relative_to(path)} {sha256(file)}\n" for file in files).encode()).hexdigest()
