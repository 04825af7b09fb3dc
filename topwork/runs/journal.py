"""The journal of a run. Each line has the measurements of one epoch, and whether its weights were kept."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any, Self

from topwork.errors import RunError
from topwork.system.files import written_whole
from topwork.system.records import Record


@dataclass(frozen=True, kw_only=True)
class Epoch(Record):
    """One line of the journal. A value is ``None`` if it was not measured, and nan if it was not finite.

    Args:
        phase: the number of the phase, from 1.
        cut: the cut of the phase.
        precision: the precision in which the layers above the cut were computed.
        epoch: the number of the epoch in its phase; epoch 0 measures the weights that the phase starts with.
        loss: the training loss as the optimizer saw it, in nats; ``None`` for epoch 0.
        train_loss, train_accuracy, train_auc: measured on a sample of the training pictures, in inference mode.
        val_loss, val_accuracy, val_auc: measured on the validation pictures.
        l2: the strength of the L2 term, in a phase that is solved; each strength has one line.
        fold_loss, fold_accuracy: measured by an inner cross-validation of the training part, which chose the strength.
        kept: whether the weights of this epoch replaced those kept so far; ``None`` in journals of older versions.
        seconds: how long the epoch took.
    """

    phase: int
    cut: str
    precision: str = "float32"
    epoch: int
    loss: float | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    train_auc: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    val_auc: float | None = None
    l2: float | None = None
    fold_loss: float | None = None
    fold_accuracy: float | None = None
    kept: bool | None = None
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return a line of ``journal.jsonl``, without values that were not measured; non-finite values are ``null``."""
        found = {}
        for name, value in super().as_json().items():
            if value is not None:
                is_number = not isinstance(value, float) or isfinite(value)
                found[name] = value if is_number else None
        return found

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Return the epoch for a JSON object from `as_json`."""
        return super().from_json({name: nan if value is None else value for name, value in found.items()})

    @property
    def is_finite(self) -> bool:
        """Whether all measured values are finite."""
        return None not in self.as_json().values()


@dataclass(frozen=True)
class Journal:
    """The journal of one run. It grows while the run trains, so it is read each time.

    Args:
        path: the file; it need not exist yet.
    """

    path: Path

    def epochs(self) -> list[Epoch]:
        """Return all epochs so far, in order.

        Raises:
            RunError: a line is damaged.
        """
        if not self.path.exists():
            return []
        return self._parsed(self.path.read_text(encoding="utf-8").splitlines())

    def note(self, epoch: Epoch) -> None:
        """Add the line of an epoch."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(epoch.as_json()) + "\n")

    def cut(self, phase: int, epoch: int) -> None:
        """Remove the lines after an epoch; a resumed run writes them again.

        Raises:
            RunError: a line is damaged. There is no error if only the last line is incomplete, because the process was
                killed: this line is removed.
        """
        if not self.path.exists():
            return
        text = self.path.read_text(encoding="utf-8")
        whole = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        lines = zip(whole, self._parsed(whole), strict=True)
        kept = [line for line, at in lines if (at.phase, at.epoch) <= (phase, epoch)]
        with written_whole(self.path) as aside:
            aside.write_text("".join(kept), encoding="utf-8")

    def _parsed(self, lines: list[str]) -> list[Epoch]:
        found = []
        for number, line in enumerate(lines, 1):
            try:
                found.append(Epoch.from_json(json.loads(line)))
            except (ValueError, LookupError):
                raise RunError(
                    f"line {number} of {str(self.path)!r} is damaged: expected an epoch as JSON. "
                    "Restore the file, or train again."
                ) from None
        return found


def kept_epochs(journal: Sequence[Epoch]) -> list[Epoch]:
    """Return for each phase the epoch whose weights it kept, in the order of the phases.

    This is the last epoch of the phase for which `Epoch.kept` is true. Journals of older versions do not have this
    value: for them, it is the epoch with the lowest validation loss, or the last epoch if there is no validation.

    Example:
        >>> first = Epoch(phase=1, cut="x@pool", epoch=0, val_loss=0.7, kept=True)
        >>> second = Epoch(phase=1, cut="x@pool", epoch=1, val_loss=0.5, kept=True)
        >>> third = Epoch(phase=1, cut="x@pool", epoch=2, val_loss=0.6, kept=False)
        >>> [line.epoch for line in kept_epochs([first, second, third])]
        [1]
    """
    phases: dict[int, Epoch] = {}
    scores: dict[int, float] = {}  # of the epochs in *phases*; the lowest score is kept
    for line in journal:
        if not line.is_finite:
            score = inf
        elif line.val_loss is None:
            score = -line.epoch  # without validation, the later epoch is kept
        else:
            score = line.val_loss
        kept = line.kept
        if kept is None:
            kept = line.phase not in phases or score < scores[line.phase]
        if kept:
            phases[line.phase], scores[line.phase] = line, score
    return list(phases.values())
