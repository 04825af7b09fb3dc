"""``topwork check``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from topwork.commands.options import AsJson
from topwork.commands.output import print_json

if TYPE_CHECKING:
    from topwork.shipping.checking.self_check import Checked, Measured


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that 'topwork export' wrote.")],
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="Labelled pictures on which its accuracy is measured.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check an exported file on this machine.

    It must answer a few drawn pictures as it did when it was written; none of the pictures that it was trained on is
    needed. With DATA, its accuracy is compared with the one that it claims; pictures that it was trained on would make
    it too high. The exit status is 1 if the answers differ, or if the accuracy is significantly lower.
    """
    from topwork.shipping.checking import self_check

    found = self_check.check(file, data)
    if as_json:
        print_json({"file": str(file), **found.as_json()})
    else:
        _print(file, found)
    if found.problem or (found.measured and found.measured.is_worse):
        raise typer.Exit(1)


def _print(file: Path, found: "Checked") -> None:
    print(f"{file}: {found.kind}, {found.precision}, read by {found.runtime}")
    same = f"the answers are those that it gave when it was written (largest difference {found.largest_difference:.1e})"
    print(f"{found.pictures} synthetic pictures: {found.problem or same}")
    if found.problem and found.runtime != found.written:
        print(f"It was written with {found.written}: try that version.")
    if found.forced:
        print(f"It was exported with --force: {found.forced}.")
    if found.measured:
        _print_measured(found.measured)


def _print_measured(found: "Measured") -> None:
    from topwork.system.messages import counted, some

    print(f"{counted(found.pictures, 'picture')}: accuracy {found.accuracy}; the file claims {found.claimed or 'none'}")
    if found.is_worse:
        print(f"That is lower than claimed: {found.difference}.")
    if found.is_better:
        print(
            f"That is higher than claimed: {found.difference}. Pictures that the model was trained on are no test: "
            "'topwork evaluate RUN' measures the others alone."
        )
    if found.unread:
        path, reason = next(iter(found.unread.items()))
        print(f"{counted(len(found.unread), 'picture')} could not be read; the first is {path}: {reason}.")
    if found.unknown:
        told = some([f"{label!r} ({count:,})" for label, count in found.unknown.items()])
        print(f"Not measured, because the file does not know the class: {told}.")
