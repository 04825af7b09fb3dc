"""What a search tried: the file ``search.csv`` of a run, one row per try."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from topwork.runs.scores import Rate
from topwork.system.files import written_whole
from topwork.system.records import Record

FILE = "search.csv"


@dataclass(frozen=True, kw_only=True)
class Tried(Record):
    """One try of a search. A value is ``None`` if it does not apply or was not measured.

    Args:
        number: the number of the try, from 1, in the order in which the tries began.
        cut: the cut of its last phase.
        solved: whether only a head was trained, which is solved.
        batch_norm, learning_rate: the settings of the opened layers.
        views: the number of views per training picture.
        epochs: the number of epochs that were trained.
        best: the epoch with the lowest loss, whose weights it kept; 0: those of the head.
        seconds: how long it took.
        pictures: the number of validation pictures.
        loss: the lowest cross-entropy of its epochs on the validation part, in nats.
        accuracy: the accuracy at that epoch, with its 95 % interval.
        fold_loss, fold_accuracy: of a head, by folds of the training part, if these chose among the heads.
        ended: why it ended.
        kept: whether the run has its weights.
    """

    number: int
    cut: str
    solved: bool
    batch_norm: str | None = None
    learning_rate: float | None = None
    views: int = 1
    epochs: int | None = None
    best: int | None = None
    seconds: float = 0.0
    pictures: int = 0
    loss: float | None = None
    accuracy: Rate | None = None
    fold_loss: float | None = None
    fold_accuracy: float | None = None
    ended: str = ""
    kept: bool = False


NAMES = [one.name for one in fields(Tried)]


def write(run: Path, tries: Sequence[Tried]) -> None:
    """Write ``search.csv`` into a run folder. Values that are ``None`` are empty; ``low`` and ``high`` are columns."""
    rows = []
    for one in tries:
        row = one.as_json()
        rate = row.pop("accuracy") or {"value": None, "low": None, "high": None}
        rows.append(row | {"accuracy": rate["value"], "low": rate["low"], "high": rate["high"]})
    with written_whole(run / FILE) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        sheet = csv.DictWriter(file, [*NAMES, "low", "high"])
        sheet.writeheader()
        sheet.writerows(rows)


def read(run: Path) -> list[Tried]:
    """Return the tries of a run; empty if it did not search."""
    path = run / FILE
    if not path.exists():
        return []
    tries = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found: dict[str, Any] = {}
            for name, kind in get_type_hints(Tried).items():
                text = row[name]
                kinds = get_args(kind) or (kind,)
                if kinds[0] is Rate:
                    found[name] = Rate(float(text), float(row["low"]), float(row["high"])) if text else None
                elif kinds[0] is bool:
                    found[name] = text == "True"
                else:
                    found[name] = None if type(None) in kinds and not text else kinds[0](text)
            tries.append(Tried(**found))
    return tries
