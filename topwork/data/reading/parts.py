"""Parts: recognise folders that are the parts of a split, such as ``train/`` and ``test/``, and not classes.

    train/rose/1.jpg      the parts contain the classes, or
    rose/train/1.jpg      the classes contain the parts

The name of a folder can stand for a part: if it is one of `WORDS`, in upper or lower case; or if it begins or ends with
one of them, separated by a digit, ``_``, ``-``, ``.`` or a blank: ``Training``, ``test_set``, ``val1``. That is not
enough for a split: ``train/``, ``bus/`` and ``testing_tools/`` are three classes. Folders are parts if these are true:

- the name of one folder stands for training, and another name stands for validation or test
- the training folder has at least two class folders, and the other parts have no class folders that it lacks

Folders that look like parts but do not fit are refused. If they were read as classes, a model would learn to tell
training pictures from test pictures.
"""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from topwork.data.dataset import PARTS
from topwork.errors import DatasetError, RecipeError, nearest
from topwork.system.advice import either
from topwork.system.messages import some

WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "eval", "holdout"), "test"),
}
"""Word -> the part that it stands for; the words are in lower case."""

_SPOKEN = {word: re.compile(rf"{word}|{word}[ _.\-\d].*|.*[ _.\-\d]{word}", re.I | re.S) for word in WORDS}

Names = Sequence[str]
"""Paths of pictures, relative to DATA."""


@dataclass(frozen=True)
class Layout:
    """Where the label and the part are in a picture's path.

    Args:
        base: the folder that contains all class folders and parts, with ``/`` at the end; ``""``: DATA itself.
        parts: folder, as a path from *base* -> part (``None``: it is drawn); ``{"": None}``: there are only classes.
        is_within: whether each class folder contains the parts. If so, the keys of *parts* are names in lower case.
        notes: sentences on what was decided.
    """

    base: str = ""
    parts: Mapping[str, str | None] = field(default_factory=lambda: {"": None})
    is_within: bool = False
    notes: tuple[str, ...] = ()

    def place(self, name: str) -> tuple[str, str | None] | None:
        """Return the label and the part of a picture; ``None`` if it is not in a class folder or not in a part.

        >>> Layout(parts={"Testing": "test"}).place("Testing/rose/1.jpg")
        ('rose', 'test')
        """
        folder, inner = self.folder(name), name[len(self.base) :]
        if folder is None:
            return None
        label, *rest = inner[len(folder) + 1 if folder and not self.is_within else 0 :].split("/")
        return (label, self.parts[folder]) if rest else None

    def folder(self, name: str) -> str | None:
        """Return the key of *parts* whose folder contains a picture, or ``None``."""
        if not name.startswith(self.base):
            return None
        inner = name[len(self.base) :]
        if self.is_within:
            second = "/".join(inner.split("/")[1:2]).casefold()
            return second if second in self.parts else None
        return next((one for one in self.parts if inner.startswith(f"{one}/" if one else "")), None)


def spoken(name: str) -> set[str]:
    """Return the parts that the name of a folder stands for.

    >>> spoken("Training_set"), spoken("val1"), sorted(spoken("train-test")), spoken("trainer")
    ({'train'}, {'val'}, ['test', 'train'], set())
    """
    return {part for word, part in WORDS.items() if _SPOKEN[word].fullmatch(name)}


def parse(text: str) -> dict[str, str]:
    """Return part -> folder, from the text of the option on the command line.

    Raises:
        RecipeError: the text is not a list of PART=NAME.

    Example:
        >>> parse("train=fit,test=a, b")
        {'train': 'fit', 'test': 'a, b'}
    """
    pairs = [pair.partition("=") for pair in re.split(r",(?=\w+=)", text)]
    if not all(equals and folder for _, equals, folder in pairs):
        raise RecipeError(f"--parts {text!r}: expected PART=NAME, as in train=fit,test=check.", "data.parts")
    return {part.strip(): folder for part, _, folder in pairs}


def check(parts: Mapping[str, str]) -> None:
    """Refuse a faulty choice of folders.

    Raises:
        RecipeError: a part is unknown, two parts have the same folder, or there is no folder for training.
    """
    for part in parts:
        if part not in PARTS:
            hint = nearest(part, PARTS) or "."
            raise RecipeError(f"parts names {part!r}: expected 'train', 'val' or 'test'{hint}", "parts")
    if "train" not in parts:
        raise RecipeError("parts has no folder for train: name one, as in train=NAME.", "parts")
    if len({folder.strip("/") for folder in parts.values()}) < len(parts):
        told = ", ".join(map(repr, parts.values()))
        raise RecipeError(f"parts names one folder twice ({told}): name each once.", "parts")


def layout(names: Names, folders: Iterable[str], root: str) -> Layout:
    """Find out which folders of a dataset are parts and which are classes.

    Args:
        names: the paths of the pictures.
        folders: the paths of all folders, with a ``/`` at the end.
        root: DATA, for messages.

    Raises:
        DatasetError: folders look like parts of a split, but it is unclear which is which.
    """
    base, notes = _base(names, folders), []
    if base and spoken(base.split("/")[-2]) == {"train"}:
        notes.append(f"Only the training folder {base[:-1]!r} was found: all parts are drawn from it.")
    elif base:
        notes.append(f"Looked through the folder {base[:-1]!r}, which holds all the others.")
    inside = _inside(names, base)
    tops = [top for top in inside if top]
    if not base and len(tops) == 1 and len(subs := sorted(inside[tops[0]].keys() - {""})) > 1:
        told = some([repr(sub) for sub in subs])
        notes.append(f"{tops[0]!r} holds the folders {told}: if these are the classes, give that folder as DATA.")
    parts = _as_parts(inside, root)
    within = {} if parts else _as_classes_of_parts(inside, root)
    if not parts and not within:
        notes += _holders(inside)
    return Layout(base, parts or within or {"": None}, bool(within), tuple(notes))


def chosen(names: Names, folders: Iterable[str], root: str, parts: Mapping[str, str]) -> Layout:
    """Return the layout if the user names the folders of the parts. Other folders are skipped, and a note names them.

    Args:
        names, folders, root: as in `layout`.
        parts: part -> the path of its folder in DATA, or the name of its folder in each class folder.

    Raises:
        DatasetError: a named folder does not exist or has no pictures.
    """
    found = {part: folder.strip("/") for part, folder in parts.items()}
    held = {above for name in names for above in accumulate(name.split("/")[:-1], "{}/{}".format)}
    base = "" if any(folder in held for folder in found.values()) else _base(names, folders)
    inside = _inside(names, base)
    is_within = not any(base + folder in held for folder in found.values())
    second = {sub for subs in inside.values() for sub in subs}
    for part, folder in found.items():
        if folder not in second if is_within else base + folder not in held:
            there = sorted({*inside, *second} - {""})
            raise DatasetError(
                f"parts names the folder {folder!r} for {part}, and {root!r} has no such folder with pictures"
                f"{nearest(folder, there) or '.'} It has: {some([repr(one) for one in there])}."
            )
    drawn = found.keys() == {"train"}
    of = {folder.casefold() if is_within else folder: None if drawn else part for part, folder in found.items()}
    made = Layout(base, of, is_within)

    depth = base.count("/") + (2 if is_within else 1)
    unused = [name for name in names if made.folder(name) is None]
    counts = Counter("/".join(name.split("/")[:-1][:depth]) or "." for name in unused)
    if not counts:
        return made
    told = [f"{folder!r} ({count:,})" for folder, count in sorted(counts.items())]
    note = f"Skipped: folders not named as a part, with their numbers of pictures: {', '.join(told)}."
    return replace(made, notes=(note,))


def _base(names: Names, folders: Iterable[str]) -> str:
    """Return the first folder, from DATA down, that has two or more folders of pictures; ``""`` for DATA itself."""
    base, known = "", list(folders)
    while True:
        inside = _inside(names, base)
        tops = [top for top in inside if top]
        beside = {one[len(base) :].split("/")[0] for one in known if one.startswith(base)} - {"", *tops}
        if len(tops) != 1 or "" in inside[tops[0]] or (beside and spoken(tops[0]) != {"train"}):
            return base if len(tops) > 1 else ""
        base += f"{tops[0]}/"


def _inside(names: Names, base: str) -> dict[str, dict[str, int]]:
    """Return folder in *base* -> subfolder -> number of pictures. ``""`` stands for pictures directly in a folder."""
    found: dict[str, dict[str, int]] = {}
    for name in names:
        if name.startswith(base):
            top, second = [*name[len(base) :].split("/")[:-1], "", ""][:2]
            of = found.setdefault(top, {})
            of[second] = of.get(second, 0) + 1
    return found


def _as_parts(inside: Mapping[str, Mapping[str, int]], root: str) -> dict[str, str | None]:
    """Return folder -> part, if the parts contain the classes; else an empty mapping.

    Raises:
        DatasetError: the folders look like that, but do not fit.
    """
    tops = [top for top in inside if top]
    said = {top: spoken(top) for top in tops if spoken(top)}
    classes = {top: set(inside[top]) - {""} for top in said}
    is_plain = all(top.casefold() in WORDS for top in tops)  # train, test and nothing else, whatever is in them
    training = [top for top in said if "train" in said[top] and (len(classes[top]) > 1 or is_plain)]
    if not any(said[other] & {"val", "test"} for top in training for other in said if other != top):
        return {}
    others = [top for top in tops if top not in said]
    unclear = [top for top in said if len(said[top]) > 1]
    parts = {top: min(said[top]) for top in said}
    twice = [part for part, count in Counter(parts.values()).items() if count > 1]
    bare = [top for top in said if not classes[top] and any(classes.values())]
    strange = {top: sorted(classes[top] - classes[training[0]]) for top in said}
    if unclear:
        why = f"{unclear[0]!r} names two parts"
    elif twice:
        why = f"{' and '.join(repr(top) for top in said if parts[top] == twice[0])} both name {twice[0]}"
    elif bare:
        why = f"{bare[0]!r} holds no class folders"
    elif odd := next((top for top in said if strange[top]), None):
        why = f"{odd!r} holds {some(list(map(repr, strange[odd])))}, and {training[0]!r} does not"
    elif others:
        why = f"beside {some(list(map(repr, said)))} there is {some(list(map(repr, others)))}"
    else:
        return dict(parts)
    raise _unclear(root, why, {top: part for top, part in parts.items() if top not in bare})


def _holders(inside: Mapping[str, Mapping[str, int]]) -> Iterable[str]:
    """Yield a note if folders are read as classes although they contain subfolders of the same names.

    The note explains how to read the subfolders as classes.
    """
    tops = {top: {sub for sub in inside[top] if sub} for top in inside if top and top.isprintable()}
    often = Counter(name for top in tops for name in {top, *tops[top]})
    shared = {top: {sub for sub in tops[top] - {top} if often[sub] > 1 and sub.isprintable()} for top in tops}
    holders = [top for top in tops if len(shared[top]) > 1]
    if not holders:
        return
    same = sorted(set().union(*(shared[top] for top in holders)))
    beside = [top for top in same if top in tops and top not in holders]
    were = "were read as classes, and hold" if len(holders) > 1 else "was read as a class, and holds"
    which = "named as other classes" if beside else "of the same names"
    one = repr(holders[0]) if len(holders) == 1 else "one of the folders that hold them"

    weight = {top: sum(inside[top].values()) for top in holders}
    ranked = sorted(holders, key=lambda top: ("train" not in spoken(top), bool(spoken(top)), -weight[top]))
    ranked = ["train", *(top for top in ranked if top != "train")] if beside else ranked
    of = {"train": ranked[0]}
    for top in sorted(ranked[1:], key=lambda top: "test" not in spoken(top)):
        of.setdefault("val" if spoken(top) == {"val"} else "test", top)
    first = "move the other class folders into a folder 'train', then " if beside else ""
    setting = _setting({part: of[part] for part in PARTS if part in of})
    yield (
        f"{some(list(map(repr, holders)))} {were} folders {which}: {some(list(map(repr, same)))}. "
        f"If these are the classes: {first}{setting} (in a recipe parts under [data]); or give {one} as DATA."
    )


def _as_classes_of_parts(inside: Mapping[str, Mapping[str, int]], root: str) -> dict[str, str | None]:
    """Return lower-case folder name -> part, if each class contains the parts; else an empty mapping.

    Raises:
        DatasetError: the folders look like that, but do not fit.
    """
    tops = [top for top in inside if top]
    said = {top: {sub: spoken(sub) for sub in inside[top] if sub} for top in tops}
    spoken_of: dict[str, set[str]] = {top: set().union(*said[top].values()) for top in tops}
    split = [top for top in tops if "train" in spoken_of[top] and spoken_of[top] & {"val", "test"}]
    if len(tops) < 2 or not split:
        return {}
    subs = sorted({sub for top in tops for sub in said[top]})
    parts = {sub.casefold(): min(spoken(sub), default="") for sub in subs}
    unlike = next((top for top in tops if "" in inside[top] or not all(said[top].values())), None)
    untrained = next((top for top in tops if "train" not in {parts[sub.casefold()] for sub in said[top]}), None)
    twice = [part for part, count in Counter(parts.values()).items() if count > 1]
    if unlike:
        why = f"the class folders do not all hold the same, as {unlike!r} holds other folders or pictures, too"
    elif untrained:
        why = f"{untrained!r} has no training folder, and {split[0]!r} has one"
    elif any(len(spoken(sub)) > 1 for sub in subs):
        why = f"{next(sub for sub in subs if len(spoken(sub)) > 1)!r} names two parts"
    elif twice:
        why = f"{some([repr(sub) for sub in subs if parts[sub.casefold()] == twice[0]])} name the same part"
    else:
        return dict(parts)
    raise _unclear(root, why, {sub: parts[sub.casefold()] for sub in subs if parts[sub.casefold()]})


def _unclear(root: str, why: str, parts: Mapping[str, str]) -> DatasetError:
    """Return the error for folders that look like parts but do not fit. It contains the setting to use."""
    by_part: dict[str, str] = {}
    for folder, part in parts.items():
        by_part.setdefault(part, folder)
    alone = _setting({"train": by_part["train"]})
    both = "" if len(by_part) == 1 else f"{_setting({part: by_part[part] for part in PARTS if part in by_part})}; or "
    return DatasetError(
        f"the folders in {root!r} look like the parts of a split, but it is unclear which is which: {why}. "
        f"Name the folders: {both}{alone}, which leaves the other folders out and draws all parts from that one "
        "(in a recipe parts under [data])."
    )


def _setting(parts: Mapping[str, str]) -> str:
    """Return the option that names the folders of *parts*, as the user writes it."""
    words = ",".join(f"{part}={folder}" for part, folder in parts.items())
    return either(f"parts={dict(parts)!r}", f"--parts {shlex.quote(words)}")
