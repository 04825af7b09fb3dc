"""A table from outside, as TOML gives it, read strictly into a frozen dataclass: what is wrong names its place."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from math import inf
from typing import Any, Literal, get_args, get_origin

from topwork.errors import RecipeError, nearest


def read(kind: type, table: Any, where: str, **given: Any) -> Any:
    """A dataclass of type *kind* from a table; fields that are *given* are no keys.

    Raises:
        RecipeError: no table, an unknown key, a value of another type or none of a `Literal`'s.
    """
    types = {f.name: f.type for f in fields(kind) if f.name not in given}
    refuse_unknown(expect(Mapping, table, where, "a table"), types, where)
    values = {key: _value(types[key], value, f"{where}.{key}") for key, value in table.items()}
    return kind(**given, **values)


def expect(kind: type | tuple[type, ...], value: Any, where: str, words: str) -> Any:
    """The value, which is of that type.

    Raises:
        RecipeError: it is not; *words* say what was expected at *where*.
    """
    if not isinstance(value, kind):
        raise RecipeError(f"{where} = {value!r}: expected {words}.", where)
    return value


def check_range(value: Any, low: float, high: float, where: str) -> None:
    """Refuse a number, or one of several, that is out of its range; there may be none."""
    for single in value if isinstance(value, tuple) else (value,):
        if single is not None and not low <= single <= high:
            expected = f"at least {low}" if high == inf else f"between {low} and {high}"
            raise RecipeError(f"{where} = {single!r}: expected {expected}.", where)


def refuse_unknown(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Refuse a key that is none of the known ones; the nearest is proposed."""
    for key in table:
        if key not in known:
            hint, names = nearest(key, known) or ".", ", ".join(known)
            stands = key if where == "recipe" else f"{where}.{key}"
            raise RecipeError(f"unknown key {key!r} in {where}{hint} Known keys: {names}.", stands)


def put(table: dict[str, Any], key: str, value: Any) -> None:
    """Set a value deep in a table: ``"phase.1.rate"`` is that of the first of a list."""
    *path, last = key.split(".")
    node: Any = table
    for word in path:
        if isinstance(node, list):
            if not word.isdecimal() or not 1 <= int(word) <= len(node):
                raise RecipeError(f"cannot set {key!r}: the recipe has phases 1 to {len(node)}.")
            node = node[int(word) - 1]
        elif isinstance(node, dict):
            node = node.setdefault(word, {})
    if not isinstance(node, dict) or not path:
        raise RecipeError(f"cannot set {key!r}: expected a key such as 'data.seed' or 'phase.1.rate'.")
    node[last] = value


def _value(kind: Any, value: Any, where: str) -> Any:
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if choices:
        if value not in choices:
            words = " or ".join(repr(choice) for choice in choices)
            raise RecipeError(f"{where} = {value!r}: expected {words}{nearest(str(value), choices) or '.'}", where)
        return value
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return tuple(_value(item, single, where) for single in expect((list, tuple), value, where, _LISTS[item]))
    if get_origin(kind) is Mapping:
        table = expect(Mapping, value, where, "a table of texts")
        return {key: _value(str, single, f"{where}.{key}") for key, single in table.items()}
    kinds = get_args(kind) or (kind,)
    for single in kinds:
        if isinstance(value, bool) == (single is bool) and isinstance(
            value, (int, float) if single is float else single
        ):
            return float(value) if single is float else value
    raise RecipeError(f"{where} = {value!r}: expected {_WORDS[kinds[0]]}.", where)


_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
_LISTS = {int: "a list of whole numbers", float: "a list of numbers", str: "a list of texts"}
