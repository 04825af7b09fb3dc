"""The result tables of the benchmarks of exported files and pages, as Markdown."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import page
from benchmarks.exported import Measured, Plan
from benchmarks.machine import measured_on
from benchmarks.process import Finished
from benchmarks.report import table
from benchmarks.stats import Spread
from topwork.shipping.formats.known import named

FILES = ("file", "size, MB", "ms a picture", "same answer", "largest difference", "`check`, s", "its runtime, s")


def exported_table(plan: Plan, found: Measured, command: str) -> str:
    """Return the tables of the files, and of the time and memory of an export."""
    what = f"the photos of {plan.data.name}" if plan.data else f"{plan.pictures:,} drawn photos"
    about = f"`{plan.cut}`, {plan.weights} weights, on {what}; from cold, {plan.rounds} rounds, medians, min–max."
    ratios = Spread.of(b.seconds / a.seconds for a, b in zip(found.predictions, found.imports["keras"]))
    asked = (
        f"`topwork predict model.onnx PICTURE`: {_seconds(found.predictions)} s, {ratios:.1f} times faster than "
        f"`import keras` in the same round ({_seconds(found.imports['keras'])} s)."
    )
    heads = ("export to ONNX", "topwork, with its checks: s", "GB", "plain script, without: s", "GB")
    rows = [[f"`{name}`", *_spent(ours), *_spent(theirs)] for name, (ours, theirs) in found.exports.items()]
    return "\n\n".join([f"{measured_on(command)}\n{about}", _files(found), asked, table(heads, rows)])


def page_table(plan: page.Plan, found: Sequence[page.Measured], command: str) -> str:
    """Return the table of the pages."""
    what = f"photos of {plan.data.name}" if plan.data else "drawn photos"
    about = f"{plan.weights} weights, {plan.rounds} rounds in Chromium, {found[0].asked} {what}; medians, min–max."
    heads = ("page", "size, MB", "export, s", "first answer, s", "ms a further picture", "same class", "difference")
    rows = []
    for one in found:
        first, further = Spread.of(one.first), Spread.of(1000 * each for each in one.further)
        spent = f"{one.export.seconds:.1f}", f"{first:.2f}", f"{further:.0f}"
        rows.append(
            [f"`{one.cut}`", f"{one.size / 1e6:.1f}", *spent, f"{one.same} of {one.asked}", f"{one.difference:.1e}"]
        )
    return f"{measured_on(command)}\n{about}\n\n{table(heads, rows)}"


def _files(found: Measured) -> str:
    rows = []
    for one in found.made:
        name = f"`{Path(one['path']).name}`"
        if not one["parity"]:
            rows.append([name, f"not written: {one['problem']}", *[""] * (len(FILES) - 2)])
            continue
        parity = one["parity"]
        answers = f"{100 * parity['agreement']:.1f} %", f"{parity['largest_difference']:.1e}"
        cold = _seconds(found.checks[one["path"]]), _seconds(found.imports[named(one["kind"]).reads[0]])
        rows.append([name, f"{one['size'] / 1e6:.2f}", f"{1000 * one['seconds']:.1f}", *answers, *cold])
    return table(FILES, rows)


def _seconds(each: list[Finished]) -> str:
    return f"{Spread.of(one.seconds for one in each):.2f}"


def _spent(each: list[Finished]) -> tuple[str, str]:
    return f"{Spread.of(one.seconds for one in each):.1f}", f"{max(one.largest for one in each) / 1e9:.2f}"
