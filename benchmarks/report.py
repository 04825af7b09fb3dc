"""The result tables, as Markdown that can be pasted into the README in this folder."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks import (
    added,
    crossval,
    deep,
    default,
    extraction,
    frozen,
    fusion,
    head,
    memory,
    reading,
    solver,
    step,
    views,
)
from benchmarks.commands import Outcome
from benchmarks.frozen import BY_HAND, CACHED, CONVERTED, FILLED, FIRST, IMPORT, ITERATED, PLAIN, TOPWORK
from benchmarks.machine import measured_on
from benchmarks.process import Finished
from benchmarks.stats import Spread, accuracy, difference
from topwork.runs.scores import Rate

Round = dict[str, Outcome]
Measure = Callable[[Round], float]

NOTHING = float("nan")
OTHERS = (("(a)", PLAIN), ("(a')", CACHED), ("(c)", BY_HAND))
TIMES = ("from cold", "seconds", "of which (medians)", "peak MB, largest process", "peak MB, all processes")
ACCURACIES = ("test accuracy", "runs", "value (95 %, Wilson)", "topwork less it (95 %, paired bootstrap)")


def frozen_table(found: frozen.Comparison, command: str) -> str:
    """Return the tables on a frozen backbone: times, ratios and accuracies, of the frozen phase and of commands."""
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
    """Return the table that compares extraction with its bound."""
    rounds, plan = found.rounds, found.plan
    bound = "1 / the slower of both" if rounds[0].overlap else "1 / (decoding + engine)"
    rows = [
        ["decoding alone, ms a picture", f"{Spread.of(1000 * r.decode for r in rounds):.2f}"],
        ["engine alone, ms a picture", f"{Spread.of(1000 * r.engine for r in rounds):.2f}"],
        ["topwork, from files to the store, ms a picture", f"{Spread.of(1000 * r.topwork for r in rounds):.2f}"],
        ["topwork, pictures/s", f"{Spread.of(1 / r.topwork for r in rounds):.0f}"],
        [f"**share of the bound** {bound}", f"**{Spread.of(r.reached for r in rounds):.3f}**"],
    ]
    about = f"{_about(plan, len(found.data.rows), len(found.data.classes))}; rounds: {plan.repeats}."
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(("extraction", "median (min–max)"), rows)])


def deep_table(found: deep.Measured, command: str) -> str:
    """Return the table on an epoch above an early cut."""
    plan = found.plan
    rows = [
        ["plain script, float32, batch-norm of the opened layers trains", _seconds(found.plain), ""],
        ["topwork, its defaults", _seconds(found.topwork), f"**{_ratio(found.plain, found.topwork)}**"],
        ["topwork in float32", _seconds(found.topwork_float32), _ratio(found.plain, found.topwork_float32)],
        [
            f"plain script in {found.precision}, batch-norm frozen, oneDNN as topwork has it",
            _seconds(found.plain_equal),
            f"{_ratio(found.plain_equal, found.topwork)} with topwork's defaults",
        ],
    ]
    about = (
        f"`{plan.backbone}@{plan.frozen}`, {plan.weights} weights, {found.pictures:,} training pictures; "
        f"topwork chose {found.precision} for the part that trains; rounds: {plan.rounds} (median, min–max)."
    )
    head = ("an epoch, the store filled", "seconds", "plain / topwork")
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(head, rows)])


def _seconds(values: Sequence[float]) -> str:
    return f"{Spread.of(values):.1f}"


def _ratio(plain: Sequence[float], ours: Sequence[float]) -> str:
    """Return the spread of the ratio of *plain* to *ours*, which is computed in each round."""
    return f"{Spread.of(a / b for a, b in zip(plain, ours, strict=True)):.1f}"


def step_table(found: Sequence[step.Step], command: str) -> str:
    """Return the tables that compare training steps with their bound, and show where the time of an epoch goes."""
    rows = []
    for one in found:
        times = [f"{Spread.of(side):.2f}" for side in (one.topwork, one.bound)]
        rows.append([f"`{one.cut}`, {one.size} px", one.precision, *times, f"**{Spread.of(one.shares):.2f}**"])
    head = ("a training step of 32", "precision", "topwork, ms", "one batch in memory, ms", "share of the bound")
    epochs = table(("an epoch", "ms", "of which steps", "scoring"), map(_epoch, found))
    return "\n\n".join([measured_on(command), table(head, rows), epochs])


def _epoch(one: step.Step) -> list[str]:
    """Return a row that shows where the time of an epoch goes.

    It does not contain the checkpoints, which are written after the epoch and take at most 5 %.
    """
    steps = [one.steps * each for each in one.topwork]
    rest = [whole - part for whole, part in zip(one.epoch, steps)]
    times = [f"{Spread.of(values):.0f}" for values in (one.epoch, steps, rest)]
    return [f"`{one.cut}`, {one.size} px, {one.steps} steps", *times]


def solver_table(plan: solver.Plan, found: Sequence[solver.Measured], command: str) -> str:
    """Return the table on the solver alone."""
    rows = []
    for one in found:
        size = " x ".join(f"{number:,}" for number in one.shape)
        theirs = [f"{Spread.of(one.theirs):.2f}", f"{one.their_accuracy:.3f}"] if one.theirs else ["", ""]
        rows.append([size, str(one.strengths), f"**{Spread.of(one.ours):.2f}**", f"{one.accuracy:.3f}", *theirs])
    head = ("rows x features x classes", "strengths", "the path, s", "accuracy", "scikit-learn, s", "its accuracy")
    return "\n\n".join([f"{measured_on(command)}\nrounds: {plan.repeats} (median, min–max).", table(head, rows)])


def views_table(plan: views.Plan, found: views.Measured, command: str) -> str:
    """Return the table on augmentation, with stored and with live views."""
    plain = found[views.PLAIN]
    rows = []
    for side, outcomes in found.items():
        spent = [phase(outcome.seconds) for outcome in outcomes]
        ratios = Spread.of(phase(a.seconds) / b for a, b in zip(plain, spent))
        rate = accuracy([outcome.answers for outcome in outcomes])
        gain = difference([o.answers for o in outcomes], [o.answers for o in plain])
        against = f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})" if side != views.PLAIN else ""
        value = f"{rate.value:.3f} ({rate.low:.3f}–{rate.high:.3f})"
        rows.append([side, f"{Spread.of(spent):.1f}", f"{ratios:.1f}" if against else "", value, against])
    about = f"`{plan.backbone}@pool`, {plan.weights} weights, {plan.epochs} epochs, runs: {plan.seeds * plan.folds}."
    head = (
        "a phase: `fit`, or extraction and head",
        "seconds, median (min–max)",
        "plain / it",
        "test accuracy (95 %, Wilson)",
        "it less plain (95 %, paired bootstrap)",
    )
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(head, rows)])


def phase(seconds: dict[str, float]) -> float:
    """Return the seconds of the frozen phase: ``fit`` in a script, extraction and head in topwork."""
    return seconds.get("fit", 0.0) + seconds.get("extract", 0.0) + seconds.get("head", 0.0)


def crossval_table(plan: crossval.Plan, found: crossval.Measured, command: str) -> str:
    """Return the table on cross-validation, for all folds together."""
    ours = found.spent["extract"] + found.spent["head"]
    compiled = ours + found.spent["compile"]
    rows = [
        [f"plain script, {plan.folds} times: `fit`", f"{found.fit:.1f}", ""],
        [
            f"topwork --folds {plan.folds}: extraction and {plan.folds} heads",
            f"{ours:.1f}",
            f"**{found.fit / ours:.1f}**",
        ],
        ["the same with compilation", f"{compiled:.1f}", f"{found.fit / compiled:.1f}"],
        [f"plain script, {plan.folds} times: whole commands from cold", f"{found.plain:.1f}", ""],
        [
            f"topwork --folds {plan.folds}: the command from cold",
            f"{found.whole:.1f}",
            f"{found.plain / found.whole:.1f}",
        ],
    ]
    about = f"`{plan.backbone}@pool`, {plan.weights} weights, {plan.epochs} epochs a fold."
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(("", "seconds", "plain / topwork"), rows)])


def added_table(plan: added.Plan, found: added.Measured, command: str) -> str:
    """Return the table on adding pictures and a class to a run."""
    ways = {
        added.FROM: "topwork train --from RUN",
        added.AGAIN: "topwork train again, the first pictures in the store",
        added.EMPTY: "topwork train again, nothing in the store",
        added.PLAIN: f"plain script, {plan.epochs} epochs again",
    }
    plain = found.seconds[added.PLAIN]
    rows = []
    for way, name in ways.items():
        seconds, right = found.seconds[way], found.accuracy.get(way)
        rows.append([name, f"{seconds:.1f}", f"{plain / seconds:.1f}", "" if right is None else f"{right:.3f}"])
    about = f"`{plan.backbone}@pool`, {plan.weights} weights; {found.before:,} pictures became {found.after:,}."
    head = ("", "seconds", "plain / this", "test accuracy")
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(head, rows)])


def fusion_table(plan: fusion.Plan, found: fusion.Measured, command: str) -> str:
    """Return the table on two backbones under one head."""
    both = found.answers[plan.sum]
    rows = []
    for cut, runs in found.answers.items():
        rate, gain = accuracy(runs), difference(both, runs)
        against = f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})" if cut != plan.sum else ""
        rows.append([f"`{cut}`", str(len(runs)), f"{rate.value:.3f} ({rate.low:.3f}–{rate.high:.3f})", against])
    about = f"{plan.weights} weights; seconds that a trunk ran for the sums: {found.extracted:.1f}."
    head = ("cut", "runs", "test accuracy (95 %, Wilson)", "the sum less it (95 %, paired bootstrap)")
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(head, rows)])


def memory_table(plan: memory.Plan, found: dict[int, Finished], command: str) -> str:
    """Return the table on peak memory, and how it grows with the number of pictures."""
    few, many = found.values()
    rows = []
    for name in ("largest", "together", "anonymous"):
        a, b = (getattr(one, name) or NOTHING for one in (few, many))
        rows.append([_PEAKS[name], f"{a / 1e6:.0f}", f"{b / 1e6:.0f}", f"{100 * (b / a - 1):+.0f} %"])
    head = ("peak MB", *(f"{count:,} pictures" for count in found), "growth")
    about = f"`topwork train` at `{plan.backbone}@pool`, {plan.weights} weights, from cold, {plan.epochs} epochs."
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(head, rows)])


_PEAKS = {
    "largest": "largest process, all its pages",
    "together": "all processes, all their pages",
    "anonymous": "all processes, without pages of files (the store's among them)",
}


def reading_table(plan: reading.Plan, found: reading.Measured, command: str) -> str:
    """Return the table that compares reading with near-copies with the hashing of bytes."""
    hashing = found[reading.HASHED]
    rows = []
    for name, seconds in found.items():
        more = Spread.of([a - b for a, b in zip(seconds, hashing)])
        rows.append([name, f"{Spread.of(seconds):.1f}", "" if name == reading.HASHED else f"{more:.1f}"])
    about = (
        f"{plan.pictures:,} drawn photos, {plan.copies:,} of them saved again; {plan.rounds} rounds (median, min–max)."
    )
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(("from cold", "seconds", "more than hashing"), rows)])


def head_table(plan: frozen.Plan, found: Sequence[head.Accuracy], command: str) -> str:
    """Return the table on the initial values of a head and the choice of the epoch."""
    rows = [[one.initial, f"{one.best:.3f}", f"{one.last:.3f}", f"{one.epoch:.1f}"] for one in found]
    runs = plan.seeds * plan.folds
    about = f"`{plan.backbone}@pool`, {plan.weights} weights, linear head, {plan.epochs} epochs; means of {runs} runs."
    columns = ("the last layer starts at", "lowest validation loss", "last epoch", "epoch of the lowest")
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(columns, rows)])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table.

    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def default_table(plan: default.Plan, found: dict[str, default.Measured], command: str) -> str:
    """Return the table that compares the default network with a smaller one: probe, command, and their differences."""

    def told(rate: Rate, form: str = ".3f") -> str:
        return f"{rate.value:{form}} ({rate.low:{form}} to {rate.high:{form}})"

    ours, other = (found[name] for name in default.NETWORKS)
    rows = [
        [
            f"`{name}@pool`",
            *(told(accuracy(runs)) for runs in (one.probed, one.answers)),
            told(difference(one.answers, one.probed), "+.3f"),
        ]
        for name, one in found.items()
    ]
    gains = (difference(ours.probed, other.probed), difference(ours.answers, other.answers))
    rows.append([f"`{default.NETWORKS[0]}` less `{default.NETWORKS[1]}`", *(told(gain, "+.3f") for gain in gains), ""])
    about = (
        f"{plan.weights} weights, {plan.seeds} seeds of {plan.folds} folds; the probe of `topwork choose`, and "
        "`topwork train DATA --cut CUT`, which is the default command where CUT is `efficientnet_lite0@pool`."
    )
    head = (
        "network",
        "linear probe (95 %, Wilson)",
        "the command (95 %, Wilson)",
        "command less probe (95 %, paired bootstrap)",
    )
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(head, rows)])


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
    def row(name: str, over: Measure, under: Measure, digits: int = 1) -> list[str]:
        return [name, f"{Spread.of(quotient(over(each), under(each)) for each in rounds):.{digits}f}"]

    yield row("**frozen phase**: `fit` of (a) / extraction + head", _fit, _spent("extract", "head"))
    yield row("frozen phase, compilation counted", _fit, _spent("extract", "head", "compile"))
    all_of_it = _spent("extract", "head", "compile", "convert")
    yield row("frozen phase, compilation and the trunk's conversion counted", _fit, all_of_it)
    for name, side in OTHERS:
        for state in (FIRST, CONVERTED, FILLED, ITERATED):
            yield row(f"whole command: {name} / {state}", _whole(side), _whole(state))
    for name, side in OTHERS:
        yield row(f"peak memory, largest process: {name} / {FIRST}", _largest(side), _largest(FIRST))
        yield row(f"peak memory, all processes: {name} / {FIRST}", _together(side), _together(FIRST))
    yield row(f"whole command: {FILLED} / {IMPORT}", _whole(FILLED), _whole(IMPORT), digits=2)


def _fit(each: Round) -> float:
    return each[PLAIN].seconds["fit"]


def _spent(*names: str) -> Measure:
    """Return a function of a round: the sum of the seconds that topwork's very first run spent on the parts *names*."""
    return lambda each: sum(each[FIRST].seconds.get(name, 0.0) for name in names)


def _whole(side: str) -> Measure:
    return lambda each: each[side].whole


def _largest(side: str) -> Measure:
    return lambda each: each[side].largest


def _together(side: str) -> Measure:
    return lambda each: each[side].together or NOTHING


def quotient(a: float, b: float) -> float:
    return a / b if b else NOTHING


def _accuracies(found: frozen.Comparison) -> Iterable[list[str]]:
    ours = found.answers[TOPWORK]
    for side in (TOPWORK, ITERATED, PLAIN, CACHED, BY_HAND):
        runs = found.answers[side]
        rate = accuracy(list(runs.values()))
        value = f"{rate.value:.3f} ({rate.low:.3f}–{rate.high:.3f})"
        gain = difference([ours[where] for where in runs], list(runs.values()))
        against = "" if side == TOPWORK else f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
        yield [side, str(len(runs)), value, against]
