"""The audit: one pass over the data that finds what makes scores wrong or costs accuracy.

Most of it is stored already: the activations of every picture at a cut, and the facts of its bytes and pixels. On the
activations, heads are solved in five folds, so that each picture is judged by a head that did not learn it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from topwork.data import splits
from topwork.data.dataset import Dataset
from topwork.data.quality import appearance, unusual
from topwork.data.quality.findings import Finding, gravest, ordered, summary
from topwork.data.readers import read
from topwork.errors import DatasetError
from topwork.scoring.audit import classes, copies, outliers, shortcuts, suspects
from topwork.scoring.audit.fixed import grouped, marked
from topwork.scoring.audit.neighbours import Neighbours
from topwork.store.examples import StoredActivations, features
from topwork.store.extract import asked, fill_all, requested
from topwork.store.request import Request
from topwork.system.advice import either, word
from topwork.system.keras_settings import ours
from topwork.system.messages import counted, say, some, with_progress

EACH = 5
"""The labels of a class are checked if it has this many independent pictures: one per fold."""


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    Args:
        cut: the cut whose activations were used.
        pictures: the number of pictures that were looked at.
        findings: the findings, the gravest first.
        notes: sentences on what was not looked at, and why.
        fixed: the dataset, in which copies share a group, and suspects have their proposed label in the column
            ``suspect`` (``Row.extra``). Nothing is deleted, and all labels are as before.
    """

    cut: str
    pictures: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    fixed: Dataset = field(repr=False, compare=False, default=Dataset("", ()))

    def __repr__(self) -> str:
        return f"<AuditResult: {summary(self.findings)} on {counted(self.pictures, 'picture')}>"

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that make scores wrong: leaks and contradictions."""
        return tuple(one for one in self.findings if one.severity == "error")

    def raise_for_errors(self) -> None:
        """Raise an error if there are leaks or contradictions.

        Raises:
            DatasetError: there are; the message names the first ones, and how to mend them.
        """
        if self.errors:
            first = ". ".join(gravest(self.errors, "")[:-1])
            place = word(self.fixed.origin or "DATA")
            fix = either("topwork.audit(data).fixed", f"topwork audit {place} --fix FIXED.csv")
            raise DatasetError(
                f"{counted(len(self.errors), 'error')} in the data, which make scores wrong. {first}. {fix} gives "
                "copies one group, so that they share a part. Correct wrong labels, or remove these pictures."
            )

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object with the findings and their numbers."""
        errors = len(self.errors)
        counts = {"errors": errors, "remarks": len(self.findings) - errors}
        found = [one.as_json() for one in self.findings]
        return {"cut": self.cut, "pictures": self.pictures, **counts, "notes": list(self.notes), "findings": found}


@ours()
@with_progress
def audit(
    data: Any,
    cut: str | None = None,
    *,
    weights: str = "imagenet",
    size: int | None = None,
    seed: int = 0,
    jobs: int | None = None,
    progress: bool = True,  # noqa: ARG001
) -> AuditResult:
    """Find what makes scores wrong or costs accuracy: copies across parts, wrong labels, strange pictures, shortcuts.

    Args:
        data: a dataset from `topwork.read`, or anything that it accepts.
        cut: the cut whose activations are used. By default, ``pool`` of the default network, as in training.
        weights, size: used for all backbones; see `topwork.Backbone`.
        seed: the seed of the permutations and of the pictures that are drawn from large classes.
        jobs: the number of processors to use.
        progress: whether to show progress bars and messages.

    Raises:
        UnknownBackbone, CutError: there is no backbone or place with that name.
        WeightsError: weights are not on this machine and cannot be downloaded.
        DatasetError: no picture can be read.

    Example:
        >>> import topwork as tw
        >>> found = tw.audit("flowers/")  # doctest: +SKIP
        >>> found.findings[0].advice, found.findings[0].paths  # doctest: +SKIP
        >>> found.raise_for_errors()  # doctest: +SKIP
    """
    parsed, backbones = asked(cut, weights, size)
    rows = data if isinstance(data, Dataset) else read(data, decode=True)
    return examined(rows, fill_all(requested(rows, parsed, backbones), jobs), seed)


def examined(rows: Dataset, requests: Sequence[Request], seed: int = 0) -> AuditResult:
    """Return what an audit finds; see `audit`.

    Args:
        rows: the dataset.
        requests: one per term of the cut; their activations are stored.
        seed: of the permutations, and of the pictures that are drawn from large classes.
    """
    with StoredActivations(requests) as stored:
        rows = rows.without(stored.failures())
        if not rows.rows:
            raise DatasetError("no picture can be read, so there is nothing to look at.")
        values, widths = features(stored, rows.rows), stored.widths()
    pictures = [picture for row in rows.rows for picture in row.pictures]
    looks = appearance.known({digest: rows.picture(path) if rows.is_there else None for path, digest in pictures})
    found = copies.skipped(rows) + unusual.of_appearances(rows.rows, looks) + shortcuts.findings(rows, looks, seed)
    notes: list[str] = []
    fixed = rows
    if len(rows) > 1:
        on_activations, fixed, notes = _by_activations(rows, values, widths, seed)
        found += on_activations
    cut = " + ".join(str(one.term) for one in requests)
    return AuditResult(cut, len(rows), ordered(found), tuple(notes), fixed)


def _by_activations(
    rows: Dataset, values: np.ndarray, widths: Sequence[int], seed: int
) -> tuple[list[Finding], Dataset, list[str]]:
    """Return the findings in activations, the fixed dataset, and notes on what was not looked at."""
    place = {label: number for number, label in enumerate(rows.classes)}
    labels = np.array([place[row.label] for row in rows.rows])
    near = Neighbours.of(values, widths)
    pixels = copies.by_pixels(rows)
    alike, is_close = copies.by_activations(near, labels, pixels)
    is_certain = copies.certain(rows, alike)
    sure = np.concatenate([pixels, alike[is_certain]])
    close = alike[is_close & ~is_certain]
    clusters = copies.clusters(len(rows), np.concatenate([sure, close]))
    found = copies.findings(rows, sure, close, near) + outliers.findings(rows, near)
    found += classes.split(rows, near, labels, rows.classes, seed)
    fixed = grouped(rows, clusters)

    counts = splits.independent(fixed.rows, splits.units_of(fixed.rows))
    checked = [label for label in rows.classes if counts[label] >= EACH]
    notes = []
    if small := [label for label in rows.classes if counts[label] < EACH]:
        notes.append(f"Labels are not checked in classes of fewer than {EACH} independent pictures: {some(small)}.")
    if len(checked) < 2:
        return found, fixed, [f"Labels are not checked: fewer than two classes have {EACH} independent pictures."]
    say("checking labels with models that did not learn them")
    answers = suspects.Answers.of(fixed.rows, checked, values, widths)
    wrong = suspects.findings(rows, answers, near)
    found += wrong + classes.alike(rows, answers)
    return found, marked(fixed, {one.paths[0]: one.proposed for one in wrong if one.proposed}), notes
