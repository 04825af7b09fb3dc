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

DataPath = Annotated[str, typer.Argument(metavar="DATA", help="Folder with a folder per class, or a CSV/TSV file.")]
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
    data: DataPath,
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
    head: Annotated[str | None, typer.Option(metavar="HEAD", help='"linear" or "mlp".')] = None,
    weights: Weights = None,
    size: Size = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of a recipe, as in data.seed=1.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="RUN", help="The run folder to make; else one in runs/.")] = None,
    strict: Strict = False,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Train a classifier on a folder of pictures, and test it."""
    from topwork import arguments
    from topwork.train import train as run_training

    chosen = arguments.recipe(recipe, cut or [], epochs or [], rate or [], head, weights, size, set_ or [])
    run = run_training(data, recipe=chosen, out=out, strict=strict, jobs=jobs)
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
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Tell what is there: classes, splits, pictures left out."""
    from topwork import show
    from topwork.readers import read as read_data
    from topwork.readers import write_csv

    found = read_data(data, strict=strict, decode=True)
    if csv:
        write_csv(found.seen_from(str(csv.resolve().parent)), csv)
    if preview:
        show.preview(found, preview)
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
    pictures: Annotated[list[str], typer.Argument(metavar="PICTURE|FOLDER", help="Of a folder, all pictures below.")],
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the answers to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is on pictures."""
    from topwork import show
    from topwork.predict import Predictor, expand

    predictor = Predictor(model)
    guesses = predictor(expand(pictures))
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


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False)
    print()
