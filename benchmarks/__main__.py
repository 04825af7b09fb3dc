"""Compare topwork with plain Keras scripts. Without a name, the two main benchmarks run, on few pictures."""

import os
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import (
    added,
    article_tables,
    articles,
    audit_tables,
    audited,
    calibrated,
    choices,
    crossval,
    deep,
    default,
    export_tables,
    exported,
    extraction,
    frozen,
    fusion,
    head,
    kept,
    memory,
    page,
    planted,
    predicted,
    reading,
    recipes,
    report,
    reported,
    search,
    search_tables,
    served,
    solved,
    solver,
    step,
    strangers,
    views,
)

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

Data = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="A folder with one folder per class; by default, drawings."),
]
Mnist = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="A folder of MNIST's idx files, measured as well."),
]
Weights = Annotated[str, typer.Option(help='"imagenet" (Keras finds or downloads them) or "random".')]
Size = Annotated[
    int | None, typer.Option(min=1, help="Side of the pictures in pixels; by default, the backbone's size.")
]
Pictures = Annotated[int, typer.Option(min=50, help="Number of pictures to draw.")]
Quick = Annotated[bool, typer.Option("--quick", help="Measure very few pictures, to see that it works.")]


@app.callback(invoke_without_command=True, help=__doc__)
def everything(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        _frozen(frozen.Plan(pictures=500, seeds=1, plain_folds=1, repeats=1))
        _extraction(extraction.Plan(repeats=3))


@app.command("frozen")
def frozen_command(
    data: Data = None,
    weights: Weights = "random",
    backbone: str = "mobilenet_v2_035",
    size: Size = None,
    pictures: Pictures = 2000,
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    folds: Annotated[int, typer.Option(min=2)] = 5,
    plain_folds: Annotated[
        int | None, typer.Option(help="Number of folds per seed that the plain script runs; by default, all.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="How often each command is timed.")] = 3,
    quick: Quick = False,
) -> None:
    """Compare `topwork train` with Keras scripts.

    It measures the time from cold, the memory and the accuracy.
    """
    plan = frozen.Plan(data, weights, backbone, size, pictures, seeds, folds, plain_folds, repeats)
    _frozen(plan.quick() if quick else plan)


@app.command("extraction")
def extraction_command(
    data: Data = None,
    weights: Weights = "random",
    backbone: str = "efficientnet_b0",
    size: Size = None,
    pictures: Pictures = 1000,
    repeats: Annotated[int, typer.Option(min=1)] = 5,
    runtime: Annotated[str, typer.Option(help='What runs the trunk: "openvino" or "keras".')] = "openvino",
    quick: Quick = False,
) -> None:
    """Compare extraction from JPEG files with its bound.

    On a CPU, the bound is the time of the decoder plus that of the engine; on a GPU, the longer of the two.
    """
    plan = extraction.Plan(data, weights, backbone, size, pictures, repeats, runtime)
    _extraction(plan.quick() if quick else plan)


@app.command("deep")
def deep_command(
    backbone: str = "inception_v3",
    frozen: Annotated[int, typer.Option(help="Number of frozen layers.")] = 249,
    size: Size = None,
    pictures: Pictures = 2000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each side is timed; they take turns.")] = 1,
    quick: Quick = False,
) -> None:
    """Compare an epoch of fine-tuning with the plain script's.

    `topwork train` runs with the store filled.
    """
    plan = deep.Plan(backbone, frozen, size, pictures, rounds=rounds)
    with _scratch() as scratch:
        found = deep.measure(plan.quick() if quick else plan, scratch)
        print(report.deep_table(found, _command()), flush=True)


@app.command("step")
def step_command(
    cuts: Annotated[
        list[str] | None, typer.Argument(metavar="[CUT...]", help="Which cuts to measure; by default, all.")
    ] = None,
    precision: Annotated[str, typer.Option(help="Precision of the layers that are trained.")] = "auto",
    rounds: Annotated[int | None, typer.Option(min=1, help="How often each cut is timed; the default varies.")] = None,
    quick: Quick = False,
) -> None:
    """Compare training steps from the store and from memory.

    The step in memory trains the same layers on one batch.
    """
    _refuse_unknown(cuts or [], [cut for cut, *_ in step.CUTS])
    plan = step.Plan(tuple(one for one in step.CUTS if not cuts or one[0] in cuts), precision, rounds)
    with _scratch() as scratch:
        found = step.measure(plan.quick() if quick else plan, scratch)
        print(report.step_table(found, _command()), flush=True)


@app.command("views")
def views_command(
    data: Data = None,
    weights: Weights = "random",
    size: Size = None,
    pictures: Pictures = 500,
    seeds: Annotated[int, typer.Option(min=1)] = 1,
    folds: Annotated[int, typer.Option(min=2)] = 5,
    quick: Quick = False,
) -> None:
    """Compare stored and live views with Keras' augmentation layers."""
    plan = views.Plan(data, weights, size=size, pictures=pictures, seeds=seeds, folds=folds)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(report.views_table(plan, views.measure(plan, scratch), _command()), flush=True)


@app.command("crossval")
def crossval_command(
    data: Data = None, weights: Weights = "random", size: Size = None, pictures: Pictures = 2000, quick: Quick = False
) -> None:
    """Compare five folds with five runs of the plain script."""
    plan = crossval.Plan(data, weights, size=size, pictures=pictures)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(report.crossval_table(plan, crossval.measure(plan, scratch), _command()), flush=True)


@app.command("added")
def added_command(
    data: Data = None,
    weights: Weights = "random",
    size: Size = None,
    pictures: Pictures = 500,
    rounds: Annotated[int, typer.Option(min=1, help="How often each command is timed.")] = 3,
    quick: Quick = False,
) -> None:
    """Time what adding pictures and a class costs.

    A run goes on by --from, is trained again, or by the plain script.
    """
    plan = added.Plan(data, weights, size=size, pictures=pictures, rounds=rounds)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(report.added_table(plan, added.measure(plan, scratch), _command()), flush=True)


@app.command("fusion")
def fusion_command(
    data: Data = None, weights: Weights = "random", size: Size = None, pictures: Pictures = 500, quick: Quick = False
) -> None:
    """Compare two backbones under one head with each alone."""
    plan = fusion.Plan(data, weights, size=size, pictures=pictures)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(report.fusion_table(plan, fusion.measure(plan, scratch), _command()), flush=True)


@app.command("memory")
def memory_command(quick: Quick = False) -> None:
    """Measure the peak memory for 5,000 and for 20,000 pictures."""
    plan = memory.Plan().quick() if quick else memory.Plan()
    with _scratch() as scratch:
        print(report.memory_table(plan, memory.measure(plan, scratch), _command()), flush=True)


@app.command("audited")
def audited_command(
    pictures: Annotated[int, typer.Option(min=60, help="Number of pictures to draw.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    quick: Quick = False,
) -> None:
    """Measure the time and memory of `topwork audit` on many pictures."""
    plan = audited.Plan(pictures, rounds)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(audit_tables.audited_table(plan, audited.measure(plan, scratch), _command()), flush=True)


@app.command("planted")
def planted_command(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="A folder with one folder per class.")],
    mnist: Mnist = None,
    seeds: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Count the planted faults of the data that `topwork audit` finds."""
    plan = planted.Plan(data, mnist, seeds)
    with _scratch() as scratch:
        print(audit_tables.planted_table(plan, *planted.measure(plan, scratch), _command()), flush=True)


@app.command("reported")
def reported_command(
    data: Data = None,
    pictures: Annotated[int, typer.Option(min=60, help="Number of pictures to draw.")] = 20_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    quick: Quick = False,
) -> None:
    """Measure the time of `topwork report`, and the size of its page."""
    plan = reported.Plan(data, pictures, rounds)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(audit_tables.reported_table(plan, *reported.measure(plan, scratch), _command()), flush=True)


@app.command("exported")
def exported_command(
    data: Data = None,
    weights: Weights = "random",
    cut: str = "efficientnet_lite0@pool",
    pictures: Pictures = 500,
    rounds: Annotated[int, typer.Option(min=1, help="How often each command is timed.")] = 5,
    quick: Quick = False,
) -> None:
    """Measure the files of all formats: size, speed, answers, `topwork check`; and the time and memory of an export."""
    plan = exported.Plan(data, pictures, cut, weights, rounds=rounds)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(export_tables.exported_table(plan, exported.measure(plan, scratch), _command()), flush=True)


@app.command("page")
def page_command(
    data: Data = None,
    weights: Weights = "random",
    runtime: Annotated[
        Path | None, typer.Option(file_okay=False, help="A folder with the npm package onnxruntime-web.")
    ] = None,
    pictures: Pictures = 500,
    rounds: Annotated[int, typer.Option(min=1, help="How often each page is opened.")] = 5,
    quick: Quick = False,
) -> None:
    """Measure pages in Chromium: size, the time to the first answer, and how the answers agree with predict's."""
    plan = page.Plan(data, pictures, weights=weights, runtime=runtime, rounds=rounds)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(export_tables.page_table(plan, page.measure(plan, scratch), _command()), flush=True)


@app.command("calibrated")
def calibrated_command(
    data: Data = None,
    weights: Weights = "random",
    pictures: Pictures = 500,
    folds: Annotated[int, typer.Option(min=2)] = 5,
    quick: Quick = False,
) -> None:
    """Measure the calibration of probabilities in a cross-validation, with and without the temperature."""
    plan = calibrated.Plan(data, pictures, weights=weights, folds=folds)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(calibrated.calibrated_table(plan, calibrated.measure(plan, scratch), _command()), flush=True)


@app.command("predicted")
def predicted_command(
    data: Data = None,
    weights: Weights = "random",
    pictures: Pictures = 500,
    rounds: Annotated[int, typer.Option(min=1)] = 9,
    quick: Quick = False,
) -> None:
    """Measure what the distance and heat maps cost, and a folder of pictures against its bound."""
    plan = predicted.Plan(data, pictures, weights=weights, rounds=rounds)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(predicted.predicted_table(plan, predicted.measure(plan, scratch), _command()), flush=True)


@app.command("strangers")
def strangers_command(
    data: Data = None,
    other: Annotated[
        list[Path] | None,
        typer.Option(exists=True, file_okay=False, help="A folder with other pictures, or MNIST's idx files."),
    ] = None,
    weights: Weights = "random",
    pictures: Pictures = 500,
    quick: Quick = False,
) -> None:
    """Measure how well the distance tells pictures of other classes, against single scores."""
    plan = strangers.Plan(data, other or (), pictures, weights=weights)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(strangers.strangers_table(plan, strangers.measure_all(plan, scratch), _command()), flush=True)


@app.command("served")
def served_command(
    data: Data = None,
    weights: Weights = "random",
    pictures: Pictures = 500,
    seconds: Annotated[float, typer.Option(min=1.0, help="Of each measurement.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    quick: Quick = False,
) -> None:
    """Measure how many pictures a server answers, against the same work without HTTP."""
    plan = served.Plan(data, pictures, weights=weights, seconds=seconds, rounds=rounds)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(served.served_table(plan, served.measure(plan, scratch), _command()), flush=True)


@app.command("reading")
def reading_command(
    pictures: Annotated[int, typer.Option(min=20, help="Number of pictures to draw.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    quick: Quick = False,
) -> None:
    """Compare reading a folder with hashing its files.

    Reading includes the search for near-copies.
    """
    plan = reading.Plan(pictures, rounds)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(report.reading_table(plan, reading.measure(plan, scratch), _command()), flush=True)


@app.command("solver")
def solver_command(quick: Quick = False) -> None:
    """Measure the solver of linear heads on three sizes, beside scikit-learn."""
    plan = solver.Plan().quick() if quick else solver.Plan()
    print(report.solver_table(plan, solver.measure(plan), _command()), flush=True)


@app.command("choices")
def choices_command(
    data: Data = None,
    mnist: Mnist = None,
    weights: Weights = "random",
    size: Size = None,
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    folds: Annotated[int, typer.Option(min=2)] = 5,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs per phase; by default, the recipe's.")] = None,
    quick: Quick = False,
) -> None:
    """Measure what single choices of the articles cost.

    The choices are the pixel scale, the batch-norm of opened layers, and having no test part.
    """
    plan = choices.Plan(data, mnist, weights, size, seeds=seeds, folds=folds, epochs=epochs)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(article_tables.choices_table(plan, choices.measure(plan, scratch), _command()), flush=True)


@app.command("solved")
def solved_command(
    data: Data = None,
    mnist: Mnist = None,
    weights: Weights = "random",
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    folds: Annotated[int, typer.Option(min=2)] = 5,
    quick: Quick = False,
) -> None:
    """Compare heads that are solved with heads in epochs.

    The heads are trained alone, and before layers of the backbone are opened.
    """
    plan = choices.Plan(data, mnist, weights, seeds=seeds, folds=folds)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(article_tables.choices_table(plan, solved.measure(plan, scratch), _command()), flush=True)


@app.command("search")
def search_command(
    data: Data = None,
    mnist: Mnist = None,
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    fixed: Annotated[bool, typer.Option("--fixed", help="Train two fixed recipes, too, which takes long.")] = False,
    task: Annotated[list[str] | None, typer.Option(help="digits, MNIST or pictures; by default, all.")] = None,
    quick: Quick = False,
) -> None:
    """Measure what `--minutes` finds, and whether it keeps the time.

    It is compared with the solved head on digits, MNIST and pictures.
    """
    plan = search.Plan(data, mnist, seeds=seeds, fixed=fixed, tasks=tuple(task or search.TASKS))
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(search_tables.search_table(plan, search.measure(plan, scratch), _command()), flush=True)


@app.command("search-times")
def search_times_command(
    rounds: Annotated[int, typer.Option(min=1, help="How often each is timed.")] = 4,
    quick: Quick = False,
) -> None:
    """Time searches of 0.5, 1 and 3 minutes, alone and beside two busy processes."""
    minutes, rounds = ((0.5,), 1) if quick else ((0.5, 1, 3), rounds)
    with _scratch() as scratch:
        print(search_tables.times_table(kept.times(minutes, rounds, scratch), _command()), flush=True)


@app.command("search-killed")
def search_killed_command(
    kills: Annotated[int, typer.Option(min=1, help="How often it is killed.")] = 10,
    seed: Annotated[int, typer.Option(help="The seed of the moments.")] = 0,
) -> None:
    """Kill a search at random moments, continue it each time, and compare it with one without interruptions."""
    with _scratch() as scratch:
        print(search_tables.killed_line(kept.killed(kills, scratch, seed), _command()), flush=True)


@app.command("articles")
def articles_command(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Recipes; by default, all.")] = None,
    data: Data = None,
    mnist: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="A folder with MNIST's idx files; by default, other digits."),
    ] = None,
    weights: Weights = "random",
    pictures: Annotated[
        int | None, typer.Option(min=50, help="Number of pictures to draw; by default, what each article needs.")
    ] = None,
    size: Size = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Maximum per phase; by default, the article's.")] = None,
    swap: Annotated[
        str | None,
        typer.Option(metavar="NETWORK[@PLACE]", help="Instead of the article's network, trained above the place."),
    ] = None,
    quick: Quick = False,
) -> None:
    """Compare the articles' scripts with topwork's recipes.

    Each recipe is also compared with its own bound.
    """
    _refuse_unknown(names or [], articles.ARTICLES)
    plan = articles.Plan(tuple(names or ()), data, mnist, weights, pictures, size, epochs, swap)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(article_tables.articles_table(articles.measure(plan, scratch), plan, _command()), flush=True)


@app.command("recipes")
def recipes_command(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Recipes; by default, all.")] = None,
    data: Data = None,
    weights: Weights = "random",
    size: Size = None,
    seeds: Annotated[int, typer.Option(min=1)] = 1,
    folds: Annotated[int, typer.Option(min=2)] = 5,
    quick: Quick = False,
) -> None:
    """Compare the articles' recipes with a linear probe.

    The recipes run with networks whose weights are on this machine. The probe uses the features of the same network.
    """
    _refuse_unknown(names or [], recipes.CUTS)
    plan = recipes.Plan(tuple(names or ()), data, weights, size, seeds=seeds, folds=folds)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(article_tables.recipes_table(plan, recipes.measure(plan, scratch), _command()), flush=True)


@app.command("default")
def default_command(
    data: Data = None,
    weights: Weights = "imagenet",
    size: Size = None,
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    folds: Annotated[int, typer.Option(min=2)] = 5,
    quick: Quick = False,
) -> None:
    """Compare the default network with mobilenet_v2_035.

    Both run under a linear probe and under the default command.
    """
    plan = default.Plan(data, weights, size=size, seeds=seeds, folds=folds)
    plan = plan.quick() if quick else plan
    with _scratch() as scratch:
        print(report.default_table(plan, default.measure(plan, scratch), _command()), flush=True)


@app.command("head")
def head_command(
    data: Data = None,
    weights: Weights = "random",
    backbone: str = "mobilenet_v2_035",
    size: Size = None,
    pictures: Pictures = 500,
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    folds: Annotated[int, typer.Option(min=2)] = 5,
) -> None:
    """Measure what initial values and the epoch do to a head.

    The initial values are those of the last layer; the epoch is the one whose weights are kept.
    """
    plan = frozen.Plan(data, weights, backbone, size, pictures, seeds, folds)
    with _scratch() as scratch:
        print(report.head_table(plan, head.measure(plan, scratch), _command()), flush=True)


def _refuse_unknown(names: Iterable[str], known: Collection[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is not measured: expected {', '.join(known)}.")


def _frozen(plan: frozen.Plan) -> None:
    with _scratch() as scratch:
        print(report.frozen_table(frozen.compare(plan, scratch), _command()), end="\n\n", flush=True)


def _extraction(plan: extraction.Plan) -> None:
    with _scratch() as scratch:
        print(report.extraction_table(extraction.measure(plan, scratch), _command()), flush=True)


@contextmanager
def _scratch() -> Iterator[Path]:
    """Make a temporary folder that is ``TOPWORK_HOME`` inside the ``with`` block, and delete it at the end."""
    before = os.environ.get("TOPWORK_HOME")
    with tempfile.TemporaryDirectory(prefix="topwork-benchmark-") as folder:
        os.environ["TOPWORK_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            os.environ.pop("TOPWORK_HOME")
            os.environ.update({"TOPWORK_HOME": before} if before else {})


def _command() -> str:
    return " ".join(["python -m benchmarks", *sys.argv[1:]])


if __name__ == "__main__":
    app()
