"""Print results to stdout: tables for people, JSON for programs. Messages go to stderr (`topwork.system.messages`)."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from topwork.system.text import as_json

if TYPE_CHECKING:
    from topwork.runs.scores import Rate


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: words are aligned left, numbers right, and no cell is wrapped."""
    print(*table_lines(heads, rows), sep="\n")


def table_lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines that `print_table` prints: the heads, a horizontal rule, and one line per row."""
    from rich.cells import cell_len

    columns: list[list[str]] = []
    for head, *cells in zip(heads, *rows):
        width = max(map(cell_len, (head, *cells)))
        are_words = not columns or any(cell[:1].isalpha() for cell in cells)
        padded = [(cell, " " * (width - cell_len(cell))) for cell in (head, "─" * width, *cells)]
        columns.append([cell + pad if are_words else pad + cell for cell, pad in padded])

    for line in zip(*columns):
        yield "  ".join(line).rstrip()


def print_json(value: Any) -> None:
    """Print one JSON object on one line. If stdout cannot encode a character, all non-ASCII characters are escaped."""
    print(as_json(value, getattr(sys.stdout, "encoding", None)), flush=True)


def rate_cells(rate: "Rate | None", largest: float = 1.0) -> tuple[str, str]:
    """Return the cells for the value and the interval of a rate between 0 and *largest*.

    An interval that covers all of this range is shown as a dash.
    """
    if rate is None:
        return "-", ""
    is_all = rate.low <= 0 and rate.high >= largest
    return f"{rate.value:.3f}", "-" if is_all else f"{rate.low:.3f} to {rate.high:.3f}"
