"""The tables, as Markdown that can be pasted into the README beside."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks import deep, extraction, frozen, head, step
from benchmarks.commands import Outcome
from benchmarks.frozen import BY_HAND, CACHED, CONVERTED, FILLED, FIRST, PLAIN, TOPWORK
from benchmarks.machine import measured_on
from benchmarks.stats import Spread, accuracy, difference

Round = dict[str, Outcome]
Measure = Callable[[Round], float]

NOTHING = float("nan")
OTHERS = (("(a)", PLAIN), ("(a')", CACHED), ("(c)", BY_HAND))
TIMES = ("from cold", "seconds", "of which (medians)", "peak MB, largest process", "peak MB, all processes")
ACCURACIES = ("test accuracy", "runs", "value (95 %, Wilson)", "topwork less it (95 %, paired bootstrap)")


def frozen_table(found: frozen.Comparison, command: str) -> str:
    """Times, ratios and accuracies of the frozen phase and of whole commands."""
    plan = found.plan
    about = f"{_about(plan, len(found.data.rows), len(found.data.classes))}, {plan.epochs} epochs"
    rounds = f"rounds of timing: {plan.repeats} (median, min–max)."
    tables = [
        table(TIMES, _times(found.rounds)),
        table(("ratio", "median (min–max)"), _ratios(found.rounds)),
        table(ACCURACIES, _accuracies(found)),
    ]
    return "\n\n".join([f"{measured_on(command)}\n{about}; {rounds}", *tables])


def extraction_table(found: extraction.Measured, command: str) -> str:
    """Extraction against its bound."""
    rounds, plan = found.rounds, found.plan
    rows = [
        ["decoding alone, ms a picture", f"{Spread.of(1000 * r.decode for r in rounds):.2f}"],
        ["engine alone, ms a picture", f"{Spread.of(1000 * r.engine for r in rounds):.2f}"],
        ["topwork, from files to the store, ms a picture", f"{Spread.of(1000 * r.topwork for r in rounds):.2f}"],
        ["topwork, pictures/s", f"{Spread.of(1 / r.topwork for r in rounds):.0f}"],
        ["**share of the bound** 1 / (decoding + engine)", f"**{Spread.of(r.reached for r in rounds):.3f}**"],
    ]
    about = f"{_about(plan, len(found.data.rows), len(found.data.classes))}; rounds: {plan.repeats}."
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(("extraction", "median (min–max)"), rows)])


def deep_table(found: deep.Measured, command: str) -> str:
    """An epoch above an early cut."""
    plan = found.plan
    rows = [
        ["plain script, float32, batch-norm of the opened layers trains", f"{found.plain:.1f}", ""],
        ["topwork, its defaults", f"{found.topwork:.1f}", f"**{found.plain / found.topwork:.1f}**"],
        ["topwork in float32", f"{found.topwork_float32:.1f}", f"{found.plain / found.topwork_float32:.1f}"],
        [
            f"plain script in {found.precision}, batch-norm frozen",
            f"{found.plain_equal:.1f}",
            f"{found.plain_equal / found.topwork:.1f} with topwork's defaults",
        ],
    ]
    about = (
        f"`{plan.backbone}@{plan.frozen}`, {plan.weights} weights, {found.pictures:,} training pictures; "
        f"topwork chose {found.precision} for the part that trains."
    )
    head = ("an epoch, the store filled", "seconds", "plain / topwork")
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(head, rows)])


def step_table(found: Sequence[step.Step], command: str) -> str:
    """Training steps against their bound."""
    rows = []
    for one in found:
        times = [f"{Spread.of(side):.2f}" for side in (one.topwork, one.bound)]
        rows.append([f"`{one.cut}`, {one.size} px", one.precision, *times, f"**{Spread.of(one.shares):.2f}**"])
    head = ("a training step of 32", "precision", "topwork, ms", "one batch in memory, ms", "share of the bound")
    return "\n\n".join([measured_on(command), table(head, rows)])


def head_table(plan: frozen.Plan, found: Sequence[head.Accuracy], command: str) -> str:
    """How a head begins and which epoch is kept."""
    rows = [[one.initial, f"{one.best:.3f}", f"{one.last:.3f}", f"{one.epoch:.1f}"] for one in found]
    runs = plan.seeds * plan.folds
    about = f"`{plan.backbone}@pool`, {plan.weights} weights, linear head, {plan.epochs} epochs; means of {runs} runs."
    columns = ("the last layer starts at", "lowest validation loss", "last epoch", "epoch of the lowest")
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(columns, rows)])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table.

    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def _about(plan: "frozen.Plan | extraction.Plan", count: int, classes: int) -> str:
    pictures = f"pictures of `{plan.data.name}`" if isinstance(plan.data, Path) else "drawn pictures"
    weights = "ImageNet" if plan.weights == "imagenet" else plan.weights
    return f"`{plan.backbone}@pool`, {weights} weights, {count:,} {pictures} in {classes} classes"


def _times(rounds: list[Round]) -> Iterable[list[str]]:
    for side in rounds[0]:
        outcomes = [each[side] for each in rounds]
        names = [name for name in outcomes[0].seconds if name != "total"]
        medians = {name: Spread.of(o.seconds.get(name, NOTHING) for o in outcomes).median for name in names}
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in medians.items())
        memory = [f"{Spread.of(of(side)(each) / 1e6 for each in rounds):.0f}" for of in (_largest, _together)]
        yield [side, f"{Spread.of(map(_whole(side), rounds)):.1f}", parts, *memory]


def _ratios(rounds: list[Round]) -> Iterable[list[str]]:
    def row(name: str, over: Measure, under: Measure) -> list[str]:
        return [name, f"{Spread.of(_over(over(each), under(each)) for each in rounds):.1f}"]

    yield row("**frozen phase**: `fit` of (a) / extraction + head", _fit, _spent("extract", "head"))
    yield row("frozen phase, compilation counted", _fit, _spent("extract", "head", "compile"))
    all_of_it = _spent("extract", "head", "compile", "convert")
    yield row("frozen phase, compilation and the trunk's conversion counted", _fit, all_of_it)
    for name, side in OTHERS:
        for state in (FIRST, CONVERTED, FILLED):
            yield row(f"whole command: {name} / {state}", _whole(side), _whole(state))
    for name, side in OTHERS:
        yield row(f"peak memory, largest process: {name} / {FIRST}", _largest(side), _largest(FIRST))
        yield row(f"peak memory, all processes: {name} / {FIRST}", _together(side), _together(FIRST))


def _fit(each: Round) -> float:
    return each[PLAIN].seconds["fit"]


def _spent(*names: str) -> Measure:
    """Seconds of topwork's very first run."""
    return lambda each: sum(each[FIRST].seconds.get(name, 0.0) for name in names)


def _whole(side: str) -> Measure:
    return lambda each: each[side].whole


def _largest(side: str) -> Measure:
    return lambda each: each[side].largest


def _together(side: str) -> Measure:
    return lambda each: each[side].together or NOTHING


def _over(a: float, b: float) -> float:
    return a / b if b else NOTHING


def _accuracies(found: frozen.Comparison) -> Iterable[list[str]]:
    ours = found.answers[TOPWORK]
    for side in (TOPWORK, PLAIN, CACHED, BY_HAND):
        runs = found.answers[side]
        rate = accuracy(list(runs.values()))
        value = f"{rate['value']:.3f} ({rate['low']:.3f}–{rate['high']:.3f})"
        gain = difference([ours[where] for where in runs], list(runs.values()))
        against = "" if side == TOPWORK else f"{gain['value']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})"
        yield [side, str(len(runs)), value, against]
