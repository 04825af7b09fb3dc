"""Splits: choose which rows are for training, for validation and for the test.

Rows that must stay together form a *unit*. Two rows are in the same unit if they share a picture (by content) or a
group, if they have near-copies of each other (`topwork.data.quality.near_copies`), or if other rows link them in these
ways. All rows of a unit are in one part, so that no test picture was seen in training. There is one exception: if the
data give the parts, rows that are linked only by near-copies keep their parts.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import accumulate, combinations, islice
from math import comb

from topwork.data.dataset import PARTS, Dataset, Row
from topwork.errors import DatasetError, RecipeError, nearest
from topwork.recipes.parsing import RANGES, check_range
from topwork.recipes.settings import Data, Draw
from topwork.system.advice import either
from topwork.system.messages import SHOWN, counted, some

NEAR_COPIES = ("together", "ignore")
HOWS = ("auto", "hash", "stratified", "last")
FEW, INDEPENDENT = 2000, 3
"""``"auto"`` means ``"stratified"`` for fewer than `FEW` rows, if each class has at least `INDEPENDENT` units."""
TORN = "Near-copies in two parts"
"""The beginning of the note on near-copies in two parts."""

Rows = tuple[Row, ...]
Unit = list[int]
"""The numbers of the rows that belong together, in reading order."""


def draw(dataset: Dataset, shares: Sequence[float] = (0.8, 0.1, 0.1), how: Draw = "auto", seed: int = 0) -> Dataset:
    """Give every row a part. A row that has a part keeps it, and the rows that belong to it get the same part.

    - ``"hash"`` places a unit by the SHA-256 of the seed and the group (without a group: the content). The class is not
      considered. When rows are added, the earlier rows keep their parts, unless a new row links them to another group
      or row. The shares vary as in any random draw.
    - ``"stratified"`` gives each class the shares, rounded to complete pictures. When rows are added, earlier rows may
      get another part.
    - ``"last"`` keeps the order of the rows: the first are train, the last are test.
    - ``"auto"`` means ``"stratified"`` for fewer than 2,000 rows if each class has at least three units, because a
      hash would give some of these classes many test pictures and others none. Otherwise it means ``"hash"``.

    If the data put equal pictures or one group into several parts, all of them go to test if that is one of the parts,
    else to val. If the data put near-copies into two parts, they stay there, and a note names them.

    Args:
        dataset: its rows have digests; *split* may be set in all, some or none of them.
        shares: the shares of train, val and test; they add up to 1.
        how: ``"auto"``, ``"hash"``, ``"stratified"`` or ``"last"``.
        seed: another seed gives another draw.

    Returns:
        The dataset with *split* set in every row. *notes* name the rows that moved, the groups that were joined, and
        the parts that are empty or lack a class. *drawn* contains the settings of the draw.

    Raises:
        RecipeError: *shares*, *how* or *seed* are not valid.
        DatasetError: the draw is stratified, and a class has only one picture.

    Example:
        >>> rows = tuple(Row(f"{i}.png", str(i), "ab"[i % 2]) for i in range(20))
        >>> draw(Dataset("/d", rows), how="stratified").counts()["a"]
        {'train': 8, 'val': 1, 'test': 1}
    """
    check(shares, how, seed)
    rows, units = dataset.rows, units_of(dataset.rows)
    own = _given(rows)
    given = [unit for unit in units if not own.keys().isdisjoint(unit)]
    free = [unit for unit in units if own.keys().isdisjoint(unit)]
    if how == "auto":
        is_small = sum(map(len, free)) < FEW and min(independent(rows, free).values(), default=0) >= INDEPENDENT
        how = "stratified" if is_small else "hash"
    asked = Data(tuple(map(float, shares)), how, int(seed))
    shares, seed = asked.split, asked.seed
    parts: list[str] = [max((own[i] for i in unit if i in own), key=PARTS.index) for unit in given]
    if free and how == "stratified":
        counts = Counter(row.label for row in rows)
        single = min((label for label, count in counts.items() if count == 1), default=None)
        if single is not None:
            raise DatasetError(
                f"class {single!r} has one picture: a stratified draw needs at least two of each class. "
                "Add pictures, leave the class out, or draw by " + either('draw="hash".', "--set data.draw=hash.")
            )
        parts += stratified(rows, free, shares, seed)
    else:
        parts += _placed(rows, free, shares, how, seed)
    split = {i: part for unit, part in zip(given + free, parts) for i in unit} | own
    drawn = tuple(replace(row, split=split[i]) for i, row in enumerate(rows))
    notes = (*dataset.notes, *_notes(rows, drawn, units, asked, has_drawn=bool(free)), *gaps(drawn))
    return replace(dataset, rows=drawn, notes=notes, drawn=asked if free else None)


def check(shares: Sequence[float], how: str, seed: int = 0, near_copies: str = NEAR_COPIES[0]) -> None:
    """Refuse settings that `draw` cannot use.

    Raises:
        RecipeError: *shares* are not three numbers that add up to 1, *how* is unknown, *seed* is out of range, or
            *near_copies* is not ``"together"`` or ``"ignore"``.
    """
    if len(shares) != len(PARTS) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        given = ", ".join(f"{share:g}" for share in shares)
        raise RecipeError(
            f"split = ({given}): expected the shares of train, val and test, none below 0, that add up to 1, "
            "as in (0.8, 0.1, 0.1).",
            "split",
        )
    for name, word, words in (("draw", how, HOWS), ("near_copies", near_copies, NEAR_COPIES)):
        if word not in words:
            expected = " or ".join(map(repr, words))
            raise RecipeError(f"{name} = {word!r}: expected {expected}{nearest(str(word), words) or '.'}", name)
    check_range(seed, *RANGES["seed"], "seed")


def units_of(rows: Rows, near: bool = True) -> list[Unit]:
    """Return the units of *rows*, in the order of their first rows (union-find with path halving).

    Args:
        rows: rows with digests.
        near: whether near-copies belong together, too.

    >>> units_of((Row("a.png", "00", "cat"), Row("b.png", "01", "cat"), Row("copy.png", "00", "cat")))
    [[0, 2], [1]]
    """
    above: dict[tuple[str, str], tuple[str, str]] = {}

    def top(key: tuple[str, str]) -> tuple[str, str]:
        while above.setdefault(key, key) != key:
            above[key] = key = above[above[key]]
        return key

    for row in rows:
        ties = [("content", digest) for _, digest in row.further]
        ties += [("group", row.group)] if row.group else []
        ties += [("near", f"{row.label} {content}") for content in row.near] if near else []
        for tie in ties:
            above[top(("content", row.digest))] = top(tie)
    units: dict[tuple[str, str], Unit] = defaultdict(list)
    for i, row in enumerate(rows):
        units[top(("content", row.digest))].append(i)
    return list(units.values())


def independent(rows: Rows, units: list[Unit]) -> Counter[str]:
    """Return, for each class, the number of *units* that contain it: the number of its independent pictures."""
    return Counter(label for unit in units for label in {rows[i].label for i in unit})


def _placed(rows: Rows, units: list[Unit], shares: Sequence[float], how: str, seed: int) -> list[str]:
    bounds = list(zip(PARTS, accumulate(shares)))
    last = max((part for part, share in zip(PARTS, shares) if share), key=PARTS.index)
    numbers = (_number(rows, unit, seed) if how == "hash" else (unit[0] + 0.5) / len(rows) for unit in units)
    return [next((part for part, bound in bounds if number < bound), last) for number in numbers]


def _number(rows: Rows, unit: Unit, seed: int) -> float:
    """Return a number in [0, 1) for a unit, made from the SHA-256 of a name, so that it is uniformly distributed.

    The name is the first of the unit's groups in sorted order or, without groups, the first of its contents. So if two
    units are joined, only one of them may move. Of near-copies, only the largest counts, because it is most likely the
    original.
    """
    contents = (content for i in unit for content in rows[i].near or (rows[i].content,))
    name = min((group for i in unit if (group := rows[i].group)), default=min(contents))
    head = sha256(f"{seed} {name}".encode(errors="surrogateescape")).digest()[:6]
    return int.from_bytes(head) / 2**48


def stratified(rows: Rows, units: list[Unit], shares: Sequence[float], seed: int) -> list[str]:
    """Return the part of each unit. The largest units are placed first, so that single rows fill the gaps at the end.

    A unit goes to the part in which its classes lack the most rows. At first, a class lacks ``count * share`` rows in a
    part, rounded to an integer. What a part loses by rounding in one class, it gets back in the next classes.
    """
    lacking: dict[str, dict[str, int]] = {}
    owed = dict.fromkeys(PARTS, 0.0)
    for label, count in sorted(Counter(rows[i].label for unit in units for i in unit).items()):
        exact = {part: round(count * share, 6) for part, share in zip(PARTS, shares)}
        lacking[label] = {part: int(exact[part]) for part in PARTS}
        torn = [part for part in PARTS if exact[part] % 1]
        for part in torn:
            owed[part] += exact[part] % 1
        extra = count - sum(lacking[label].values())
        for part in sorted(torn, key=lambda part: (owed[part], PARTS.index(part)))[len(torn) - extra :]:
            lacking[label][part] += 1
            owed[part] -= 1

    placed = [""] * len(units)
    for u in sorted(range(len(units)), key=lambda u: (-len(units[u]), _number(rows, units[u], seed))):
        labels = [rows[i].label for i in units[u]]
        placed[u] = max((sum(lacking[label][part] for label in labels), -n, part) for n, part in enumerate(PARTS))[2]
        for label in labels:
            lacking[label][placed[u]] -= 1
    return placed


def _given(rows: Rows) -> dict[int, str]:
    """Return row number -> part, for rows that have a part and for rows that share a picture or a group with them."""
    return {
        i: max(parts, key=PARTS.index)
        for unit in units_of(rows, near=False)
        if (parts := [part for j in unit if (part := rows[j].split)])
        for i in unit
    }


def _notes(rows: Rows, drawn: Rows, units: list[Unit], asked: Data, has_drawn: bool) -> list[str]:
    """Return notes on moved rows, joined groups, near-copies that the data put into two parts, and empty parts."""
    notes: list[str] = []
    joined = [unit for unit in units if len(unit) > 1]
    given = {i: part for unit in joined for i in unit if (part := rows[i].split)}
    # A row moved if it would get another part without the rows it belongs to. A stratified draw does not show that.
    free = [[i] for unit in joined if asked.draw != "stratified" and not given.keys() & unit for i in unit]
    bare = tuple(replace(row, near=()) if row.near else row for row in rows)
    alone = given | {i: part for [i], part in zip(free, _placed(bare, free, asked.split, asked.draw, asked.seed))}
    if moved := [i for i, was in alone.items() if drawn[i].split != was]:
        named = some([f"{drawn[i].path!r} from {alone[i]} to {drawn[i].split}" for i in moved])
        what = "equal pictures, near-copies" if any(drawn[i].near for i in moved) else "equal pictures"
        notes.append(f"Moved, because {what} and groups share a part: {named}.")

    groups = [sorted({group for i in unit if (group := rows[i].group)}) for unit in joined]
    if names := [" and ".join(map(repr, tied)) for tied in groups if len(tied) > 1]:
        notes.append(f"Joined, because these groups have a picture in common: {some(names)}.")

    together: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in drawn:
        for content in row.near:
            together[row.label, content].append(row)
    torn = [same for same in together.values() if len({row.split for row in same}) > 1]
    count = sum(comb(len(same), 2) - sum(comb(n, 2) for n in Counter(r.split for r in same).values()) for same in torn)
    if count:
        pairs = ((a, b) for same in torn for a, b in combinations(same, 2) if a.split != b.split)
        named = ", ".join(f"{a.path!r} ({a.split}) and {b.path!r} ({b.split})" for a, b in islice(pairs, SHOWN))
        more = f" and {count - SHOWN:,} more" if count > SHOWN else ""
        what = "because the data give the parts, so the score may be too good"
        notes.append(f"{TORN}, {what}: {counted(count, 'pair')}, {named}{more}.")

    if has_drawn and len(units) == 1:
        notes.append("All rows belong together, because equal pictures and groups do: they are in one part.")
    elif has_drawn:
        draw = either('draw="stratified"', "'topwork train --set data.draw=stratified'")
        out = f"{draw} gives each class its exact shares" if asked.draw == "hash" else "add pictures or raise its share"
        there = {row.split for row in drawn}
        empty = [part for part, share in zip(PARTS, asked.split) if share and part not in there]
        notes += [f"The {part} part is empty: {out}." for part in empty]
    return notes


def gaps(rows: Rows) -> list[str]:
    """Return sentences on classes without a picture in the train or the test part. Empty parts are left out."""
    labels = {part: {row.label for row in rows if row.split == part} for part in ("train", "test")}
    everything = sorted({row.label for row in rows})
    return [
        f"Classes without a picture in the {part} part, {what}: {some(missing)}."
        for part, what in (("train", "so training is refused"), ("test", "which are not tested"))
        if labels[part] and (missing := [repr(label) for label in everything if label not in labels[part]])
    ]
