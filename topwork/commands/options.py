"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from topwork.errors import UsageError

DataPath = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder that contains one folder per class, or MNIST's idx files. Or a file: .csv, .tsv, .parquet "
        "or .npz.",
    ),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Moved = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="NEWPLACE",
        help="The new place of the run's pictures, if they were moved. They are found by content.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Jobs = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Number of processors to use; by default all that are usable.")
]
Weights = Annotated[
    str | None,
    typer.Option(metavar="WEIGHTS", help='Weights of the backbone: "imagenet", "random", or the path of a file.'),
]
Size = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Side of the resized pictures in pixels; by default, the backbone's size."),
]
Parts = Annotated[
    str | None,
    typer.Option(
        metavar="train=NAME,test=NAME",
        help="The folder of each part (train, val, test), if the folder names do not show it. 'topwork read' lists "
        "the parts.",
    ),
]
MaxMegapixels = Annotated[
    float | None, typer.Option(min=0, metavar="N", help="Skip pictures of more than N megapixels; by default 179.")
]
NearCopies = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help='"together" (default): copies that were saved again or resized go into the same part (train, val or '
        'test) as the original. "ignore": only identical copies do.',
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop with an error if a picture cannot be used.")]


def must_be_new(option: str, path: Path | None, is_folder: bool = False) -> None:
    """Refuse a path at which no new file can be made, or no new folder.

    A file that exists may be an input or the only copy of something, so it is not overwritten. Devices and pipes are
    allowed.

    Raises:
        UsageError: there is a file or a folder of this name, or no folder to put the file in.
    """
    if not path:
        return
    if path.is_file():
        raise UsageError(
            f"{option} {str(path)!r} exists already and is not overwritten. Choose another name, or remove it."
        )
    if path.is_dir():
        what = (
            "exists already: give the name of a new folder" if is_folder else "is a folder: give the name of a new file"
        )
        raise UsageError(f"{option} {str(path)!r} {what}.")
    if not path.parent.is_dir():
        raise UsageError(f"{option} {str(path)!r}: there is no folder {str(path.parent)!r}. Make it, or name another.")


def data_options(parts: str | None, max_megapixels: float | None, near_copies: str | None = None) -> dict[str, Any]:
    """Return what these options set in a recipe's ``[data]``, by key. Options that were not given are omitted."""
    from topwork.data.reading.parts import parse

    given: dict[str, Any] = {
        "parts": parse(parts) if parts is not None else None,
        "max_megapixels": max_megapixels,
        "near_copies": near_copies,
    }
    return {key: value for key, value in given.items() if value is not None}
