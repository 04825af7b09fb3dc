"""Messages while topwork works: lines, and progress bars.

Lines go to the logger ``topwork``, which writes to stderr. Bars are shown only on a terminal; in a notebook, stderr is
not a terminal, so only lines are shown. ``logging.getLogger("topwork").setLevel(logging.WARNING)`` silences both;
``progress=False`` silences both for one call. To send the lines elsewhere, replace the handlers:
``logging.getLogger("topwork").handlers[:] = [mine]``.
"""

import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from shutil import get_terminal_size
from textwrap import fill
from typing import Any, ClassVar, ParamSpec, Self, TypeVar

from topwork.system.text import fitting

P = ParamSpec("P")
T = TypeVar("T")

SHOWN = 3
"""How many items a message names before it only counts the rest."""


logger = logging.getLogger("topwork")


class Stderr(logging.Handler):
    """A handler that writes lines to stderr; on a terminal, long lines are broken between words.

    A number and its unit stay on one line.

    `topwork.system.text.fitting` replaces characters that stderr cannot show, so that no message raises.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message to the current stderr."""
        text = record.getMessage()
        if sys.stderr.isatty():
            tied, width = re.sub(r"(?<=\d) (?=[\w%])", "\0", text), max(40, get_terminal_size().columns)
            lines = [fill(line, width, break_long_words=False, break_on_hyphens=False) for line in tied.splitlines()]
            text = "\n".join(lines).replace("\0", " ")
        print(fitting(text, getattr(sys.stderr, "encoding", None)), file=sys.stderr, flush=True)


if not logger.handlers:
    logger.addHandler(Stderr())
    logger.propagate = False
if logger.level == logging.NOTSET:
    logger.setLevel(logging.INFO)


_is_shown: ContextVar[bool] = ContextVar("_is_shown", default=True)


@contextmanager
def shown(progress: bool) -> Iterator[None]:
    """Inside the ``with``, show lines and bars only if *progress* is true and all enclosing calls show them, too."""
    before = _is_shown.set(progress and _is_shown.get())
    try:
        yield
    finally:
        _is_shown.reset(before)


def with_progress(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a public function that has a keyword ``progress``: if it is false, the call shows no lines or bars.

    >>> @with_progress
    ... def train(*, progress: bool = True) -> str:
    ...     return "shown" if _is_shown.get() else "not shown"
    >>> train(), train(progress=False)
    ('shown', 'not shown')
    """

    @wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> T:
        with shown(bool(options.get("progress", True))):
            return function(*args, **options)

    return call


def say(text: str) -> None:
    """Report what topwork does, in one or more lines."""
    if _is_shown.get():
        logger.info("%s", text)


def shows_bars() -> bool:
    """Return whether bars are shown: if stderr is a terminal (not in a notebook) and bars are not silenced."""
    return _is_shown.get() and sys.stderr.isatty() and logger.isEnabledFor(logging.INFO)


class Bar:
    """A progress bar with a note and the time left; a context manager. Nothing is shown if stderr is not a terminal.

    A bar that starts takes the place of the one that is shown.
    """

    _shown: "ClassVar[Bar | None]" = None

    def __init__(self, what: str) -> None:
        self._what = what
        self._progress: Any = None

    def start(self, first: str | None = None) -> Self:
        """Show the bar. Until it is updated, it names what is done *first*, without a count."""
        if self._progress or not shows_bars():
            return self
        if Bar._shown:
            Bar._shown.stop()
        Bar._shown = self
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        what, state, left = "{task.description}", "{task.fields[state]}", TimeRemainingColumn(compact=True)
        columns = [TextColumn(what), BarColumn(bar_width=None), TextColumn(state), left]
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True, expand=True)
        self._task = self._progress.add_task(first or self._what, total=None, state="")
        self._progress.start()
        return self

    def __enter__(self) -> Self:
        return self.start()

    def update(self, done: int, total: int, note: str = "") -> None:
        """Show that *done* of *total* units are done; *note* is shown next to the bar."""
        if self._progress:
            state = f"{done:,}/{total:,} {note}".rstrip()
            self._progress.update(self._task, description=self._what, completed=done, total=total, state=state)

    def stop(self, *_: object) -> None:
        """Remove the bar."""
        if self._progress:
            self._progress.stop()
            self._progress = Bar._shown = None

    __exit__ = stop


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural if needed.

    >>> counted(1, "picture"), counted(1797, "picture")
    ('1 picture', '1,797 pictures')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def duration(seconds: float) -> str:
    """Return a time in seconds as text for people.

    >>> duration(0.4), duration(75), duration(7300)
    ('0.4 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: float) -> str:
    """Return a number of bytes as text for people.

    >>> size(1_280_000)
    '1.3 MB'
    """
    for unit in ("B", "KB", "MB", "GB"):
        if count < 999.95:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def some(words: Sequence[str]) -> str:
    """Return the first few words, and how many more there are; never "1 more", which would be no shorter.

    >>> some(["'a'", "'b'", "'c'", "'d'", "'e'"])
    "'a', 'b', 'c' and 2 more"
    """
    if len(words) <= SHOWN + 1:
        return ", ".join(words)
    return ", ".join(words[:SHOWN]) + f" and {len(words) - SHOWN} more"


def named(items: Iterable[Any]) -> str:
    """Return values as a list for a sentence.

    >>> named(["front", "side", "top"])
    "'front', 'side' and 'top'"
    """
    words = list(map(repr, items))
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
