"""The tables on the articles, as Markdown: scripts and recipes, recipes and probes, single choices."""

from collections.abc import Iterable, Sequence

from benchmarks import articles, choices, recipes
from benchmarks.machine import measured_on
from benchmarks.report import phase, quotient, table
from benchmarks.stats import accuracy, difference


def articles_table(found: Sequence[articles.Measured], plan: articles.Plan, command: str) -> str:
    """Return tables that compare the articles' scripts with their recipes: times, accuracies, steps per phase."""
    pictures = f"pictures of `{plan.data.name}`" if plan.data else "drawn pictures"
    digits = "MNIST's digits" if plan.mnist else "scikit-learn's digits"
    about = f"{plan.weights} weights; {pictures}, {digits}; one run of each; early stopping off on both sides."
    tables = [
        table(_RUNS, map(_recipe_times, found)),
        table(_SCORES, map(_recipe_scores, found)),
        table(_STEPS, [row for one in found for row in _recipe_steps(one)]),
    ]
    return "\n\n".join([f"{measured_on(command)}\n{about}", *tables])


_RUNS = (
    "recipe",
    "train, epochs",
    "script: `fit`, s",
    "topwork: extraction + training, s",
    "ratio",
    "conversion and compilation counted",
    "script, whole command, s",
    "topwork, whole command, s",
    "ratio",
)
_SCORES = (
    "recipe",
    "test pictures",
    "script (95 %, Wilson)",
    "topwork",
    "topwork less script (95 %, paired bootstrap)",
)
_STEPS = (
    "phase",
    "precision",
    "script, ms a step",
    "topwork, activations stored",
    "above the cut alone, one batch in memory",
    "script / topwork",
    "its bound",
    "share of the bound",
)


def _recipe_times(one: articles.Measured) -> list[str]:
    plain, ours = one.plain.outcome, one.topwork.outcome
    fit, spent = plain.seconds["fit"], phase(ours.seconds)
    counted = spent + sum(ours.seconds.get(name, 0.0) for name in ("convert", "compile"))
    epochs = " + ".join(str(phase.epochs) for phase in one.recipe.phases)
    ratios = [f"{quotient(a, b):.1f}" for a, b in ((fit, spent), (fit, counted), (plain.whole, ours.whole))]
    times = [f"{value:.1f}" for value in (fit, spent, plain.whole, ours.whole)]
    return [f"`{one.name}`", epochs, *times[:2], f"**{ratios[0]}**", ratios[1], *times[2:], ratios[2]]


def _recipe_scores(one: articles.Measured) -> list[str]:
    ours = one.topwork.outcome.answers
    # if there are many test pictures, topwork tests a sample of them
    plain = {picture: one.plain.outcome.answers[picture] for picture in ours}
    gain = difference([ours], [plain])
    values = [f"{r.value:.3f} ({r.low:.3f}–{r.high:.3f})" for r in (accuracy([plain]), accuracy([ours]))]
    against = f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
    return [f"`{one.name}`", str(len(ours)), *values, against]


def _recipe_steps(one: articles.Measured) -> Iterable[list[str]]:
    rows = zip(one.recipe.phases, one.precisions, one.plain.steps, one.topwork.steps, one.bounds, strict=True)
    for one_phase, precision, plain, ours, bound in rows:
        times = [f"{value:.2f}" for value in (plain, ours, bound)]
        ratios = [f"{quotient(plain, ours):.2f}", f"{quotient(plain, bound):.2f}", f"**{quotient(bound, ours):.2f}**"]
        yield [f"`{one.name}`: `{one_phase.cut}`", precision, *times, *ratios]


def choices_table(plan: choices.Plan, found: choices.Measured, command: str) -> str:
    """Return the table that compares each choice of the articles with the first way."""
    rows = []
    for question, ways in found.items():
        first = next(iter(ways.values())).answers
        for way, runs in ways.items():
            rate, gain = accuracy(runs.answers), difference(runs.answers, first)
            against = f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
            value = f"{rate.value:.3f} ({rate.low:.3f}–{rate.high:.3f})"
            highest = f"{sum(runs.highest) / len(runs.highest):.3f}"
            rows.append([question, way, str(len(first)), value, "" if runs.answers is first else against, highest])
    about = f"{plan.weights} weights; the last column is the mean over the runs of the best epoch's."
    head = (
        "choice",
        "way",
        "runs",
        "test accuracy (95 %, Wilson)",
        "it less the first (95 %, paired bootstrap)",
        "highest validation accuracy",
    )
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(head, rows)])


def recipes_table(plan: recipes.Plan, found: dict[str, recipes.Measured], command: str) -> str:
    """Return the table that compares each recipe, with another network, with a probe of its features."""
    rows = []
    for name, one in found.items():
        ours, theirs, gain = accuracy(one.answers), accuracy(one.probed), difference(one.answers, one.probed)
        cuts = ", then ".join(f"`{phase.cut}`" for phase in one.recipe.phases)
        values = [f"{rate.value:.3f} ({rate.low:.3f}–{rate.high:.3f})" for rate in (ours, theirs)]
        against = f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
        rows.append([f"`{name}`", cuts, str(len(one.answers)), *values, against])
    about = (
        f"{plan.weights} weights; the probe is a logistic regression on the features of the first phase, standardised."
    )
    head = (
        "recipe",
        "cuts",
        "runs",
        "test accuracy (95 %, Wilson)",
        "linear probe",
        "it less the probe (95 %, paired bootstrap)",
    )
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(head, rows)])
