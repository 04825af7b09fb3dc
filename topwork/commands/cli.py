"""The command line. The commands are registered in the order in which ``--help`` lists them."""

from typing import Annotated

import typer

from topwork.commands.audit import audit
from topwork.commands.backbones import backbones
from topwork.commands.check import check
from topwork.commands.choose import choose
from topwork.commands.compare import compare
from topwork.commands.curve import curve
from topwork.commands.doctor import doctor
from topwork.commands.evaluate import evaluate
from topwork.commands.examples import epilog
from topwork.commands.export import export
from topwork.commands.extract import extract
from topwork.commands.predict import predict
from topwork.commands.read import read
from topwork.commands.recipes import recipes
from topwork.commands.report import report
from topwork.commands.sample import sample
from topwork.commands.serve import serve
from topwork.commands.store import store
from topwork.commands.train import train
from topwork.commands.weights import weights
from topwork.version import VERSION

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Transfer learning: cut a pretrained network anywhere. "
    "The layers below the cut run once per picture; the layers above it are trained.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"topwork {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


for command in (
    train,
    read,
    audit,
    extract,
    evaluate,
    report,
    compare,
    export,
    check,
    predict,
    serve,
    backbones,
    choose,
    curve,
    recipes,
    sample,
    doctor,
):
    app.command(epilog=epilog(command.__name__))(command)
for verbs in (weights, store):
    name = verbs.info.name
    assert name
    app.add_typer(verbs, epilog=epilog(name))
