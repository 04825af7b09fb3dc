"""The result tables of the benchmarks of the audit, as Markdown."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks import audited, planted, reported
from benchmarks.machine import measured_on
from benchmarks.process import Finished
from benchmarks.report import table
from benchmarks.stats import Spread


def audited_table(plan: audited.Plan, found: Mapping[str, Sequence[Finished]], command: str) -> str:
    """Return the table of the time and memory of an audit."""
    rows = []
    for name, each in found.items():
        memory = max(one.anonymous or one.largest for one in each)
        rows.append([name, f"{Spread.of([one.seconds for one in each]):.1f}", f"{memory / 1e9:.2f}"])
    about = f"{plan.pictures:,} drawn photos of about 0.3 megapixels; medians, min–max."
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(("from cold", "seconds", "memory, GB"), rows)])


def reported_table(plan: reported.Plan, found: Mapping[str, Sequence[Finished]], size: int, command: str) -> str:
    """Return the table of the time of a report, and a sentence on the size of its page."""
    rows = [[name, f"{Spread.of([one.seconds for one in each]):.1f}"] for name, each in found.items()]
    what = f"the photos of {plan.data.name}" if plan.data else f"{plan.pictures:,} drawn photos"
    about = f"A run on {what}; medians, min–max."
    tail = f"The page has {size / 1e6:.2f} MB."
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(("from cold", "seconds"), rows), tail])


def planted_table(
    plan: planted.Plan, found: Sequence[planted.Found], darker: Mapping[str, bool], before: Sequence[str], command: str
) -> str:
    """Return the table of the planted faults that an audit finds, and sentences on shortcuts."""
    names = {"copies": "copies", "crops": "crops", "false": "errors that are not planted"}
    names |= {"wrong": f"wrong labels among the first {planted.FIRST} suspects", "digits": "digits among the outliers"}
    rows = []
    for name, shown in names.items():
        each = [value for one in found if (value := getattr(one, name)) is not None]
        if each:
            rows.append([shown, " ".join(map(str, each)), f"{np.mean(each):.1f}"])
    about = f"{planted.EACH} of each planted in {plan.data.name}, {plan.seeds} draws."
    dark = f"A class made darker by a fifth is named in {sum(darker.values())} of {len(darker)} classes."
    usual = f"Named in the photos as they are: {'; '.join(before) or 'none'}."
    heads = ("found", "in each draw", "mean")
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(heads, rows), f"{dark} {usual}"])
