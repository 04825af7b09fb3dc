"""On which line of a TOML file each key stands: `tomllib` does not say, and an error should."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from topwork.errors import UsageError

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
        ``phase.2.rate``. A table is where it is named first.

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
