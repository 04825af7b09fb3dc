"""The command line: one function a command that parses, calls and prints."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from topwork.errors import UsageError
from topwork.version import VERSION

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Transfer learning: cut a pretrained network anywhere; below the cut runs once per picture, above is trained.",
)

DataPath = Annotated[
    str, typer.Argument(metavar="DATA", help="Folder with a folder per class, or a file: .csv, .tsv, .parquet, .npz.")
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Jobs = Annotated[int | None, typer.Option(min=1, metavar="N", help="Processors to use; by default all that it may.")]
Weights = Annotated[str | None, typer.Option(metavar="WEIGHTS", help='"imagenet", "random", or the path of a file.')]
Size = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Side of pictures in pixels; else the backbone's own.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Make a picture that cannot be used an error.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"topwork {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def train(
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="What to train on; with --resume nothing.")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(metavar="FILE", help="A recipe (TOML).")] = None,
    cut: Annotated[
        list[str] | None, typer.Option(metavar="CUT", help="As in mobilenet_v2@pool; one for each phase.")
    ] = None,
    epochs: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Of the k-th phase; one value serves all.")
    ] = None,
    rate: Annotated[
        list[float] | None, typer.Option(metavar="R", help="Learning rate of the k-th phase; one value serves all.")
    ] = None,
    head: Annotated[str | None, typer.Option(metavar="HEAD", help='"linear", "mlp", or a .keras file.')] = None,
    views: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Views of each training picture, itself counted.")
    ] = None,
    weights: Weights = None,
    size: Size = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of a recipe, as in data.seed=1.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="RUN", help="The run folder to make; else one in runs/.")] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, metavar="K", help="Cross-validate: a run for each of K folds.")
    ] = None,
    from_: Annotated[Path | None, typer.Option("--from", metavar="RUN", help="Start from a finished run.")] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with an interrupted run or --folds.")
    ] = None,
    other_versions: Annotated[
        bool, typer.Option("--other-versions", help="Resume with other package versions; bits may differ.")
    ] = False,
    strict: Strict = False,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Train a classifier on a folder of pictures, and test it."""
    from topwork.arguments import Words
    from topwork.crossvalidate import Folds, cross_validate, is_folds
    from topwork.run import Run
    from topwork.train import train as run_training

    words = Words(recipe, cut or [], epochs or [], rate or [], head, views, weights, size, set_ or [])
    if resume:
        words.refuse_any("--resume", data, out, from_, folds, strict or None)
        kind = Folds if is_folds(resume) else Run
        run: Run | Folds = kind(resume).resume(other_versions=other_versions, jobs=jobs)
    elif other_versions:
        raise UsageError("--other-versions goes with --resume RUN alone.")
    elif folds:
        chosen = words.recipe(from_)
        run = cross_validate(_given(data), folds, out=out, recipe=chosen, parent=from_, strict=strict, jobs=jobs)
    else:
        chosen = words.recipe(from_)
        run = run_training(_given(data), recipe=chosen, parent=from_, out=out, strict=strict, jobs=jobs)
    if as_json:
        _print_json({"run": str(run.path), **run.results})
    else:
        print(run.path)


@app.command()
def read(
    data: DataPath,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table of pictures, which can be DATA again.")
    ] = None,
    preview: Annotated[Path | None, typer.Option(metavar="PNG", help="Write a grid of pictures with labels.")] = None,
    views: Annotated[
        int, typer.Option(min=1, max=32, metavar="N", help="In the preview, N views of each picture, itself counted.")
    ] = 1,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Tell what is there: classes, splits, pictures left out."""
    from topwork import show
    from topwork.readers import read as read_data
    from topwork.readers import write_csv

    if views > 1 and not preview:
        raise UsageError(f"--views {views} is shown in a preview alone: say where to write it, with --preview PNG.")
    found = read_data(data, strict=strict, decode=True)
    if csv:
        write_csv(found.seen_from(str(csv.resolve().parent)), csv)
    if preview:
        show.preview(found, preview, views)
    if as_json:
        _print_json(show.as_json(found))
    else:
        show.table(found)


@app.command()
def extract(
    data: DataPath,
    cut: Annotated[str, typer.Argument(metavar="CUT", help="As in mobilenet_v2@pool.")],
    weights: Weights = None,
    size: Size = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Run the trunk once per picture, and keep what it gives.

    Time (where it is long) and disk are said first.
    """
    from topwork import show
    from topwork.cut import Cut
    from topwork.extract import extract as fill
    from topwork.readers import read as read_data
    from topwork.recipe import Backbone

    backbone = Backbone(Cut.parse(cut).only.backbone, weights=weights or "imagenet", size=size)
    found = read_data(data)
    show.filled(found, fill(found, cut, backbone, jobs), as_json)


@app.command()
def evaluate(
    run: RunPath,
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="Other pictures; by default the test part.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a run on its test part, or on other pictures.

    Every rate comes with its 95 % interval.
    """
    from topwork import show
    from topwork.run import Run

    scores = Run(run).evaluate(data or "test")
    if as_json:
        _print_json(scores)
    else:
        show.scores(scores)


@app.command()
def compare(
    first: RunPath,
    second: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder to compare it with.")],
    as_json: AsJson = False,
) -> None:
    """Tell whether one run is better than another.

    Both are judged on the test pictures that they share, by paired tests.
    """
    from topwork import show
    from topwork.compare import compare as compared

    found = compared(first, second)
    if as_json:
        _print_json(found)
    else:
        show.comparison(found)


@app.command()
def export(
    run: RunPath,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The ONNX file to write.")],
    as_json: AsJson = False,
) -> None:
    """Write a run's model as one ONNX file.

    It is checked against the model on real pictures first.
    """
    from topwork.run import Run

    predictor = Run(run).export(file)
    if as_json:
        _print_json({"file": str(file), **predictor.about})
    else:
        print(file)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file that 'topwork export' wrote.")],
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE|FOLDER",
            help="Of a folder, all pictures below. A model of several pictures a row takes CSV files of them.",
        ),
    ],
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the answers to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is on pictures."""
    from topwork import show
    from topwork.asked import asked
    from topwork.predict import Predictor

    predictor = Predictor(model)
    guesses = predictor(asked(pictures, predictor.columns))
    if not show.guesses(guesses, predictor.labels, csv, as_json):
        raise typer.Exit(1)


@app.command()
def backbones(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Its places and what each costs.")] = None,
    size: Size = None,
    as_json: AsJson = False,
) -> None:
    """List the backbones, or the places where one can be cut.

    Places come with their price.
    """
    from topwork import show

    if name is None:
        show.backbones(as_json)
    else:
        show.places(name, size, as_json)


@app.command()
def sample(
    what: Annotated[str, typer.Argument(metavar="digits", help="scikit-learn's 1,797 handwritten digits.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to make.")],
    as_json: AsJson = False,
) -> None:
    """Write a small real dataset to try."""
    from topwork.sample import digits

    if what != "digits":
        raise UsageError(f"no sample {what!r}: there is one, 'digits'.")
    written = digits(folder)
    if as_json:
        _print_json({"folder": str(written)})
    else:
        print(written)


def _given(data: str | None) -> str:
    if data is None:
        raise UsageError("expected DATA, a folder of pictures or a file, or --resume RUN.")
    return data


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False)
    print()
