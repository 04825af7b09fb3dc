"""What to do next: at most three proposals, each with its command and its evidence."""

import re
from collections.abc import Sequence
from pathlib import Path

from topwork.data.dataset import Dataset
from topwork.data.quality.findings import Finding
from topwork.runs.scores import Scores
from topwork.scoring.curve import Curve
from topwork.scoring.report.summary import Proposal
from topwork.system.advice import word
from topwork.system.messages import counted

MOST = 3

WIDE = 0.1
"""An accuracy whose 95 % interval is wider is too uncertain to compare by."""

ENOUGH = 0.98
"""Above this accuracy, nothing better is searched for."""

SUPPORT = 5
"""A class with fewer test pictures is not called weak."""


def proposals(
    path: Path,
    data: Dataset,
    scores: Scores | None,
    findings: Sequence[Finding] | None,
    curve: Curve | None,
    folds: int,
) -> list[Proposal]:
    """Return the proposals, the most urgent first.

    Args:
        path: the run.
        data: its pictures.
        scores: on the test part.
        findings: of the audit; ``None``: no audit was made.
        curve: the learning curve, if it was measured.
        folds: the number of folds of a cross-validation, else 0.
    """
    place, name = word(data.origin or "DATA"), word(path)
    table = fixed_name(data.origin)
    mend = _data(place, table, findings, data, folds)
    if any(one.second for one in mend):
        place = table  # else the next steps would lose the corrections
    parent = "" if place == table else f" --from {name}"  # which learned the labels as they were
    found = [*mend, *_certainty(place, scores, folds), *_more(place, parent, scores, curve)]
    use = Proposal(
        "Use it.",
        f"topwork export {name} {path.resolve().name}.onnx",
        "The file is checked against the model, and runs without Keras or topwork.",
    )
    return [*found[:MOST], *([use] if len(found) < MOST else [])]


def fixed_name(origin: str) -> str:
    """Return a name for the mended table of data that were read from *origin*, which may be such a table itself.

    >>> fixed_name("/pictures/flowers"), fixed_name("/pictures/fixed.csv"), fixed_name("/pictures/fixed-2.csv")
    ('fixed.csv', 'fixed-2.csv', 'fixed-3.csv')
    """
    before = re.fullmatch(r"fixed(?:-(\d+))?\.csv", Path(origin).name)
    return f"fixed-{int(before[1] or 1) + 1}.csv" if before else "fixed.csv"


def _data(place: str, table: str, findings: Sequence[Finding] | None, data: Dataset, folds: int) -> list[Proposal]:
    """Return what to do about errors in the data and suspect labels: at most one proposal."""
    if findings is None:
        return [
            Proposal(
                "Look at the data.",
                f"topwork audit {place}",
                "It finds copies in two parts, labels that may be wrong and strange pictures, in seconds.",
            )
        ]
    errors = [one for one in findings if one.severity == "error"]
    suspects = [one for one in findings if one.kind == "label_suspect"]
    if not errors and not suspects:
        return []
    what, section, evidence = "Check the labels that may be wrong.", "suspects", []
    if errors:
        skipped = {gone.path for gone in data.left_out}
        is_harmless = all(skipped.issuperset(one.paths) for one in errors)
        why = "pictures with two labels are not used" if is_harmless else "the scores cannot be trusted as they are"
        what, section = f"Correct the data: {why}.", "data"
        sets = f"{counted(len(errors), 'set')} of copies in different parts, or with different labels"
        evidence.append(f"{sets}, first {' and '.join(errors[0].paths[:2])}.")
    if suspects:
        first = ", ".join(one.paths[0] for one in suspects[:3])
        evidence.append(f"{counted(len(suspects), 'label')} that may be wrong, the surest first: {first}.")
    evidence.append(
        "The command writes a table of all pictures, in which copies share a group, so that they get into one part. It "
        "changes no label: the column suspect has the other one."
    )
    then = (
        "Open the table as a spreadsheet. Where the other label is right, write it into the column label; remove the "
        "rows of pictures that show neither. Then train on the table:"
    )
    audit = f"topwork audit {place} --fix {table}"
    train = f"topwork train {table}" + (f" --folds {folds}" if folds else "")
    return [Proposal(what, audit, " ".join(evidence), then, train, section)]


def _certainty(place: str, scores: Scores | None, folds: int) -> list[Proposal]:
    if folds or not scores or scores.accuracy.high - scores.accuracy.low <= WIDE:
        return []
    low, high = scores.accuracy.low, scores.accuracy.high
    return [
        Proposal(
            "Test on all pictures, for a surer score.",
            f"topwork train {place} --folds 5",
            f"{counted(scores.pictures, 'test picture')} leave the accuracy between {low:.2f} and {high:.2f}. Five "
            "models are trained, each of which is tested on the fifth of the pictures that it did not learn; a sixth, "
            "for use, learns from all.",
        )
    ]


def _more(place: str, parent: str, scores: Scores | None, curve: Curve | None) -> list[Proposal]:
    """Return what may make the run better."""
    if not scores or scores.accuracy.value > ENOUGH:
        return []
    found = []
    known = {label: one.recall for label, one in scores.classes.items() if one.recall and one.support >= SUPPORT}
    weakest = min(known, key=lambda label: known[label].value, default=None)
    which, evidence = "", [curve.text] if curve and curve.gain.low > 0 else []
    if weakest is not None and known[weakest].high < scores.accuracy.value:
        which = f", first of {weakest!r}"
        share = 100 * known[weakest].value
        evidence.append(f"Only {share:.0f} % of {weakest!r} are found, fewer than of other classes.")
    if evidence:
        evidence.append(f"Add them to {place}, and train again:")
        found.append(Proposal(f"Add pictures{which}.", f"topwork train {place}{parent}", " ".join(evidence)))
    found.append(
        Proposal(
            "Search for a better network, cut and training.",
            f"topwork train {place} --minutes 5",
            "It tries other networks and opens layers, and says what each try reached.",
        )
    )
    return found
