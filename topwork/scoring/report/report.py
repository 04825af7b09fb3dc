"""The report of a run: ``report.html``, one file that opens anywhere, and ``report.json``, the summary behind it.

At the end of a training, only what costs little is in it. `report` adds the audit of the data, the learning curve and
heat maps; the audit and the curve are saved in the run folder, and are made again only if the data or the cut changed.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from topwork.data.dataset import Dataset
from topwork.data.quality import appearance
from topwork.data.quality.findings import Finding
from topwork.data.reading.run_files import table
from topwork.errors import RunError, TopworkError, UsageError
from topwork.networks import trunk
from topwork.runs.folder import Folder
from topwork.runs.moved_pictures import placed
from topwork.runs.restore import endings, trained_on
from topwork.runs.scores import Rate
from topwork.scoring.audit.audit import AuditResult, examined
from topwork.scoring.compare import Comparison, HasPath, compare
from topwork.scoring.curve import Curve, Share, measured
from topwork.scoring.report import heat, page
from topwork.scoring.report.gather import Subject, gathered
from topwork.scoring.report.summary import Summary
from topwork.scoring.report.thumbnails import Thumbnail, thumbnails
from topwork.store.examples import StoredActivations
from topwork.store.extract import fill_all
from topwork.store.request import Request
from topwork.system.advice import either
from topwork.system.files import written_whole
from topwork.system.messages import say
from topwork.system.text import as_json

PAGE, SUMMARY = "report.html", "report.json"

VERSION = 1
"""Part of the digest of a saved audit or curve. Increase it when what they find changes."""


def report(
    runs: "Sequence[str | Path | HasPath]", out: str | Path | None = None, data: Any = None, jobs: int | None = None
) -> Path:
    """Write the report of a finished run or cross-validation, or of several side by side.

    Args:
        runs: the folders. The pictures of the first one are shown; of several, the paired comparisons as well.
        out: the file to write; by default ``report.html`` in the folder of a single run, else ``report.html`` here.
        data: where the pictures of the run are now, if they were moved.
        jobs: the number of processors to use.

    Returns:
        The path of the page. ``report.json`` beside it has the same name with another suffix.

    Raises:
        RunError: one of the folders is not a finished run.
        UsageError: *out* exists already, or *data* came with several runs.
    """
    paths = [Path(run.path) if isinstance(run, HasPath) else Path(run) for run in runs]
    if data is not None and len(paths) > 1:
        raise UsageError(
            f"{either('data', '--data')} is the new place of one run's pictures: report one run at a time."
        )
    subjects = [Subject.at(path) for path in paths]
    if out is None:
        out = subjects[0].path / PAGE if len(subjects) == 1 else PAGE
    file = Path(out)
    if file.suffix.lower() != ".html":
        raise UsageError(f"{str(file)!r} does not end in '.html': the report is a page, so give it such a name.")
    is_own = file.resolve() == (subjects[0].path / PAGE).resolve()
    for there in (file, file.with_suffix(".json")):
        if there.exists() and not is_own:
            raise UsageError(
                f"{str(there)!r} exists already and is not overwritten. Choose another name, or remove it."
            )
    comparisons = [compare(a.path, b.path) for a, b in pairwise(subjects)]
    first, *others = (_complete(subject, data, jobs) for subject in subjects)
    pictures, warm = _pictures(subjects[0], first, data)
    _write(file, [first, *others], pictures, warm, comparisons)
    return file


def brief(path: Path, folder: Folder | None = None) -> None:
    """Write the report of a run that has just finished, without an audit, a curve and heat maps.

    If it cannot be written, a line says so: the run is complete without it.

    Args:
        path: the run or cross-validation.
        folder: of a run, its folder if it is open already.
    """
    try:
        _write_brief(Subject.at(path, folder))
    except (OSError, TopworkError) as error:
        say(f"{str(path / PAGE)!r} was not written: {error}")


def _write_brief(subject: Subject) -> None:
    data = subject.folder.data()
    rows = subject.exam.rows if subject.exam else ()
    known = appearance.known({digest: None for row in rows for _, digest in row.pictures})
    summary = gathered(subject, data, known, None, None)
    few = [one.path for one in (*summary.mistakes, *summary.unsure)]
    _write(subject.path / PAGE, [summary], thumbnails(data, few), {}, [])


def _complete(subject: Subject, moved: Any, jobs: int | None) -> Summary:
    """Return the summary of a run with its audit and curve, which are made if they are not saved."""
    folder = subject.folder
    data = placed(folder, moved)
    requests = [] if folder.recipe.join else trained_on(endings(folder), data, data.rows)
    mark = _digest(data, requests)
    audit, curve = _saved_audit(subject.path, mark), _saved_curve(subject.path, mark)
    disk = None
    try:
        if requests and not (audit and curve):
            fill_all(requests, jobs)
        if requests and not audit:
            audit = examined(data, requests)
            if _are_there(data):  # else it has seen too little to be kept
                _save(subject.path / "audit.json", {"digest": mark, **audit.as_json()})
        if requests and not curve:
            curve = measured(data, requests)
            _save(subject.path / "curve.json", {"digest": mark, **asdict(replace(curve, left_out=()))})
        disk = _disk(requests) if requests else None
    except TopworkError as error:  # pictures or weights that are gone, or too few of a class
        say(f"Not in the report of {subject.path}: {error}")
    rows = subject.exam.rows if subject.exam else ()
    sources = {digest: data.picture(path) if data.is_there else None for row in rows for path, digest in row.pictures}
    known = appearance.known(sources)
    return replace(gathered(subject, data, known, audit, curve), disk_bytes=disk, heat=heat.lacking(folder))


def _pictures(subject: Subject, summary: Summary, moved: Any) -> tuple[dict[str, Thumbnail], dict[str, Thumbnail]]:
    """Return the thumbnails and the heat maps of a page, by path."""
    data = placed(subject.folder, moved)
    shown = [*summary.mistakes, *summary.unsure]
    warm: dict[str, Thumbnail] = {}
    if not summary.heat and not subject.folds and shown:
        try:
            warm = heat.maps(subject.folder, data, {one.path: one.predicted for one in shown})
        except TopworkError as error:
            say(f"Without heat maps: {error}")
    return thumbnails(data, page.paths_shown(summary)), warm


def _write(
    file: Path,
    summaries: Sequence[Summary],
    pictures: dict[str, Thumbnail],
    warm: dict[str, Thumbnail],
    comparisons: Sequence[Comparison],
) -> None:
    told = [one.as_json() for one in summaries]
    found: Any = {"runs": told, "comparisons": [one.as_json() for one in comparisons]} if len(told) > 1 else told[0]
    text = page.render(summaries, pictures, warm, comparisons)
    for path, content in ((file, text), (file.with_suffix(".json"), as_json(found, indent=1) + "\n")):
        with written_whole(path) as aside:
            aside.write_text(content, encoding="utf-8", errors="surrogateescape")


def _digest(data: Dataset, requests: Sequence[Request]) -> str:
    """Return what an audit and a curve depend on, as a digest: pictures, labels, parts, groups, and the cut."""
    rows = [f"{row.content} {row.label} {row.split} {row.group} {row.path}" for row in data.rows]
    cuts = [str((one.term, one.backbone, one.views)) for one in requests]
    return sha256("\n".join([str(VERSION), *cuts, *rows]).encode(errors="surrogateescape")).hexdigest()


def _saved_audit(path: Path, mark: str) -> AuditResult | None:
    found = _saved(path / "audit.json", mark)
    if not found:
        return None
    findings = tuple(Finding.from_json({**one, "paths": tuple(one["paths"])}) for one in found["findings"])
    return AuditResult(found["cut"], found["pictures"], findings, tuple(found["notes"]))


def _saved_curve(path: Path, mark: str) -> Curve | None:
    found = _saved(path / "curve.json", mark)
    if not found:
        return None
    shares = tuple(
        Share(one["share"], one["pictures"], Rate(**one["accuracy"]), tuple(one["draws"])) for one in found["shares"]
    )
    return Curve(found["cut"], shares, found["measured"], Rate(**found["gain"]))


def _saved(path: Path, mark: str) -> dict[str, Any] | None:
    """Return what was saved, if it is of the same data and cut; a damaged file counts as none."""
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


def _are_there(data: Dataset) -> bool:
    """Return whether all pictures can be opened now."""
    if data.pixels is not None or not data.root:
        return data.pixels is not None
    return all(Path(data.root, path).is_file() for row in data.rows for path, _ in row.pictures)


def _disk(requests: Sequence[Request]) -> int | None:
    """Return the size of the activations in the store, in bytes; ``None`` if they are not on this machine."""
    if any(trunk.kept_graph(one.backbone) is None for one in requests):
        return None
    with StoredActivations(requests) as stored:
        return sum(reader.disk_bytes(len(one.by_key)) for one, reader in zip(stored.requests, stored.readers))
