"""Parsing: read TOML strictly into frozen dataclasses. An error names the key and its line in the file.

`tomllib` does not report the line of a key, so `line_of` finds the line if there is an error.
"""

import tomllib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from math import inf
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from topwork.errors import RecipeError, UsageError, nearest
from topwork.recipes.renamed import NAMES

RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "max_megapixels": (0, inf),
    "size": (1, inf),
    "dropout": (0, 1),
    "hold_out_share": (0, 1),
    "units": (1, inf),
    "l2": (0, inf),
    "epochs": (1, inf),
    "learning_rate": (0, inf),
    "momentum": (0, 1),
    "batch_size": (1, inf),
    "patience": (0, inf),
    "warmup_epochs": (0, inf),
    "global_clipnorm": (0, inf),
    "weight_decay": (0, inf),
    "label_smoothing": (0, 1),
    "cycle_epochs": (1, inf),
    "minutes": (0, inf),
    "count": (1, 100),
    "rotation": (0, 180),
    "shift": (0, 1),
    "shear": (0, 45),
    "zoom": (0, 0.9),
    "brightness": (0, 1),
    "contrast": (0, 1),
}
"""Key -> (smallest, largest) allowed value, in every table that has the key."""

POSITIVE = ("learning_rate", "minutes")
"""The keys for which the smallest value itself is not allowed."""


def read(kind: type, table: Any, where: str, **given: Any) -> Any:
    """Return a dataclass of type *kind*, made from a table. The table cannot set the fields in *given*.

    Raises:
        RecipeError: *table* is not a table, or it has an unknown key, a value of the wrong type, or a value that is not
            in the field's `Literal`.
    """
    types = {f.name: f.type for f in fields(kind) if f.name not in given}
    refuse_unknown(expect(Mapping, table, where, "a table"), types, where)
    values = {key: _value(types[key], value, f"{where}.{key}") for key, value in table.items()}
    return kind(**given, **values)


def expect(kind: type | tuple[type, ...], value: Any, where: str, words: str) -> Any:
    """Return the value, if it is of type *kind*.

    Raises:
        RecipeError: the value has another type. The error says that *words* were expected at *where*.
    """
    if not isinstance(value, kind):
        raise RecipeError(f"{where} = {value!r}: expected {words}.", where)
    return value


def check_range(value: Any, low: float, high: float, where: str, above: bool = False) -> None:
    """Refuse a number outside *low* to *high*, or a tuple with such a number; values of other types are accepted.

    If *above* is set, *low* itself is refused too, and there is no upper limit.
    """
    for single in value if isinstance(value, tuple) else (value,):
        if isinstance(single, int | float) and not (low < single if above else low <= single <= high):
            least = f"more than {low}" if above else f"at least {low}"
            expected = least if high == inf else f"between {low} and {high}"
            raise RecipeError(f"{where} = {single!r}: expected {expected}.", where)


def refuse_unknown(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Refuse an unknown key. The error proposes its new name or the most similar known key."""
    for key in table:
        if key not in known:
            names, new = ", ".join(known), NAMES.get(key, "")
            hint = f": it is called {new!r} now." if new in known else nearest(key, known) or "."
            stands = key if where == "recipe" else f"{where}.{key}"
            raise RecipeError(f"unknown key {key!r} in {where}{hint} Known keys: {names}.", stands)


def put(table: dict[str, Any], key: str, value: Any) -> None:
    """Set a value in a nested table. List items count from 1: ``"phase.1.learning_rate"`` is for the first phase."""
    *path, last = key.split(".")
    node: Any = table
    for word in path:
        if isinstance(node, list):
            if not word.isdecimal() or not 1 <= int(word) <= len(node):
                phases = "1 phase" if len(node) == 1 else f"{len(node)} phases"
                raise RecipeError(f"cannot set {key!r}: the recipe has {phases}, numbered from 1.")
            node = node[int(word) - 1]
        elif isinstance(node, dict):
            node = node.setdefault(word, {})
    if not isinstance(node, dict) or not path:
        raise RecipeError(f"cannot set {key!r}: expected a key such as 'data.seed' or 'phase.1.learning_rate'.")
    node[last] = value


def _value(kind: Any, value: Any, where: str) -> Any:
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return tuple(_value(item, single, where) for single in expect((list, tuple), value, where, _LISTS[item]))
    if get_origin(kind) is Mapping:
        table = expect(Mapping, value, where, "a table of texts")
        return {key: _value(str, single, f"{where}.{key}") for key, single in table.items()}
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    choices = [choice for one in kinds if get_origin(one) is Literal for choice in get_args(one)]
    types = [one for one in kinds if one in _WORDS]
    if choices and value in choices:
        return value
    for single in types:
        if isinstance(value, bool) == (single is bool) and isinstance(
            value, (int, float) if single is float else single
        ):
            return float(value) if single is float else value
    words = " or ".join([*(_WORDS[one] for one in types), *map(repr, choices)])
    hint = nearest(str(value), choices) if choices and isinstance(value, str) else ""
    raise RecipeError(f"{where} = {value!r}: expected {words}{hint or '.'}", where)


_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
_LISTS = {int: "a list of whole numbers", float: "a list of numbers", str: "a list of texts"}


def located(error: UsageError, path: Path, text: str) -> UsageError:
    """Return the same error with the file and the line in front: the line of the key, or of the table that lacks it."""
    line = line_of(error.key, text)
    return type(error)(f"{str(path)!r}, line {line}: {error}") if line else error


def line_of(key: str, text: str) -> int | None:
    """Find the line of a key in a TOML file.

    `tomllib` does not report lines, but it can read the file up to the end of any statement. The shortest beginning of
    the file that has the key ends with the statement that sets it.

    Args:
        key: names of tables are joined by dots, and entries of arrays count from 1, as in ``phase.2.learning_rate``.
        text: the content of a file that `tomllib` can read.

    Returns:
        The line, counted from 1, where that statement begins. If the file lacks the key: the first line of the table
        that the key belongs to. ``None`` if the file has neither.

    Example:
        >>> text = '[data]\\nseed = 1\\n[[phase]]\\ncut = "x@pool"'
        >>> line_of("data.seed", text), line_of("phase.1.cut", text), line_of("phase.1.epochs", text)
        (2, 4, 3)
    """
    lines = text.replace("\r\n", "\n").split("\n")
    ends = [0]
    for number in range(1, len(lines) + 1):
        with suppress(tomllib.TOMLDecodeError):
            tomllib.loads("\n".join(lines[ends[-1] : number]))
            ends.append(number)

    def has(key: str, end: int) -> bool:
        return key in _keys(tomllib.loads("\n".join(lines[:end])))

    while key and not has(key, ends[-1]):
        key = key.rpartition(".")[0]
    if not key:
        return None
    return ends[bisect_left(ends, True, key=lambda end: has(key, end)) - 1] + 1


def _keys(value: Any, above: str = "") -> Iterator[str]:
    """Yield every key in a value from `tomllib`, with the names of its tables in front."""
    inside = value.items() if isinstance(value, dict) else enumerate(value, 1) if isinstance(value, list) else ()
    for word, one in inside:
        yield f"{above}{word}"
        yield from _keys(one, f"{above}{word}.")
