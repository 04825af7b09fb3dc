"""Words that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

DataPath = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="Folder with a folder per class or with MNIST's idx files, or .csv, .tsv, .parquet, .npz."
    ),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Jobs = Annotated[int | None, typer.Option(min=1, metavar="N", help="Processors to use; by default all that it may.")]
Weights = Annotated[str | None, typer.Option(metavar="WEIGHTS", help='"imagenet", "random", or the path of a file.')]
Size = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Side of pictures in pixels; else the backbone's own.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Make a picture that cannot be used an error.")]
