"""The decisions of a search that depend on the clock.

A search is repeated bit for bit if it does the same things in the same order. What depends on the time is decided in
one place, `Decisions.made`, and written down. A search that continues takes these decisions from the file.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from topwork.system.files import written_whole

T = TypeVar("T")

END = "end"


class Over(Exception):
    """The search ended here before it was interrupted."""


class Decisions:
    """The decisions of a search, in order.

    Args:
        path: the file, one JSON object per line; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        self._known = [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be incomplete
        with written_whole(path) as aside:
            aside.write_text("".join(json.dumps(line) + "\n" for line in self._known), encoding="utf-8")
        self._next = 0

    def made(self, name: str, decide: Callable[[], T]) -> T:
        """Return the next decision: from the file if it was made before, else from *decide*, a value for JSON.

        Raises:
            Over: the next decision in the file is to end the search.
        """
        if self._next < len(self._known):
            line = self._known[self._next]
            if line["name"] == END != name:
                raise Over
            assert line["name"] == name, f"decision {self._next + 1} is {line['name']!r}, not {name!r}"
        else:
            line = {"name": name, "value": decide()}
            self._known.append(line)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        self._next += 1
        return line["value"]

    @property
    def has_ended(self) -> bool:
        """Whether the last decision was to end the search."""
        return bool(self._known) and self._known[-1]["name"] == END

    def end(self, why: str) -> str:
        """End the search, and return why; if it ended before, the earlier reason."""
        if not self.has_ended:
            self._next = len(self._known)
            return self.made(END, lambda: why)
        return self._known[-1]["value"]
