"""What the journal of a run says: which epoch of each phase was kept."""

from collections.abc import Sequence
from math import inf
from typing import Any

Line = dict[str, Any]
"""One epoch: ``phase`` and ``epoch``, what was measured then (``None``: no finite number), and ``kept``."""


def kept_epochs(journal: Sequence[Line]) -> list[Line]:
    """The line of each phase whose weights it ended with, in the order of the phases.

    ``kept`` says whether an epoch's weights took the place of those kept until then; the last such line of a phase
    counts. Journals of older versions do not have it: of these the rule is applied again.

    Example:
        >>> first = {"phase": 1, "epoch": 0, "val_loss": 0.7, "kept": True}
        >>> second = {"phase": 1, "epoch": 1, "val_loss": 0.5, "kept": True}
        >>> third = {"phase": 1, "epoch": 2, "val_loss": 0.6, "kept": False}
        >>> [line["epoch"] for line in kept_epochs([first, second, third])]
        [1]
    """
    phases: dict[int, Line] = {}
    for line in journal:
        before = phases.get(line["phase"])
        if line["kept"] if "kept" in line else before is None or _score(line) < _score(before):
            phases[line["phase"]] = line
    return list(phases.values())


def _score(line: Line) -> float:
    """What the lowest of is kept: the validation loss; without one the later epoch; never what is not finite."""
    return inf if None in line.values() else float(line.get("val_loss", -line["epoch"]))
