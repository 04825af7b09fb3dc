"""``topwork compare``."""

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from topwork.commands.options import AsJson, RunPath
from topwork.commands.output import print_json, print_table
from topwork.system.messages import counted

if TYPE_CHECKING:
    from topwork.scoring.compare import Comparison, Score


def compare(
    first: RunPath,
    second: Annotated[Path, typer.Argument(metavar="RUN", help="The run to compare the first run with.")],
    as_json: AsJson = False,
) -> None:
    """Test whether one run is better than another.

    Paired tests compare the two runs on the test pictures that they share. A RUN can also be a folder that 'topwork
    train --folds' made. Such a folder stands for all of its runs.
    """
    from topwork.scoring.compare import compare as compared

    found = compared(first, second)
    if as_json:
        print_json(found.as_json())
        return

    print(f"first   {found.first}\nsecond  {found.second}\n")
    print(f"{counted(found.pictures, 'test picture')} in common\n")
    rows = [_compared("accuracy", found, "accuracy"), _compared("loss", found, "loss"), _compared("AUC", found, "auc")]
    print_table(["", "first", "second", "second - first", "95 % interval"], rows)
    counts = {name: f"{count:,}" for name, count in found.counts.items()}
    print()
    print_table(
        ["test pictures", "second right", "second wrong"],
        [
            ("first right", counts["both"], counts["only_first"]),
            ("first wrong", counts["only_second"], counts["neither"]),
        ],
    )
    print()
    for sentence in found.text:
        print(fill(sentence, 79, subsequent_indent="  "))


def _compared(name: str, found: "Comparison", key: "Score") -> tuple[str, ...]:
    """Return one row of the table: name, first, second, difference, interval.

    The interval is shown as a dash if it is too wide to say anything: it covers every possible difference of accuracy
    or loss, or at least -0.5 to 0.5 for AUC.
    """
    from topwork.scoring.metrics import WORST

    rate = found.differences[key]
    if rate is None:
        return name, "-", "-", "-", ""
    value, low, high = (f"{number + 0.0:+.3f}" for number in (rate.value, rate.low, rate.high))
    half = {"accuracy": 1.0, "loss": WORST, "auc": 0.5}[key]
    interval = "-" if rate.low <= -half and rate.high >= half else f"{low} to {high}"
    return name, *(f"{scores[key]:.3f}" for scores in found.scores.values()), value, interval
