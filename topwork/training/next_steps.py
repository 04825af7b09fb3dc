"""The last lines of a training: findings in the data, how to look at the run and use it, what may make it better."""

from collections.abc import Sequence
from pathlib import Path

from topwork.data.dataset import Dataset
from topwork.data.quality import glance
from topwork.data.quality.findings import Finding
from topwork.runs.scores import Scores
from topwork.system.advice import either, word
from topwork.system.messages import counted, say

ENOUGH = 0.98
"""Above this accuracy, nothing is proposed."""

SUPPORT = 5
"""A class with fewer test pictures says too little about itself to be named."""


def tell(
    path: Path,
    data: Dataset,
    scores: Scores | None,
    better: str = "",
    parent: Path | None = None,
    findings: Sequence[Finding] = (),
) -> None:
    """Print these lines, after the gravest findings in the data.

    Args:
        path: the folder of the run, or of a cross-validation.
        data: its pictures.
        scores: on the test part; ``None`` if the run has no test part.
        better: what is known to make it better; by default, the weakest class or the learning curve is named.
        parent: the run that it started from, with which it can be compared.
        findings: what its activations showed of the data.
    """
    if (path.parent / "fold-1").is_dir():
        return  # the cross-validation says it
    for line in glance.lines(data, findings):
        say(line)
    name = word(path)
    kind = "Folds" if (path / "fold-1").is_dir() else "Run"
    if scores and scores.accuracy.value < 1:
        wrong = either(f"topwork.{kind}({str(path)!r}).evaluate().wrong", f"topwork evaluate {name} --wrong")
        say(f"Look: {wrong} lists the wrong ones of the {counted(scores.pictures, 'test picture')}.")
    page, more = f"{word(path / 'report.html')} in a browser", "the audit and the learning curve"
    report = f"topwork.{kind}({str(path)!r}).report()"
    python = f"{page}; {report} adds {more}" if (path / "report.html").exists() else f"{report} writes one, with {more}"
    say(f"Page: {either(python, f'{page}; topwork report {name} adds {more}')}")
    use = f"topwork export {name} model.onnx, then topwork predict model.onnx PICTURES"
    say(f"Use: {either(f'topwork.Run({str(path)!r}).predict(PICTURES)', use)}")
    if parent:
        compare = either(f"topwork.compare({str(parent)!r}, {str(path)!r})", f"topwork compare {word(parent)} {name}")
        say(f"Better than before? {compare}")
    elif better := better or (_weakest(data, scores) if scores else ""):
        say(f"Better: {better}")


def _weakest(data: Dataset, scores: Scores) -> str:
    """Return a sentence on the class with the lowest recall, if it is below the accuracy beyond chance."""
    known = {label: one.recall for label, one in scores.classes.items() if one.recall and one.support >= SUPPORT}
    if known:
        label = min(known, key=lambda label: known[label].value)
        if known[label].high < scores.accuracy.value:
            learned = sum(row.label == label for row in data.part("train"))
            return (
                f"only {100 * known[label].value:.0f} % of {label!r} are found, fewer than of other classes; it has "
                f"{counted(learned, 'training picture')}. Add some, or check its labels."
            )
    if scores.accuracy.value > ENOUGH:
        return ""
    place = word(data.origin or "DATA")
    curve = either("topwork.curve(data)", f"topwork curve {place}")
    search = either("topwork.train(data, minutes=5)", f"topwork train {place} --minutes 5")
    return f"{curve} (would more pictures help?), {search} (other networks and layers)"
