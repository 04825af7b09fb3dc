"""The report of a run: ``report.html``, one file that opens anywhere, and ``report.json``, the summary behind it.

At the end of a training, only what costs little is in it. `report` adds the audit of the data, the learning curve and
heat maps; the audit and the curve are saved in the run folder (`topwork.scoring.report.saved`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from topwork.cut import Term
from topwork.data.dataset import Dataset
from topwork.data.quality import appearance
from topwork.errors import TopworkError, UsageError
from topwork.networks import trunk
from topwork.recipes.settings import Backbone
from topwork.runs.folder import Folder, folds_in
from topwork.runs.moved_pictures import placed
from topwork.runs.restore import endings, trained_on
from topwork.runs.resume import here, with_arrays
from topwork.scoring.audit.audit import examined
from topwork.scoring.calibration.unknown import unavailable
from topwork.scoring.calibration.unknown import unknown as measured_unknown
from topwork.scoring.compare import Comparison, HasPath, compare
from topwork.scoring.curve import measured
from topwork.scoring.report import heat, page
from topwork.scoring.report.gather import Subject, gathered
from topwork.scoring.report.saved import (
    AUDIT,
    CURVE,
    digest,
    save_audit,
    save_curve,
    save_unknown,
    saved_audit,
    saved_curve,
    saved_unknown,
)
from topwork.scoring.report.summary import Summary
from topwork.scoring.report.thumbnails import Thumbnail, thumbnails
from topwork.store.examples import StoredActivations
from topwork.store.extract import check, fill_all
from topwork.store.request import Request
from topwork.system.advice import either, word
from topwork.system.files import unusable, written_whole
from topwork.system.messages import say
from topwork.system.text import as_json

PAGE, SUMMARY = "report.html", "report.json"

SEVERAL = "There are no heat maps, because several models gave these answers."

ARRAYS = "topwork.Run(...).report(data=(X, y))"
"""How the arrays of a run are given again."""


def report(
    runs: "Sequence[str | Path | HasPath]", out: str | Path | None = None, data: Any = None, jobs: int | None = None
) -> Path:
    """Write the report of a finished run or cross-validation, or of several side by side.

    Args:
        runs: the folders. Of several, the page compares each with the next, and shows the pictures of the first.
        out: the file to write; by default ``report.html`` in the folder of a single run, else ``report.html`` here.
        data: where the pictures of the run are now, if they were moved; for a run on arrays, the arrays.
        jobs: the number of processors to use.

    Returns:
        The path of the page. ``report.json`` beside it has the same name with another suffix.

    Raises:
        RunError: one of the folders is not a finished run.
        UsageError: *out* exists already or cannot be written, or *data* came with several runs.
    """
    paths = [Path(run.path) if isinstance(run, HasPath) else Path(run) for run in runs]
    if data is not None and len(paths) > 1:
        raise UsageError(
            f"{either('data', '--data')} is the new place of one run's pictures: report one run at a time."
        )
    first, *others = subjects = [Subject.at(path) for path in paths]
    file = _file(subjects, out)
    comparisons = [compare(a.path, b.path) for a, b in pairwise(subjects)]
    rows = _shown(first.folder, data)
    first = first.seen_at(rows)
    summary = _complete(first, rows, jobs)
    shown = page.paths_shown(summary)
    pictures = thumbnails(rows, shown, first.folder.sample())
    if shown and not pictures:
        way = either("report(data=NEWPLACE)", f"topwork report {word(first.path)} --data NEWPLACE")
        say(f"The page shows no pictures, because none is where it was ({rows.root or 'arrays'}). With them: {way}")
    warm, how, why = _heat(first, rows, summary, pictures)
    summary = replace(summary, heat=how, lacking=summary.lacking | ({"heat": why} if why else {}))
    _write(file, [summary, *map(_short, others)], pictures, warm, comparisons)
    return file


def brief(path: Path, folder: Folder | None = None) -> None:
    """Write the report of a run that has just finished, without an audit, a curve and heat maps.

    If it cannot be written, a line says so: the run is complete without it.

    Args:
        path: the run or cross-validation.
        folder: of a run, its folder if it is open already.
    """
    try:
        subject = Subject.at(path, folder)
        summary = _short(subject)
        few = [one.path for one in (*summary.mistakes, *summary.unsure)]
        pictures = thumbnails(subject.folder.data(), few, subject.folder.sample())
        _write(subject.path / PAGE, [summary], pictures, {}, [])
    except (OSError, TopworkError) as error:
        say(f"{str(path / PAGE)!r} was not written: {error}")


def _file(subjects: Sequence[Subject], out: str | Path | None) -> Path:
    """Return the page to write, before anything is computed for it."""
    own = subjects[0].path / PAGE
    file = Path(out) if out is not None else own if len(subjects) == 1 else Path(PAGE)
    if file.suffix.lower() != ".html":
        raise UsageError(f"{str(file)!r} does not end in '.html': the report is a page, so give it such a name.")
    for there in (file, file.with_suffix(".json")):
        if there.exists() and file.resolve() != own.resolve():
            raise UsageError(
                f"{str(there)!r} exists already and is not overwritten. Choose another name with "
                f"{either('out=', '--out')}, or remove it."
            )
    if file.with_suffix(".json").resolve() in [(subjects[0].path / name).resolve() for name in (AUDIT, CURVE)]:
        raise UsageError(f"{file.with_suffix('.json').name!r} is a file of the run. Choose another name for the page.")
    if wrong := unusable(file.parent):
        place, why = wrong
        way = either("out='report.html'", "--out report.html")
        raise UsageError(f"{str(file)!r} cannot be written: {str(place)!r}: {why}. Write it elsewhere, as with {way}.")
    return file


def _shown(folder: Folder, moved: Any) -> Dataset:
    """Return the data of a run where they are now; arrays are read again from their file, if it is there."""
    rows = placed(folder, moved)
    if rows.is_there or not rows.source:
        return rows
    try:
        return with_arrays(folder, rows, how=ARRAYS)
    except TopworkError as error:
        say(f"Without pictures: {error}")
        return rows


def _short(subject: Subject) -> Summary:
    """Return the summary of a run without an audit, a curve and heat maps."""
    rows = subject.exam.rows if subject.exam else ()
    known = appearance.known({digest: None for row in rows for _, digest in row.pictures})
    more = f"topwork report {word(subject.path)}"
    lacking = {"audit": f"{more} makes one.", "curve": f"{more} measures it."}
    lacking["unknown"] = unavailable(subject.folder) or f"{more} measures it."
    lacking["heat"] = SEVERAL if subject.folds else f"There are no heat maps yet: {more} makes them."
    return replace(gathered(subject, subject.folder.data(), known, None, None), lacking=lacking)


def _complete(subject: Subject, data: Dataset, jobs: int | None) -> Summary:
    """Return the summary of a run with its audit and curve, which are made if they are not saved."""
    lacking: dict[str, str] = {}
    requests = _at_ends(subject.folder, data)
    tested = _as_tested(subject, data)
    mark = digest(tested, requests)
    audit, curve = saved_audit(subject.path, mark), saved_curve(subject.path, mark)
    filled: list[Request] = []
    if not (audit and curve):
        with _or_why(("audit", "curve"), lacking):
            filled = _filled(subject.folder, data, requests, jobs)
    if filled and not audit:
        with _or_why(("audit",), lacking):
            audit = examined(tested, [one.of(tested) for one in filled])
            if _are_there(data):  # else it has seen too little to be kept
                save_audit(subject.path, mark, audit)
    if filled and not curve:
        with _or_why(("curve",), lacking):
            curve = measured(data, filled)
            save_curve(subject.path, mark, curve)
    unknown = None
    if why := unavailable(subject.folder):
        lacking["unknown"] = why
    elif not (unknown := saved_unknown(subject.path, mark)):
        with _or_why(("unknown",), lacking):
            unknown = measured_unknown(subject.folder, data, jobs)
            save_unknown(subject.path, mark, unknown)
    rows = subject.exam.rows if subject.exam else ()
    sources = {content: data.picture(path) if data.is_there else None for row in rows for path, content in row.pictures}
    summary = gathered(subject, data, appearance.known(sources), audit, curve)
    return replace(summary, unknown=unknown, disk_bytes=_disk(subject.folder, data), lacking=lacking)


@contextmanager
def _or_why(what: Sequence[str], lacking: dict[str, str]) -> Iterator[None]:
    """Record in *lacking* why something could not be made: pictures or weights are gone, or a class has too few."""
    try:
        yield
    except TopworkError as error:
        lacking.update(dict.fromkeys(what, str(error)))
        say(f"The report has no {' and no '.join(what)}: {error}")


def _filled(folder: Folder, data: Dataset, requests: Sequence[Request], jobs: int | None) -> list[Request]:
    """Return the requests, when their activations are in the store."""
    for one in requests:
        check(one, learn=True)
    found = here(folder, data, requests, ARRAYS)
    return fill_all([one.of(found) for one in requests], jobs)


def _at_ends(folder: Folder, data: Dataset) -> list[Request]:
    """Return requests at the ends of the pretrained networks of a run, as ``pool``; of a join, of all its members.

    Pictures are compared there, whatever the cut: activations in the first layers show colours and edges.
    """
    ends: dict[tuple[Term, Backbone], Request] = {}
    for step in endings(folder):
        for term, one in zip(step.terms, step.requests):
            last = replace(term, place=term.end)
            ends.setdefault((last, one.backbone), Request(last, one.backbone, data))
    return list(ends.values())


def _as_tested(subject: Subject, data: Dataset) -> Dataset:
    """Return the data; of a cross-validation, with the fold that tested each row as its part."""
    if not subject.folds:
        return data
    folds = enumerate(folds_in(subject.path), 1)
    part = {row.content: f"fold {number}" for number, fold in folds for row in Folder(fold).data().part("test")}
    return replace(data, rows=tuple(replace(row, split=part.get(row.content)) for row in data.rows))


def _heat(
    subject: Subject, data: Dataset, summary: Summary, pictures: Mapping[str, Thumbnail]
) -> tuple[dict[str, Thumbnail], str, str]:
    """Return the heat maps by path, how they were made, and why there are none."""
    shown = {one.path: one.predicted for one in (*summary.mistakes, *summary.unsure)}
    if not shown:
        return {}, "", ""
    if subject.folds:
        return {}, "", SEVERAL
    try:
        warm, how = heat.maps(subject.folder, data, shown, pictures)
        return (
            warm,
            how,
            "" if warm else "There are no heat maps, because the pictures are not where they were, or cannot be read.",
        )
    except TopworkError as error:
        say(f"Without heat maps: {error}")
        return {}, "", f"There are no heat maps: {error}"


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
    file.parent.mkdir(parents=True, exist_ok=True)
    for path, content in ((file, text), (file.with_suffix(".json"), as_json(found, indent=1) + "\n")):
        with written_whole(path) as aside:
            aside.write_text(content, encoding="utf-8", errors="surrogateescape")


def _are_there(data: Dataset) -> bool:
    """Return whether all pictures can be opened now."""
    if data.pixels is not None or not data.root:
        return data.pixels is not None
    return all(Path(data.root, path).is_file() for row in data.rows for path, _ in row.pictures)


def _disk(folder: Folder, data: Dataset) -> int | None:
    """Return the size of a run's activations in the store, in bytes; ``None`` if they are not on this machine."""
    requests = trained_on(endings(folder), data, data.rows)
    if any(trunk.kept_graph(one.backbone) is None for one in requests):
        return None
    try:
        with StoredActivations(requests) as stored:
            return sum(reader.disk_bytes(len(one.by_key)) for one, reader in zip(stored.requests, stored.readers))
    except TopworkError:
        return None
