"""``topwork evaluate``."""

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from topwork.commands.options import AsJson, MaxMegapixels, Moved, Parts, RunPath, data_options, must_be_new
from topwork.commands.output import print_json, print_table, rate_cells
from topwork.errors import UsageError
from topwork.system.messages import counted

if TYPE_CHECKING:
    from topwork.scoring.calibration.unknown import Unknown
    from topwork.scoring.evaluate import Evaluation

MEMBER = 36
"""The longest member name that a table shows, in characters; longer names are shortened."""


def evaluate(
    run: RunPath,
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="Other pictures to measure; by default, the run's test part.")
    ] = None,
    parts: Parts = None,
    max_megapixels: MaxMegapixels = None,
    moved: Moved = None,
    wrong: Annotated[
        bool, typer.Option("--wrong", help="Print the wrong answers, the surest first, instead of the scores.")
    ] = False,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save all answers to this new file, as in predictions.csv.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Save all answers, the wrong ones, the confusion matrix and a plot of answers in this new folder.",
        ),
    ] = None,
    unknown: Annotated[
        bool,
        typer.Option(
            "--unknown",
            help="Measure how often pictures of other classes are called unknown, by leaving out each class in turn.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a run on its test part, or on other pictures.

    A picture in DATA is measured only if the run knows its class. All of DATA may be of one class. Measuring the test
    part also draws the plots that are missing in the run's folder.

    accuracy is the share of right answers, and top-3 the share of pictures whose class is among the three likeliest.
    loss punishes sure mistakes: 0 is perfect. AUC says how well the probabilities sort the pictures: 1 is perfect, 0.5
    is chance. Of the pictures that are answered with a class, precision is the share that belong to it; of those that
    belong to it, recall is the share that are found; F1 is the harmonic mean of the two. macro is the mean over the
    classes. The interval says how sure a score is: with other test pictures of the same kind, 95 of 100 such intervals
    contain the true value. --json also prints the intervals of each class.

    --unknown prints the share of the pictures of each class that a model calls unknown if it did not learn this class.
    AUROC says how well the distance tells them from pictures of the other classes: 1 is perfect, 0.5 is chance.
    """
    from topwork.data.readers import undrawn
    from topwork.runs.folder import folds_in
    from topwork.training.cross_validate import Folds
    from topwork.training.run import Run

    if parts and not data:
        raise UsageError("--parts describes the folders of DATA, but no DATA is given: add DATA or omit --parts.")
    read_as = data_options(parts, max_megapixels)
    what = undrawn(data, **read_as) if data and read_as else data or "test"
    must_be_new("--csv", csv)
    if unknown:
        others = {"DATA": data, "--wrong": wrong, "--csv": csv, "--out": out}
        if given := [name for name, value in others.items() if value]:
            raise UsageError(f"--unknown cannot be combined with {' and '.join(given)}: measure one after the other.")
        found = Run(run).unknown(data=moved)
        return print_json(found.as_json()) if as_json else print_unknown(found)
    scores = (Folds if folds_in(run) else Run)(run).evaluate(what, data=moved, csv=csv, out=out)
    if as_json:
        print_json(scores.as_json())
    elif wrong:
        part = "all folds together" if folds_in(run) else f"the {scores.part} part"
        part = f"{counted(scores.sample, 'picture')} of {part}, drawn by seed" if scores.sample else part
        print_wrong(scores, "DATA" if data else part)
        if folds_in(run) and not data:
            print(
                "Each was answered by a run that did not learn from it. The model for use\n"
                "learned from nearly all pictures, so that it may answer otherwise."
            )
    else:
        print_scores(scores)


def print_wrong(found: "Evaluation", where: str) -> None:
    """Print the wrong answers of an evaluation; *where* says on what it was measured."""
    if not found.wrong:
        print(f"None of the {counted(found.pictures, 'answer')} on {where} is wrong.")
        return
    rows = [(one.path, one.label, one.predicted, f"{one.probability:.3f}") for one in found.wrong]
    print_table(["file", "label", "answer", "probability"], rows)
    print(f"\nWrong: {len(found.wrong):,} of the {counted(found.pictures, 'answer')} on {where}.")


def print_unknown(found: "Unknown") -> None:
    """Print how often pictures of classes that were left out are called unknown."""
    rows = [
        (label, f"{one.pictures:,}", f"{one.auroc:.3f}", *rate_cells(one.refused))
        for label, one in found.classes.items()
    ]
    print_table(["left out", "pictures", "AUROC", "unknown", "95 % interval"], rows)
    print(f"\n{fill(found.text, 79)}")


def print_scores(found: "Evaluation") -> None:
    """Print the scores of an evaluation. An interval that covers every possible value is printed as a dash."""
    from topwork.scoring.metrics import WORST

    if found.sample:
        print(f"A seeded sample of {found.sample:,} pictures was measured.")
    rates = {"accuracy": found.accuracy, "loss": found.loss, "AUC": found.auc}
    rates |= {f"top-{k}": rate for k, rate in found.top_k.items()}
    rates |= {f"macro {name}": rate for name, rate in found.macro.items()}
    print_table(
        ["", "value", "95 % interval"],
        [(name, *rate_cells(rate, WORST if name == "loss" else 1.0)) for name, rate in rates.items()],
    )
    print()
    if found.members:
        members = []
        for one in found.members:
            name = "/".join(Path(one.run).parts[-2:])  # the last two parts of the path are enough in a table
            short = name if len(name) <= MEMBER else f"…{name[1 - MEMBER :]}"
            members.append((short, *rate_cells(one.accuracy), rate_cells(one.loss)[0]))
        print_table(["member", "accuracy", "95 % interval", "loss"], members)
        print()
    rows = [
        (label, *(rate_cells(rate)[0] for rate in (each.precision, each.recall, each.f1)), str(each.support))
        for label, each in found.classes.items()
    ]
    print_table(["class", "precision", "recall", "F1", "pictures"], rows)
    for path, reason in found.left_out.items():
        print(f"Skipped: {path}: {reason}")
    for note in found.notes:
        print(f"\n{fill(note, 79)}")
