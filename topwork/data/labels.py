"""Labels: read labels from tables, arrays and folder names, and put the classes in order.

Blanks around a label are removed: ``" rose"`` becomes ``"rose"``. The label is converted to Unicode's normal form C, in
which an accented letter is one character, however it was typed. If every label in a column is a whole number, some
written as floats (pandas writes ``0.0`` for 0 if the column has an empty cell), all are read as whole numbers.
``"1.10"`` and ``"007"`` stay as they are.
"""

import os
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from topwork.errors import DatasetError

MISSING = ("nan", "NaN", "-nan", "NAN", "<NA>", "NA", "N/A", "n/a", "#N/A", "NaT", "None", "null", "NULL")
"""How pandas, R, spreadsheets and databases write a missing value."""

_EDGES = re.compile(r"^[\s\u200b-\u200f\u2060\ufeff]+|[\s\u200b-\u200f\u2060\ufeff]+$")
"""Blanks at the beginning or the end, including blanks of zero width."""
_WHOLE = re.compile(r"-?\d+")
_WHOLE_FLOAT = re.compile(r"(-?(?:0|[1-9]\d*))(?:\.0*)?")


def text(value: Any) -> str:
    """Return a cell as text: a missing value (None, NaN, NaT, NA) becomes empty; a number is written as in Python.

    >>> text(None), text(float("nan")), text(0.0), text(7)
    ('', '', '0.0', '7')
    """
    if value is None or value != value:  # NaN is not equal to itself
        return ""
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def column(cells: Iterable[str]) -> list[str]:
    """Return the labels or groups in the cells of a column, read by the rules above.

    >>> column([" rose ", "cafe\\u0301"]) == ["rose", "caf\\u00e9"]
    True
    >>> column(["0.0", " 1.0"]), column(["1.0", "1.10"]), column(["007", "1"])
    (['0', '1'], ['1.0', '1.10'], ['007', '1'])
    """
    found = [_EDGES.sub("", unicodedata.normalize("NFC", cell)) for cell in cells]
    numbers = [_WHOLE_FLOAT.fullmatch(text) for text in found if text]
    if not all(numbers):
        return found
    return [text.split(".")[0] for text in found]


def refuse_missing(label: str, where: str, is_ours: bool = False) -> None:
    """Refuse a cell without a label.

    Args:
        label: as `column` returns it.
        where: the file and the line, for the error.
        is_ours: whether topwork wrote the table. If so, only empty labels are refused, because a class folder may be
            called ``None``.

    Raises:
        DatasetError: the label is empty, or is a word that programs write for a missing value.
    """
    if not label:
        raise DatasetError(f"{where}: the label is empty. Give the row a label, or leave it out.")
    if label in MISSING and not is_ours:
        raise DatasetError(
            f"{where}: the label is {label!r}, which programs write where a value is missing. Give the row a label, or "
            "leave it out; if this is the name of a class, give the class another name."
        )


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Return each label once, in the order of a model's outputs: by value if all are whole numbers, else as text.

    >>> in_order(["10", "9", "9"]), in_order(["10", "9", "a"])
    (('9', '10'), ('10', '9', 'a'))
    """
    found = set(labels)
    if all(_WHOLE.fullmatch(label) for label in found):
        return tuple(sorted(found, key=lambda label: (int(label), label)))
    return tuple(sorted(found))


def refuse_lookalikes(labels: Iterable[str]) -> None:
    """Refuse two labels that a reader could not tell apart.

    Raises:
        DatasetError: two labels differ only in case, blanks, invisible characters or the width of letters.
    """
    seen: dict[str, str] = {}
    for label in sorted(labels):
        folded = unicodedata.normalize("NFKC", label).casefold()
        shown = [char for char in folded if not char.isspace() and unicodedata.category(char) != "Cf"]  # such as U+200B
        other = seen.setdefault("".join(shown), label)
        if other != label:
            raise DatasetError(
                f"labels {other!r} and {label!r} differ only in case, blanks or invisible characters: "
                "make them one label, or choose names that differ in letters."
            )
