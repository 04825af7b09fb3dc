"""Check the members of a join, and find the part (train, val or test) that each picture had in them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from topwork.data.dataset import Dataset
from topwork.data.holdout import as_before
from topwork.data.quality import near_copies as near
from topwork.data.splits import units_of
from topwork.errors import DatasetError, RunError
from topwork.recipes.settings import Join, NearCopies
from topwork.runs.folder import Folder
from topwork.system.advice import either, resuming
from topwork.system.messages import some

Clash = dict[str, tuple[str, str]]
"""For a part (train, val or test): the path of a picture, and the path of a member that has the picture in that part.
"""


def opened(join: Join) -> list[Folder]:
    """Open the members and check that they are finished runs, not joins, with the same classes and picture columns.

    Raises:
        RunError: a member does not exist, has not finished, is a join, or has other classes or columns.
    """
    if gone := [member for member in join.members if not Path(member).exists()]:
        raise RunError(
            f"join.members names {gone[0]!r}, and there is no such folder: name finished runs, "
            + either(
                'as in topwork.join(["runs/a", "runs/b"]).', """as in --set 'join.members=["runs/a", "runs/b"]'."""
            )
        )
    folders = [Folder(member) for member in join.members]
    for folder in folders:
        path = str(folder.path)
        if folder.recipe.join:
            of = ", ".join(map(repr, folder.origins))
            raise RunError(f"{path!r} is a join, and a join cannot be joined: use its members instead ({of}).")
        if not folder.is_finished:
            raise RunError(f"the member {path!r} has not finished. Continue it first: {resuming(path)}")
    first, *others = folders
    data = first.data()
    for other in others:
        rows = other.data()
        _refuse(data.classes, rows.classes, "classes", str(first.path), str(other.path))
        _refuse(data.columns, rows.columns, "pictures a row", str(first.path), str(other.path))
    return folders


def fitting(data: Dataset, members: Sequence[Folder]) -> Dataset:
    """Return the dataset with its classes in the members' order.

    Raises:
        RunError: its classes or picture columns are not those of the members.
    """
    own = members[0].data()
    if set(own.classes) == set(data.classes):
        data = replace(data, order=own.classes)
    _refuse(own.classes, data.classes, "classes", str(members[0].path), "DATA")
    if len(own.columns) > 1 or len(data.columns) > 1:
        _refuse(own.columns, data.columns, "pictures a row", str(members[0].path), "DATA")
    return data


def pictures(members: Sequence[Folder]) -> Dataset:
    """Return the pictures of the members, which must be the same in all members.

    Raises:
        DatasetError: the members have different pictures, or different labels for a picture.
    """
    first, *others = members
    data = first.data()
    own = {(row.content, row.label): row.path for row in data.rows}
    for other in others:
        theirs = {(row.content, row.label): row.path for row in other.data().rows}
        apart = {own.get(key) or theirs[key] for key in own.keys() ^ theirs.keys()}
        if apart:
            way = either("topwork.join(members, data=DATA).", "topwork train DATA, with the join.")
            raise DatasetError(
                f"{str(first.path)!r} and {str(other.path)!r} have other pictures, or other labels for them "
                f"({some([repr(path) for path in sorted(apart)])}). Say which to join them on: {way}"
            )
    return data


def with_parts(data: Dataset, members: Sequence[Folder], near_copies: NearCopies = "together") -> Dataset:
    """Return the dataset with each picture of a member, and near-copies of it, in the part that it had there.

    Otherwise the join would be fitted or tested on pictures that a member was trained on. Rows that belong together
    (`topwork.data.splits.units_of`) get the same part.

    Raises:
        DatasetError: a picture had different parts in different members.
    """
    known = [(str(folder.path), _parts(folder)) for folder in members]
    originals: dict[str, set[str]] = {}
    if near_copies == "together":
        originals = near.originals(data, [one.data() for folder in members for one in _line(folder)])
    parts: dict[str, str] = {}
    clashes: list[Clash] = []
    for unit in units_of(data.rows, near=False):
        rows = [data.rows[i] for i in unit]
        found: Clash = {}
        for path, digest in (picture for row in rows for picture in row.pictures):
            for member, of in known:
                for old in (digest, *sorted(originals.get(digest, ()))):
                    if old in of:
                        found.setdefault(of[old], (path, member))
        if len(found) > 1:
            clashes.append(found)
        parts |= {row.content: part for row in rows for part in found}
    if clashes:
        told = ", ".join(f"{path!r} is in {part} of {member!r}" for part, (path, member) in clashes[0].items())
        more = f" ({len(clashes) - 1:,} more like it)" if len(clashes) > 1 else ""
        raise DatasetError(
            f"the members had pictures in other parts: {told}{more}. What one of them was trained on cannot test the "
            "join: train them on the same data with the same data.split, data.draw, data.seed and training.seed, "
            "or leave these pictures out."
        )
    return as_before(data, parts, "the members")


def _parts(folder: Folder) -> dict[str, str]:
    """Return the part of each picture, by digest, in a run and the runs it started from; ``"train"`` has precedence."""
    found: dict[str, str] = {}
    for one in _line(folder):
        for row in one.data().rows:
            for _, digest in row.pictures:
                found[digest] = "train" if found.get(digest) == "train" else row.split or ""
    return found


def _line(folder: Folder) -> Iterator[Folder]:
    """Yield a run, its parent, the parent's parent and so on, as far as they exist."""
    try:
        while folder:
            yield folder
            folder = folder.parent  # type: ignore[assignment]
    except RunError:
        return


def _refuse(a: Sequence[str], b: Sequence[str], what: str, one: str, other: str) -> None:
    if tuple(a) != tuple(b):
        had, has = (", ".join(map(repr, names)) for names in (a, b))
        raise RunError(
            f"the {what} of {one!r} are {had}, and those of {other!r} are {has}: a join needs the same. "
            "Omit one of them, or train it again."
        )
