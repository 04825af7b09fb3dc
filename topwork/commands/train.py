"""``topwork train``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from topwork.commands.options import AsJson, Jobs, MaxMegapixels, NearCopies, Parts, Size, Strict, Weights, data_options
from topwork.commands.output import print_json
from topwork.errors import UsageError


def train(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="The pictures, as for 'topwork read'. Omit DATA with --resume. A recipe that joins runs needs "
            "no DATA.",
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="A recipe: a name from 'topwork recipes', or a TOML file.")
    ] = None,
    cut: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CUT",
            help="Where to cut the network, as in efficientnet_lite0@pool. Repeat --cut for each further "
            "phase of training.",
        ),
    ] = None,
    epochs: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            help="Maximum number of epochs. Give --epochs once for all phases, or once per phase, in order. "
            "Without it, a linear head on frozen layers is solved instead of being trained in epochs.",
        ),
    ] = None,
    learning_rate: Annotated[
        list[float] | None,
        typer.Option(
            "--learning-rate",
            "--lr",
            metavar="R",
            help="Learning rate. Give it once for all phases, or once per phase, in order. The default "
            "depends on the cut.",
        ),
    ] = None,
    head: Annotated[
        str | None, typer.Option(metavar="HEAD", help='The new last layers: "linear", "mlp", or your own .keras file.')
    ] = None,
    views: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            metavar="N",
            help="Augmentation: train on N variants of each training picture. The picture itself counts as a variant.",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            metavar="M",
            help="Search for M minutes: which network, where to cut it, and how to train the opened layers. With "
            "--cut, only among these cuts.",
        ),
    ] = None,
    weights: Weights = None,
    size: Size = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Set any key of the recipe, as in --set data.seed=1 or --set phase.1.refit=true. The keys are in "
            "docs/reference.md.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="RUN", help="The run folder to create; by default, a new folder in runs/.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, metavar="K", help="Cross-validate with K folds: one run per fold.")
    ] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", metavar="RUN", help="Start from the weights of a finished run.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Continue an interrupted run or cross-validation."),
    ] = None,
    moved: Annotated[
        str | None,
        typer.Option(
            "--data", metavar="NEWPLACE", help="With --resume: the new place of the pictures, if they were moved."
        ),
    ] = None,
    other_versions: Annotated[
        bool,
        typer.Option(
            "--other-versions", help="With --resume: accept other package versions. The result may differ in some bits."
        ),
    ] = False,
    no_final: Annotated[
        bool, typer.Option("--no-final", help="With --folds: train no further model, for use, on all pictures.")
    ] = False,
    final: Annotated[
        bool, typer.Option("--final", help="With --resume: train that model, if the folder of folds has none.")
    ] = False,
    no_head_first: Annotated[
        bool,
        typer.Option(
            "--no-head-first",
            help="Add no phase that trains only the head. By default, such a phase comes first if the first --cut "
            "trains pretrained layers under a new head.",
        ),
    ] = False,
    parts: Parts = None,
    max_megapixels: MaxMegapixels = None,
    near_copies: NearCopies = None,
    strict: Strict = False,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Train a classifier on a folder of pictures, and test it."""
    from topwork.scoring import drawing

    drawing.prepare()
    from dataclasses import replace

    from topwork.commands.train_arguments import Words
    from topwork.runs.folder import folds_in
    from topwork.training.cross_validate import Folds, cross_validate
    from topwork.training.run import Run
    from topwork.training.train import train as run_training

    words = Words(recipe, cut or [], epochs or [], learning_rate or [], head, views, weights, size, set_ or [])
    read_as = data_options(parts, max_megapixels, near_copies)
    words = replace(words, data=read_as, no_head_first=no_head_first or None, minutes=minutes)
    was_finished = resume is not None and (resume / "results.json").exists()
    if resume:
        words.refuse_any("--resume", data, out, from_, folds, strict or None)
        how: dict[str, Any] = {"other_versions": other_versions, "jobs": jobs}
        if folds_in(resume):
            run: Run | Folds = Folds(resume).resume(moved, final=final, **how)
        elif final:
            raise UsageError(f"--final is for a folder that --folds made, and {str(resume)!r} is a run: omit --final.")
        else:
            run = Run(resume).resume(moved, **how)
    elif other_versions or moved or final:
        name = "--other-versions" if other_versions else "--data" if moved else "--final"
        raise UsageError(f"{name} can only be used with --resume RUN.")
    elif no_final and not folds:
        raise UsageError("--no-final can only be used with --folds K.")
    else:
        if not recipe and not set_:  # only --recipe and --set can select a join, which needs no DATA
            _given(data)
        chosen = words.recipe(from_)
        how = {"recipe": chosen, "head_first": words.head_first, "parent": from_, "out": out}
        how |= {"strict": strict, "jobs": jobs}
        with words.located(chosen):
            if folds:
                run = cross_validate(_given(data), folds, final=not no_final, **how)
            else:
                run = run_training(data if chosen.join else _given(data), report=True, **how)
    if as_json:
        print_json({"run": str(run.path), **run.results.as_json()})
    else:
        print(run.path, flush=True)
    if folds or (resume and not was_finished):
        from topwork.scoring.report.report import brief  # imported after the result is printed

        brief(run.path, run.folder if isinstance(run, Run) else None)


def _given(data: str | None) -> str:
    from topwork.data.readers import refuse_missing

    if data is None:
        raise UsageError("expected DATA, a folder of pictures or a file, or --resume RUN.")
    refuse_missing(data)
    return data
