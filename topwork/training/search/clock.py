"""The clock of a search, and the journal of what was decided by it.

A search is repeated bit for bit if it does the same things in the same order. What depends on the time is decided in
one place, `Decisions.made`, and written down. A search that continues takes these decisions from the file.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from topwork.system.files import written_whole


@dataclass
class Clock:
    """The time of a search. It stands still between an interruption and the next start.

    Args:
        minutes: how long the run may take.
        file: where the time that was spent is saved.
        reserve: the seconds that are needed after the search, for the test.
        start: when the run or its continuation began, by ``time.perf_counter``.
    """

    minutes: float
    file: Path
    reserve: float = 0.0
    start: float = field(default_factory=lambda: time.perf_counter())
    _before: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        if self.file.exists():
            self._before = float(json.loads(self.file.read_text(encoding="utf-8"))["seconds"])

    @property
    def spent(self) -> float:
        """The seconds that the search took so far, without interruptions."""
        return self._before + time.perf_counter() - self.start

    @property
    def left(self) -> float:
        """The seconds that are left for trying; negative if the time is over."""
        return 60 * self.minutes - self.spent - self.reserve

    def save(self) -> None:
        """Save the time that was spent."""
        with written_whole(self.file) as aside:
            aside.write_text(json.dumps({"seconds": round(self.spent, 3)}) + "\n", encoding="utf-8")
