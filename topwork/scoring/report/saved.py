"""The audit, the learning curve and the measured distance in the folder of a run.

They are made again only if the data or the cut changed.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from topwork.data.dataset import Dataset
from topwork.data.quality.findings import Finding
from topwork.data.reading.run_files import table
from topwork.errors import RunError
from topwork.runs.scores import Rate
from topwork.scoring.audit.audit import AuditResult
from topwork.scoring.calibration.unknown import Unknown
from topwork.scoring.curve import Curve, Share
from topwork.store.request import Request
from topwork.system.files import written_whole
from topwork.system.messages import say
from topwork.system.text import as_json

AUDIT, CURVE, UNKNOWN = "audit.json", "curve.json", "unknown.json"

VERSION = 2
"""Part of the digest of a saved audit or curve. Increase it when what they find changes."""


def digest(data: Dataset, requests: Sequence[Request]) -> str:
    """Return what an audit and a curve depend on, as a digest: pictures, labels, parts, groups, and the cut."""
    rows = [f"{row.content} {row.label} {row.split} {row.group} {row.path}" for row in data.rows]
    cuts = [str((one.term, one.backbone)) for one in requests]
    return sha256("\n".join([str(VERSION), *cuts, *rows]).encode(errors="surrogateescape")).hexdigest()


def saved_audit(path: Path, mark: str) -> AuditResult | None:
    """Return the audit in a run folder; ``None`` if it is of other data or another cut, or damaged."""
    found = _saved(path / AUDIT, mark)
    if not found:
        return None
    findings = tuple(Finding.from_json({**one, "paths": tuple(one["paths"])}) for one in found["findings"])
    return AuditResult(found["cut"], found["pictures"], findings, tuple(found["notes"]))


def saved_curve(path: Path, mark: str) -> Curve | None:
    """Return the learning curve in a run folder; ``None`` if it is of other data or another cut, or damaged."""
    found = _saved(path / CURVE, mark)
    if not found:
        return None
    shares = tuple(
        Share(one["share"], one["pictures"], Rate(**one["accuracy"]), tuple(one["draws"])) for one in found["shares"]
    )
    return Curve(found["cut"], shares, found["measured"], Rate(**found["gain"]))


def saved_unknown(path: Path, mark: str) -> Unknown | None:
    """Return how often pictures of other classes are noticed, from a run folder; ``None`` as in `saved_curve`."""
    found = _saved(path / UNKNOWN, mark)
    return Unknown.from_json(found) if found else None


def save_unknown(path: Path, mark: str, unknown: Unknown) -> None:
    """Save how often pictures of other classes are noticed in a run folder, if it can be written."""
    _save(path / UNKNOWN, {"digest": mark, **unknown.as_json()})


def save_audit(path: Path, mark: str, audit: AuditResult) -> None:
    """Save an audit in a run folder, if it can be written."""
    _save(path / AUDIT, {"digest": mark, **audit.as_json()})


def save_curve(path: Path, mark: str, curve: Curve) -> None:
    """Save a learning curve in a run folder, if it can be written."""
    _save(path / CURVE, {"digest": mark, **asdict(replace(curve, left_out=()))})


def _saved(path: Path, mark: str) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        found = table(path)
    except RunError:
        return None
    return found if found.get("digest") == mark else None


def _save(path: Path, found: dict[str, Any]) -> None:
    try:
        with written_whole(path) as aside:
            aside.write_text(as_json(found) + "\n", encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        say(f"{str(path)!r} cannot be written ({error.strerror}): the next report computes it again.")
