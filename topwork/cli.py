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
Jobs = Annotated[int | None, typer.Option(min=1, help="Processors to use; by default all that it may.")]
Weights = Annotated[str, typer.Option(help='"imagenet", "random", or the path of a weights file.')]
Size = Annotated[int | None, typer.Option(min=1, help="Side of the pictures in pixels; by default the backbone's own.")]
Strict = Annotated[bool, typer.Option("--strict", help="Make a picture that cannot be used an error.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"topwork {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


@app.command()
def train(
    data: DataPath,
    recipe: Annotated[Path | None, typer.Option(help="A recipe (TOML).")] = None,
    cut: Annotated[list[str] | None, typer.Option(help="A phase's cut, as in mobilenet_v2@pool; one a phase.")] = None,
    epochs: Annotated[list[int] | None, typer.Option(help="Of the k-th cut; one value serves all.")] = None,
    rate: Annotated[list[float] | None, typer.Option(help="Learning rate of the k-th cut; one value serves all.")] = None,
    head: Annotated[str | None, typer.Option(help='"linear" or "mlp".')] = None,
    weights: Weights | None = None,
    size: Size = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As in --set data.seed=1.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder to make.")] = None,
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
    csv: Annotated[Path | None, typer.Option(help="Write the table of pictures to this file.")] = None,
    preview: Annotated[Path | None, typer.Option(help="Write a grid of pictures with their labels (PNG).")] = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Tell what is there: classes, splits, pictures that are left out."""
    from topwork import show
    from topwork.readers import read as read_data
    from topwork.readers import write_csv

    found = read_data(data, strict=strict, decode=True)
    if csv:
        write_csv(found, csv)
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
    weights: Weights = "imagenet",
    size: Size = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Run the trunk once per picture and keep what it gives; says time and disk first."""
    from topwork import show
    from topwork.cut import Cut
    from topwork.extract import extract as fill
    from topwork.readers import read as read_data
    from topwork.recipe import Backbone

    backbone = Backbone(Cut.parse(cut).only.backbone, weights=weights, size=size)
    show.filled(fill(read_data(data), cut, backbone, jobs), as_json)


@app.command()
def evaluate(
    run: RunPath,
    data: Annotated[str | None, typer.Argument(metavar="[DATA]", help="Other pictures; by default the test part.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a run on its test part, or on other pictures; every rate with its 95 % interval."""
    from topwork import show
    from topwork.run import Run

    scores = Run(run).evaluate(data or "test")
    if as_json:
        _print_json(scores)
    else:
        show.scores(scores)


@app.command()
def export(run: RunPath, file: Annotated[Path, typer.Argument(metavar="FILE", help="The ONNX file to write.")]) -> None:
    """Write a run's model as one ONNX file, checked against it on real pictures first."""
    from topwork.run import Run

    Run(run).export(file)
    print(file)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file that 'topwork export' wrote.")],
    pictures: Annotated[list[str], typer.Argument(metavar="PICTURE|FOLDER...")],
    csv: Annotated[Path | None, typer.Option(help="Write the answers to this file.")] = None,
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
    """List the backbones, or with NAME the places where it can be cut, and their price."""
    from topwork import show

    if name is None:
        show.backbones(as_json)
    else:
        show.places(name, size, as_json)


@app.command()
def sample(
    what: Annotated[str, typer.Argument(metavar="digits")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER")],
) -> None:
    """Write a small real dataset to try: scikit-learn's 1,797 handwritten digits."""
    from topwork.sample import digits

    if what != "digits":
        raise UsageError(f"no sample {what!r}: there is one, 'digits'.")
    print(digits(folder))


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False)
    print()
