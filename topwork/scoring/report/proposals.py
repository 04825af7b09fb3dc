"""What to do next: at most three proposals, each with its command and its evidence."""

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
    found = [*_data(place, findings), *_certainty(place, scores, folds), *_more(place, name, scores, curve)]
    use = Proposal(
        "Use it.",
        f"topwork export {name} {path.resolve().name}.onnx",
        "The file is checked against the model, and runs without Keras or topwork.",
    )
    return [*found[:MOST], *([use] if len(found) < MOST else [])]


def _data(place: str, findings: Sequence[Finding] | None) -> list[Proposal]:
    """Return what to do about errors in the data and suspect labels."""
    if findings is None:
        return [
            Proposal(
                "Look at the data.",
                f"topwork audit {place}",
                "It finds copies in two parts, labels that may be wrong and strange pictures, in seconds.",
            )
        ]
    found = []
    errors = [one for one in findings if one.severity == "error"]
    suspects = [one for one in findings if one.kind == "label_suspect"]
    mend = f"topwork audit {place} --fix fixed.csv"
    if errors:
        what = f"{counted(len(errors), 'set')} of copies in different parts, or with different labels"
        found.append(
            Proposal(
                "Mend the data: the scores cannot be trusted as they are.",
                f"{mend}\ntopwork train fixed.csv",
                f"{what}, first {' and '.join(errors[0].paths[:2])}. The table keeps copies in one part.",
            )
        )
    if suspects:
        first = ", ".join(one.paths[0] for one in suspects[:3])
        found.append(
            Proposal(
                "Check the labels that may be wrong (below: Labels to check).",
                f"{mend}\ntopwork train fixed.csv",
                f"{counted(len(suspects), 'label')}, the surest first: {first}. The first command changes no label: it "
                "writes a table with the other label in the column suspect. Correct the column label, and train on it.",
            )
        )
    return found


def _certainty(place: str, scores: Scores | None, folds: int) -> list[Proposal]:
    if folds or not scores or scores.accuracy.high - scores.accuracy.low <= WIDE:
        return []
    low, high = scores.accuracy.low, scores.accuracy.high
    return [
        Proposal(
            "Test on all pictures, for a surer score.",
            f"topwork train {place} --folds 5",
            f"{counted(scores.pictures, 'test picture')} leave the accuracy between {low:.2f} and {high:.2f}.",
        )
    ]


def _more(place: str, name: str, scores: Scores | None, curve: Curve | None) -> list[Proposal]:
    """Return what may make the run better."""
    if not scores or scores.accuracy.value > ENOUGH:
        return []
    found = []
    if curve and curve.gain.low > 0:
        found.append(Proposal("Add pictures to the classes.", f"topwork train {place} --from {name}", curve.text))
    known = {label: one.recall for label, one in scores.classes.items() if one.recall and one.support >= SUPPORT}
    weakest = min(known, key=lambda label: known[label].value, default=None)
    if weakest is not None and known[weakest].high < scores.accuracy.value:
        found.append(
            Proposal(
                f"Add pictures of {weakest!r}, and check its labels.",
                f"topwork train {place} --from {name}",
                f"Only {100 * known[weakest].value:.0f} % of {weakest!r} are found, fewer than of other classes.",
            )
        )
    found.append(
        Proposal(
            "Search for a better network, cut and training.",
            f"topwork train {place} --minutes 5",
            "It tries other networks and opens layers, and says what each try reached.",
        )
    )
    return found
