"""TOML from outside, read strictly into frozen dataclasses: an error names the key, and its line in the file.

`tomllib` does not say on which line a key stands, so `lines` finds that out where there is an error to tell.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from math import inf
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from topwork.errors import RecipeError, UsageError, nearest
from topwork.recipes.renamed import NAMES


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
    """Refuse an unknown key and propose the nearest known one."""
    for key in table:
        if key not in known:
            names, new = ", ".join(known), NAMES.get(key, "")
            hint = f": it is called {new!r} now." if new in known else nearest(key, known) or "."
            stands = key if where == "recipe" else f"{where}.{key}"
            raise RecipeError(f"unknown key {key!r} in {where}{hint} Known keys: {names}.", stands)


def put(table: dict[str, Any], key: str, value: Any) -> None:
    """Set a value deep in a table: ``"phase.1.learning_rate"`` is that of the first of a list."""
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
        raise RecipeError(f"cannot set {key!r}: expected a key such as 'data.seed' or 'phase.1.learning_rate'.")
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


_TOKEN = re.compile(
    r"""(?P<string> \"{3} (?:\\.|[^\\])*? \"{3,5} | '{3} .*? '{3,5} | "(?:\\.|[^"\\\n])*" | '[^'\n]*')
      | (?P<space> [ \t\r]+ | \#[^\n]*)
      | (?P<mark> [\n\[\]{}=,.])
      | (?P<word> [^\s\[\]{}=,.\#"']+)""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A string, a mark or a bare word, as it is written, and its line, from 1."""

    text: str
    line: int


def lines(text: str) -> dict[str, int]:
    """The line of each key of a TOML file that `tomllib` reads.

    Args:
        text: of the file.

    Returns:
        Line, from 1, by key: those of tables are joined by dots, entries of arrays are counted from 1, as in
        ``phase.2.learning_rate``. A table is where it is named first.

    Example:
        >>> lines('[data]\\nseed = 1\\n[[phase]]\\ncut = "x@pool"')
        {'data': 1, 'data.seed': 2, 'phase': 3, 'phase.1': 3, 'phase.1.cut': 4}
    """
    scan = _Scan([*_tokens(text), Token("\n", text.count("\n") + 1)])
    scan.document()
    return scan.found


def located(error: UsageError, path: Path, text: str) -> UsageError:
    """The same error with the line of its key, or of the table that lacks it, in front."""
    found, key = lines(text), error.key
    while key and key not in found:
        key = key.rpartition(".")[0]
    return type(error)(f"{str(path)!r}, line {found[key]}: {error}") if key else error


def _tokens(text: str) -> list[Token]:
    found, line = [], 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "space":
            found.append(Token(match[0], line))
        line += match[0].count("\n")
    return found


@dataclass
class _Scan:
    """A walk over the tokens of a file that is known to be TOML."""

    tokens: list[Token]
    at: int = 0
    found: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """How many tables an array of tables has so far."""

    def document(self) -> None:
        table: list[str] = []
        while self.at < len(self.tokens):
            if self.take("["):
                table = self.header()
            elif not self.take("\n"):
                self.pair(table)

    def header(self) -> list[str]:
        """The rest of ``[table]`` or ``[[table]]``; gives the path of what follows it."""
        another = self.take("[")
        path: list[str] = []
        line, words = self.tokens[self.at].line, self.words()
        while not self.take("\n"):
            self.at += 1
        for number, word in enumerate(words, 1):
            path = self.note([*path, word], line)
            key = ".".join(path)
            if another and number == len(words):
                self.counts[key] = self.counts.get(key, 0) + 1
            if key in self.counts:
                path = self.note([*path, str(self.counts[key])], line)
        return path

    def pair(self, table: list[str]) -> None:
        """``key = value``, the key of one word or more."""
        line, path = self.tokens[self.at].line, table
        for word in self.words():
            path = self.note([*path, word], line)
        self.take("=")
        self.value(path)

    def words(self) -> list[str]:
        found = [_word(self.next())]
        while self.take("."):
            found.append(_word(self.next()))
        return found

    def value(self, path: list[str]) -> None:
        if self.take("["):
            self.several("]", lambda number: self.value(self.note([*path, str(number)], self.tokens[self.at].line)))
        elif self.take("{"):
            self.several("}", lambda _: self.pair(path))
        else:
            while self.tokens[self.at].text not in ("\n", ",", "]", "}"):
                self.at += 1

    def several(self, end: str, one: Callable[[int], None]) -> None:
        """What stands between brackets or braces."""
        number = 1
        while not self.take(end):
            if self.take(","):
                number += 1
            elif not self.take("\n"):
                one(number)

    def next(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def take(self, text: str) -> bool:
        """Whether the next token is that one; then it is passed."""
        is_it = self.tokens[self.at].text == text
        self.at += is_it
        return is_it

    def note(self, path: list[str], line: int) -> list[str]:
        self.found.setdefault(".".join(path), line)
        return path


def _word(token: Token) -> str:
    """A part of a key as Python has it."""
    quoted = token.text[0] in "\"'"
    return tomllib.loads(f"word = {token.text}")["word"] if quoted else token.text
