"""Prepare a dataset for training: a validation part, the parts of an earlier run, training pictures of every class."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from topwork.data import splits
from topwork.data.dataset import PARTS, Dataset
from topwork.data.folds import most
from topwork.data.quality import near_copies as near
from topwork.errors import DatasetError
from topwork.recipes.settings import NearCopies, Training
from topwork.system.advice import either
from topwork.system.messages import counted, say, some


def with_validation(data: Dataset, training: Training) -> Dataset:
    """Return the dataset with a validation part.

    If there is none, some of the training pictures are moved there, but no test pictures.
    """
    if data.part("val") or not data.part("train"):
        return data
    if not training.hold_out:
        say("No validation part, and holding one out is turned off: the last weights are used, not the best.")
        return data
    counts = Counter(row.label for row in data.part("train"))
    rows = tuple(replace(row, split=None) for row in data.part("train") if counts[row.label] > 1)
    if not rows:
        say("No validation part, and no class has a training picture to spare for one: the last weights are used.")
        return data
    share, how = training.hold_out_share, training.hold_out_draw
    drawn = splits.draw(replace(data, rows=rows), (1 - share, share, 0.0), how, training.seed)
    moved = {row.path for row in drawn.part("val")}
    if not moved:
        say("No validation part, and too few independent training pictures to hold one out: the last weights are used.")
        return data
    note = f"No validation part: {len(moved)} of {counts.total()} training pictures are held out for it."
    say(note)
    kept = tuple(replace(row, split="val") if row.path in moved else row for row in data.rows)
    return replace(data, rows=kept, notes=(*data.notes, note))


def known_parts(data: Dataset, known: Dataset, near_copies: NearCopies) -> dict[str, str]:
    """Return content -> part, for the rows of an earlier run and for rows of *data* that are near-copies of these.

    If a row has near-copies in several parts, it goes to test if that is one of them, else to val.
    """
    parts = {row.content: row.split or "train" for row in known.rows}
    if near_copies == "ignore":
        return parts
    had = {digest: row.split or "train" for row in known.rows for _, digest in row.pictures}
    originals = near.originals(data, [known])
    for row in data.rows:
        found = [had[old] for _, digest in row.pictures for old in originals.get(digest, ())]
        if found and row.content not in parts:
            parts[row.content] = max(found, key=PARTS.index)
    return parts


def as_before(data: Dataset, parts: Mapping[str, str], there: str = "the parent run") -> Dataset:
    """Return the dataset, with pictures of an earlier run in the *parts* (content -> part) that they had there.

    Otherwise the new run could be tested on pictures that the earlier run was trained on.
    """
    moved = [row for row in data.rows if parts.get(row.content, row.split) != row.split]
    if not moved:
        return data
    known = sum(row.content in parts for row in data.rows)
    note = f"{known} of {len(data.rows)} pictures stay in the part that they had in {there}."
    if gone := len(parts.keys() - {row.content for row in data.rows}):
        note += f" Of those in {there}, {gone:,} are not among these."
    if data.has_own_parts:
        note = (
            f"{len(moved)} of {len(data.rows)} pictures were moved from the part that the data give to the one that "
            f"they had in {there}, so that none that was trained on there is tested."
        )
    say(note)
    rows = tuple(replace(row, split=parts.get(row.content, row.split)) for row in data.rows)
    return replace(data, rows=rows, notes=(*data.notes, note))


FEW = 100
"""A test part with fewer pictures is small. With this many, Wilson's 95 % interval is up to 0.19 wide."""
FEW_OF_CLASS = 5
"""A class with fewer test pictures is named."""
LOST = "Classes that are left out"
"""How the note on classes without usable pictures begins."""
FOLDS = 5
"""The proposed number of folds, if the smallest class has enough pictures."""


def say_again(notes: Iterable[str]) -> None:
    """Say which classes were left out, because the lines of a training come between."""
    for note in notes:
        if note.startswith(LOST):
            say(note)


def remark(data: Dataset, is_child: bool = False) -> None:
    """Say which classes were left out. Print a message if the test part lacks a class, or has few pictures."""
    say_again(data.notes)
    test = data.part("test")
    if not test:
        return
    tested = {row.label for row in test}
    if untested := [repr(label) for label in data.classes if label not in tested]:
        say(f"The test part has no picture of {some(untested)}: the score says nothing about them.")
    few = [
        f"{label!r} ({count})" for label, count in Counter(row.label for row in test).items() if count < FEW_OF_CLASS
    ]
    if few and len(test) >= FEW_OF_CLASS * len(data.classes):
        say(f"The test part has few pictures of {some(few)}: the scores of such a class say little.")
    if len(test) < FEW:
        count = min(FOLDS, most(data))
        alone = ", without --from," if is_child else ""
        folds = either(f"topwork.cross_validate(data, {count})", f"--folds {count}{alone}")
        hint = f": {folds} tests each of the {len(data.rows):,} pictures once" if count > 1 else ""
        say(f"So few test pictures make the score uncertain{hint}.")


def check(data: Dataset, strict: bool) -> None:
    """Check that the training part has pictures of every class.

    Raises:
        DatasetError: a class has no training picture; or *strict* is set and a picture was skipped.
    """
    train_rows = data.part("train")
    if not train_rows:
        raise DatasetError(
            "the training part is empty: give pictures the split 'train', or draw splits with a larger share."
        )
    known = {row.label for row in train_rows}
    if lacking := [repr(label) for label in data.classes if label not in known]:
        draw, seed = either('draw="stratified"', "--set data.draw=stratified"), either("seed=1", "--set data.seed=1")
        raise DatasetError(
            f"no training picture of {some(lacking)}: a class must occur in the training part. Give it more "
            f"pictures, leave it out, or draw otherwise, by {draw} or with another seed, as {seed}; where the data "
            "name the parts themselves, name 'train' for some of it."
        )
    if strict:
        refuse_left_out(data)


def refuse_left_out(dataset: Dataset) -> None:
    """Refuse a dataset with skipped pictures, as *strict* demands.

    Raises:
        DatasetError: a picture was skipped.
    """
    if dataset.left_out:
        without = either("use strict=False", "omit --strict")
        raise DatasetError(f"{unusable(dataset)} Repair or remove them, or {without}.")


def unusable(dataset: Dataset) -> str:
    """Return a sentence on the skipped pictures: their number, paths and reasons."""
    each = [f"{out.path!r} ({out.reason})" for out in dataset.left_out]
    return f"{counted(len(each), 'picture')} cannot be used: {some(each)}."
