"""The charts of the report: calibration, answers that are left out, the learning curve, and the training."""

from markupsafe import Markup

from topwork.runs.journal import Epoch
from topwork.scoring.report.drawings import Axis, Line, chart, ticks
from topwork.scoring.report.summary import Summary

SHARE = Axis("accuracy", 0, 1, [0, 0.25, 0.5, 0.75, 1])


def charts(summary: Summary) -> dict[str, Markup]:
    """Return the charts by name; those without values are left out."""
    found = {}
    if summary.calibration:
        found["calibration"] = _calibration(summary)
        found["coverage"] = _coverage(summary)
    if summary.curve:
        found["curve"] = _curve(summary)
    for number in sorted({one.phase for one in summary.epochs}):
        lines = [one for one in summary.epochs if one.phase == number]
        if drawn := _phase(number, lines):
            found[f"phase {number}"] = drawn
    return found


def _calibration(summary: Summary) -> Markup:
    bins = summary.calibration
    guide = Line("", [(0, 0), (1, 1)], kind="guide", dots=False)
    band = [(one.probability, one.accuracy.low, one.accuracy.high) for one in bins]
    line = Line("", [(one.probability, one.accuracy.value) for one in bins], band)
    title = f"Accuracy by probability; the mean difference is {summary.calibration_error:.3f}."
    return chart(title, Axis("probability of the answer", 0, 1, [0, 0.25, 0.5, 0.75, 1]), SHARE, [guide, line])


def _coverage(summary: Summary) -> Markup:
    points = summary.coverage
    low = min(one.accuracy.low for one in points)
    band = [(100 * one.share, one.accuracy.low, one.accuracy.high) for one in points]
    line = Line("", [(100 * one.share, one.accuracy.value) for one in points], band)
    y = Axis("accuracy", low, 1, ticks(low, 1))
    whole, half = points[0].accuracy.value, points[-1].accuracy.value
    title = f"Accuracy by the share answered: {whole:.3f} of all, {half:.3f} of half."
    return chart(title, Axis("answered, surest first (%)", 50, 100, [50, 60, 70, 80, 90, 100]), y, [line])


def _curve(summary: Summary) -> Markup:
    assert summary.curve
    shares = summary.curve["shares"]
    pictures = [one["pictures"] for one in shares]
    rates = [one["accuracy"] for one in shares]
    low = min(rate["low"] for rate in rates)
    high = max(rate["high"] for rate in rates)
    band = [(count, rate["low"], rate["high"]) for count, rate in zip(pictures, rates)]
    line = Line("", [(count, rate["value"]) for count, rate in zip(pictures, rates)], band)
    x = Axis("training pictures", pictures[0], pictures[-1], pictures, "{:,}", log=True)
    return chart(summary.curve["text"], x, Axis("accuracy", low, high, ticks(low, high)), [line])


def _phase(number: int, lines: list[Epoch]) -> Markup | None:
    """Return the losses of a phase, by epoch or, if its head was solved, by the strength of the L2 term."""
    is_solved = any(one.l2 is not None for one in lines)
    if is_solved:
        lines = sorted((one for one in lines if one.l2 is not None), key=lambda one: one.l2 or 0)
    values = {
        "validation": [(_x(one, is_solved), one.val_loss) for one in lines],
        "training": [(_x(one, is_solved), one.train_loss) for one in lines],
        "folds": [(_x(one, is_solved), one.fold_loss) for one in lines],
    }
    drawn = {name: [(x, y) for x, y in some if y is not None and y == y] for name, some in values.items()}
    kinds = {"validation": "one", "training": "two", "folds": "three"}
    series = [Line(name, some, kind=kinds[name]) for name, some in drawn.items() if len(some) > 1]
    if not series:
        return None
    xs, ys = zip(*(point for line in series for point in line.points))
    what = "strength of the L2 term" if is_solved else "epoch"
    x = Axis(what, min(xs), max(xs), [min(xs), max(xs)], "{:.2g}", log=is_solved)
    low, high = min(ys), max(ys)
    return chart(f"Losses of phase {number} by {what}.", x, Axis("loss (nats)", low, high, ticks(low, high)), series)


def _x(one: Epoch, is_solved: bool) -> float:
    return (one.l2 or 0.0) if is_solved else float(one.epoch)
