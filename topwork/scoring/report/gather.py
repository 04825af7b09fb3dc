"""Gather the summary of a run: from its folder, and from an audit and a learning curve if they were made."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

from topwork.data.dataset import Dataset
from topwork.data.quality.appearance import Appearance
from topwork.data.reading.run_files import table
from topwork.networks.backbones import catalogue
from topwork.runs.folder import FINAL, RECIPE, Folder, exports_of, folds_in
from topwork.runs.journal import Epoch, kept_epochs
from topwork.runs.predictions import Exam, refuse_unfinished
from topwork.runs.scores import FoldResults, Results, Scores
from topwork.scoring.audit.audit import AuditResult
from topwork.scoring.curve import Curve
from topwork.scoring.report.answers import Answered
from topwork.scoring.report.proposals import proposals
from topwork.scoring.report.slices import slices
from topwork.scoring.report.summary import Summary, Weights
from topwork.system.advice import word


@dataclass(frozen=True)
class Subject:
    """What a report is about: a finished run, or a cross-validation, whose folds are pooled.

    Args:
        path: its folder.
        folder: the run; of a cross-validation, the one on all pictures, or the first fold.
        results: of the run or of all folds.
        exam: the answers; ``None`` without a test part.
        folds: the accuracy of each fold; empty for a run.
    """

    path: Path
    folder: Folder
    results: Results | FoldResults
    exam: Exam | None
    folds: list[float]

    @classmethod
    def at(cls, path: Path, folder: Folder | None = None) -> "Subject":
        """Open a run or a cross-validation; *folder* is the run's, if it is open already.

        Raises:
            RunError: it is neither, or has not finished.
        """
        if path.name == FINAL and folds_in(path.parent):
            path = path.parent
        if folds := folds_in(path):
            refuse_unfinished(path)
            final = path / FINAL
            pooled = FoldResults.from_json(table(path / "results.json"))
            return cls(path, Folder(final if final.is_dir() else folds[0]), pooled, Exam.at(path), pooled.folds)
        folder = folder or Folder(path)
        results = folder.results
        return cls(path, folder, results, Exam.of(folder) if results.accuracy else None, [])

    @property
    def scores(self) -> Scores | None:
        """The scores on the test part."""
        return self.results.test

    def seen_at(self, data: Dataset) -> "Subject":
        """Return the same subject, with the answers on the pictures where *data* has them.

        A path that *data* has stays, because equal pictures have several.
        """
        if not self.exam:
            return self
        there = {picture for row in data.rows for picture in row.pictures}
        paths = {digest: path for path, digest in there}
        answers = []
        for answer in self.exam.answers:
            gone = [picture for picture in answer.row.pictures if picture not in there]
            moved = {digest: paths.get(digest, path) for path, digest in gone}
            (row,) = replace(data, rows=(answer.row,)).with_paths(moved).rows
            answers.append(replace(answer, row=row))
        return replace(self, exam=replace(self.exam, answers=tuple(answers)))


def gathered(
    subject: Subject, data: Dataset, known: Mapping[str, Appearance], audit: AuditResult | None, curve: Curve | None
) -> Summary:
    """Return the summary of a run, without the size of its activations.

    Args:
        subject: the run.
        data: its pictures, where they are now.
        known: digest -> appearance of the test pictures, as far as it is known.
        audit, curve: if they were made.
    """
    folder, results, scores = subject.folder, subject.results, subject.scores
    answered = None
    if subject.exam:
        answered = Answered(subject.exam.rows, subject.exam.probabilities, subject.exam.classes)
    epochs = folder.journal.epochs()
    findings = list(audit.findings) if audit else None
    summary = Summary(
        name=subject.path.resolve().name,
        run=str(subject.path),
        verdict=verdict(scores, len(data), len(subject.folds)),
        proposals=proposals(subject.path, data, scores, findings, curve, len(subject.folds)),
        pictures=_counts(data, bool(subject.folds)),
        learned=0 if subject.folds else len(folder.learned),
        skipped={gone.path: gone.reason for gone in data.left_out},
        notes=[*results.notes, *(audit.notes if audit else ())],
        findings=findings,
        scores=scores,
        folds=subject.folds,
        curve=_as_json(curve),
        epochs=epochs,
        kept=kept_epochs(epochs),
        cost=results.cost if isinstance(results, Results) else {},
        passes_saved=_passes_saved(epochs, sum(row.split == "train" for row in folder.data().rows)),
        command=_command(subject, data),
        recipe=folder.recipe.dumps(),
        versions=dict(folder.environment["packages"]),
        weights=_weights(folder),
        exports=exports_of(folder.path),
    )
    return _with_answers(summary, answered, known) if answered else summary


def verdict(scores: Scores | None, pictures: int, folds: int = 0) -> list[str]:
    """Return two sentences: how accurate a run is, and what that is to be compared with.

    Args:
        scores: on the test part.
        pictures: the number of all pictures.
        folds: the number of folds of a cross-validation, else 0.
    """
    if not scores:
        way = "Train it with test pictures, or with --folds."
        return ["The run has no test part, so its accuracy is not known.", way]
    rate, count = scores.accuracy, scores.pictures
    right = round(rate.value * count)
    first = (
        f"{right:,} of {count:,} test pictures are classified correctly: accuracy {rate.value:.3f}, and with 95 % "
        f"confidence between {rate.low:.3f} and {rate.high:.3f} for more pictures like these."
    )
    supports = {label: one.support for label, one in scores.classes.items()}
    largest = max(supports, key=lambda label: supports[label])
    share = supports[largest] / count
    better = "which is as good as far as these pictures tell"
    if share < rate.low or share > rate.high:
        better = f"which is clearly {'worse' if share < rate.low else 'better'}"
    parts = f"The test pictures are {count:,} of {pictures:,}, and the model did not learn from them."
    if folds:
        parts = f"Each picture was tested once, by one of {folds} models that did not learn from it."
    which = f"the largest class, {largest!r}," if len(set(supports.values())) > 1 else "one class"
    second = f"Always answering {which} would be right for {share:.3f} of them, {better}. {parts}"
    return [first, second]


def _with_answers(summary: Summary, answered: Answered, known: Mapping[str, Appearance]) -> Summary:
    classes, confusion = answered.confusion()
    bins, error = answered.calibration()
    doubtful = {one.paths[0] for one in summary.findings or () if one.kind == "label_suspect"}
    shown: dict[str, Any] = {
        "classes": classes,
        "confusion": confusion,
        "wrong": int((~answered.right).sum()),
        "doubted": sum(path in doubtful for path in answered.wrong_paths()),
        "mistakes": answered.mistakes(),
        "unsure": answered.unsure(),
        "mixed_up": answered.mixed_up(),
        "calibration": bins,
        "mean_probability": float(answered.sure.mean()),
        "calibration_error": error,
        "coverage": answered.coverage(),
        "slices": slices(answered.rows, answered.right, known),
    }
    return replace(summary, **shown)


def _counts(data: Dataset, is_pooled: bool) -> dict[str, dict[str, int]]:
    if not is_pooled:
        return data.counts()
    counts = Counter(row.label for row in data.rows)
    return {label: {"tested": counts[label]} for label in data.classes}


def _passes_saved(epochs: Sequence[Epoch], pictures: int) -> int:
    """Return how often the frozen layers would have run again without a store: in each epoch after the first."""
    used = sum(one.epoch > 0 and one.l2 is None for one in epochs)
    return max(0, used - 1) * pictures


def _command(subject: Subject, data: Dataset) -> str:
    """Return the command that repeats a run."""
    folder = subject.folder
    if join := folder.recipe.join:
        members = json.dumps(folder.origins, ensure_ascii=False)
        own = {row.content for member in folder.members for row in member.data().rows}
        place = "" if {row.content for row in data.rows} <= own else f" {word(data.origin or 'DATA')}"
        return f"topwork train{place} --set {quote(f'join.members={members}')} --set join.rule={join.rule}"
    words = ["topwork train", word(data.origin or "DATA"), f"--recipe {word(folder.path / RECIPE)}"]
    if folder.recipe.head.file:
        words.append(f"--head {word(folder.recipe.head.file)}")
    if parent := folder.environment.get("parent"):  # which may be gone
        words.append(f"--from {word(parent)}")
    if subject.folds:
        words.append(f"--folds {len(subject.folds)}")
    return " ".join(words)


def _weights(folder: Folder) -> list[Weights]:
    found = []
    for one in folder.members or (folder,):
        for name, backbone in one.recipe.backbones.items():
            licence = "your own" if backbone.model else catalogue.record(backbone.name).licence
            found.append(Weights(name, backbone.weights, licence))
    return found


def _as_json(curve: Curve | None) -> dict[str, Any] | None:
    if not curve:
        return None
    shares = [
        {"share": one.share, "pictures": one.pictures, "accuracy": one.accuracy.as_json(), "draws": list(one.draws)}
        for one in curve.shares
    ]
    return {"cut": curve.cut, "measured": curve.measured, "text": curve.text, "shares": shares}
