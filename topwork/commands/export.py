"""``topwork export``."""

from pathlib import Path
from typing import Annotated

import typer

from topwork.commands.options import AsJson, Moved, RunPath
from topwork.commands.output import print_json


def export(
    run: RunPath,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The ONNX file to write.")],
    moved: Moved = None,
    as_json: AsJson = False,
) -> None:
    """Save a run's model as one ONNX file.

    The file is first checked: on real pictures, it must give the same answers as the model.
    """
    from topwork.training.run import Run

    predictor = Run(run).export(file, data=moved)
    if as_json:
        print_json({"file": str(file), **predictor.about})
    else:
        print(file)
