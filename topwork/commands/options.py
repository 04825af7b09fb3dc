"""Words that several commands take."""

from pathlib import Path
from typing import Annotated, Any

import typer

from topwork.errors import UsageError

DataPath = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="Folder with a folder per class or with MNIST's idx files, or .csv, .tsv, .parquet, .npz."
    ),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Moved = Annotated[
    str | None,
    typer.Option("--data", metavar="NEWPLACE", help="Where the run's pictures are, if moved: found by content."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Jobs = Annotated[int | None, typer.Option(min=1, metavar="N", help="Processors to use; by default all that it may.")]
Weights = Annotated[str | None, typer.Option(metavar="WEIGHTS", help='"imagenet", "random", or the path of a file.')]
Size = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Side of pictures in pixels; else the backbone's own.")
]
Parts = Annotated[
    str | None,
    typer.Option(
        metavar="train=NAME,test=NAME", help="The folders of the parts, where their names do not say so; see read."
    ),
]
MaxMegapixels = Annotated[
    float | None, typer.Option(min=0, metavar="N", help="Leave larger pictures out; by default above 179.")
]
NearCopies = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help='"together" (else taken): pictures saved again or resized share a part with their originals; or "ignore".',
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Make a picture that cannot be used an error.")]


def refuse_existing(option: str, path: Path | None) -> None:
    """Refuse to write over a file: it may be one that is read, or the only copy of something.

    Raises:
        UsageError: there is a file; devices and pipes may be written to.
    """
    if path and path.is_file():
        raise UsageError(
            f"{option} {str(path)!r} exists already and is not overwritten. Choose another name, or remove it."
        )


def data_options(parts: str | None, max_megapixels: float | None, near_copies: str | None = None) -> dict[str, Any]:
    """The keys of a recipe's ``[data]`` that these options stand for; those that were not given are left away."""
    from topwork.data.reading.parts import parse

    given: dict[str, Any] = {
        "parts": parse(parts) if parts is not None else None,
        "max_megapixels": max_megapixels,
        "near_copies": near_copies,
    }
    return {key: value for key, value in given.items() if value is not None}
