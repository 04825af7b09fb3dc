"""The parity gate: an exported file must answer as the model does (law 5).

Both sides start from the bytes of real pictures, with decoding and resizing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from topwork.runs.scores import Rate
from topwork.scoring import intervals
from topwork.scoring.metrics import agreement
from topwork.shipping.formats.known import Precision
from topwork.system.messages import counted
from topwork.system.records import Record

BOUND = 1e-4
"""The largest allowed difference of a probability in float32.

If the model's two largest probabilities differ by more than this, the most probable class must be the same as well.
"""

ALIKE, MANY = 0.98, 100
"""The least share of equal answers in fewer bits. Of fewer than so many pictures, at most one answer may differ."""


@dataclass(frozen=True)
class Parity(Record):
    """How the answers of a file agree with those of the model.

    Args:
        pictures: the number of compared pictures.
        largest_difference: of a probability.
        agreement: the share of pictures with the same answer.
        tested: the number of test pictures among them.
        accuracy: of the model and of the file on these; empty without test pictures.
        difference: the file's accuracy less the model's, with the interval of a paired test; ``None`` without test
            pictures.
        problem: what is wrong; empty if the file answers as the model does.
    """

    pictures: int
    largest_difference: float
    agreement: float
    tested: int
    accuracy: tuple[float, ...]
    difference: Rate | None
    problem: str


def compared(expected: np.ndarray, answered: np.ndarray, truth: Sequence[int | None], precision: Precision) -> Parity:
    """Compare the answers of a file with those of the model.

    Args:
        expected: the model's probabilities, float ``[n, classes]``.
        answered: those of the file, float ``[n, classes]``.
        truth: the true class of each test picture, ``None`` for pictures that are not of the test part.
        precision: of the file.
    """
    found = agreement(expected, answered, BOUND)
    tested = np.array([true is not None for true in truth])
    accuracy: tuple[float, ...] = ()
    difference, is_worse = None, False
    if tested.any():
        true = np.array([one for one in truth if one is not None])
        ours, theirs = (side[tested].argmax(1) == true for side in (expected, answered))
        lost, won = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
        accuracy = float(ours.mean()), float(theirs.mean())
        difference = Rate(accuracy[1] - accuracy[0], *intervals.paired(lost, won, len(true)))
        is_worse = lost > won and intervals.mcnemar(lost, won) < intervals.ALPHA
    problems = []
    if precision == "float32":
        if found.largest_difference > BOUND or found.disagreements:
            problems.append(
                f"a probability differs by {found.largest_difference:.2g} (at most {BOUND:g} was expected), and "
                f"{found.disagreements} of the answers are another class"
            )
    else:
        others = round((1 - found.top1_agreement) * len(expected))
        if others > (1 if len(expected) < MANY else (1 - ALIKE) * len(expected)):
            problems.append(f"{others} of the answers are another class")
        if not np.isfinite(answered).all():
            problems.append("some probabilities are no numbers")
    if is_worse:
        problems.append(f"on the test pictures, its accuracy is {accuracy[1]:.3f} instead of {accuracy[0]:.3f}")
    told = f"on {counted(len(expected), 'picture')}, {', and '.join(problems)}" if problems else ""
    return Parity(
        pictures=len(expected),
        largest_difference=found.largest_difference,
        agreement=found.top1_agreement,
        tested=int(tested.sum()),
        accuracy=accuracy,
        difference=difference,
        problem=told,
    )
