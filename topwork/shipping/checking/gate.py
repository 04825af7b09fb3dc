"""The parity gate: an exported file must answer as the model does (law 5).

Both sides start from the bytes of real pictures, with decoding and resizing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from topwork.networks.outputs.names import DISTANCE, MAP, PROBABILITIES
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

FAR = 1e-3
"""The largest allowed difference of a distance or of a map in float32, as a share of the largest value."""

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
        known: the number of pictures that the model and the file both call known or both unknown; ``None`` if the run
            has no distance.
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
    known: int | None = None


def compared(
    said: Mapping[str, np.ndarray],
    found: Mapping[str, np.ndarray],
    truth: Sequence[int | None],
    precision: Precision,
    threshold: float | None = None,
) -> Parity:
    """Compare the answers of a file with those of the model.

    Args:
        said: the model's outputs by name, with *n* rows; see `topwork.networks.outputs.complete`.
        found: those of the file. The map may be missing in ``int8``.
        truth: the true class of each test picture, ``None`` for pictures that are not of the test part.
        precision: of the file.
        threshold: the distance up to which a picture is known.
    """
    expected, answered = said[PROBABILITIES], found[PROBABILITIES]
    same = agreement(expected, answered, BOUND)
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
    known = None
    if threshold is not None and DISTANCE in found:
        known = int(((said[DISTANCE] <= threshold) == (found[DISTANCE] <= threshold)).sum())
    problems = []
    if precision == "float32":
        if same.largest_difference > BOUND or same.disagreements:
            problems.append(
                f"a probability differs by {same.largest_difference:.2g} (at most {BOUND:g} was expected), and "
                f"{same.disagreements} of the answers are another class"
            )
        problems += _far(said, found)
    else:
        lacking = [name for name in said if name not in found and name != MAP]
        problems += [f"the output {name!r} is missing" for name in lacking]
        allowed = 1 if len(expected) < MANY else (1 - ALIKE) * len(expected)
        others = round((1 - same.top1_agreement) * len(expected))
        if others > allowed:
            problems.append(f"{others} of the answers are another class")
        if known is not None and len(expected) - known > allowed:
            problems.append(f"{len(expected) - known} of the pictures are known to one and unknown to the other")
    for name, values in found.items():
        if not np.isfinite(values).all():
            problems.append(f"some values of the output {name!r} are no numbers")
    if is_worse:
        problems.append(f"on the test pictures, its accuracy is {accuracy[1]:.3f} instead of {accuracy[0]:.3f}")
    told = f"on {counted(len(expected), 'picture')}, {', and '.join(problems)}" if problems else ""
    return Parity(
        pictures=len(expected),
        largest_difference=same.largest_difference,
        agreement=same.top1_agreement,
        tested=int(tested.sum()),
        accuracy=accuracy,
        difference=difference,
        problem=told,
        known=known,
    )


def _far(said: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> list[str]:
    """Return what is wrong with the further outputs of a file in float32."""
    problems = []
    for name, values in said.items():
        if name == PROBABILITIES:
            continue
        if name not in found:
            problems.append(f"the output {name!r} is missing")
            continue
        far = float(np.abs(found[name] - values).max() / max(np.abs(values).max(), 1e-6))
        if far > FAR:
            problems.append(f"the output {name!r} differs by {far:.2g} of its largest value (at most {FAR:g})")
    return problems
