"""What a search tries, and which of the tries train further: the grid of opened phases, and successive halving."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from topwork.cut import Cut
from topwork.recipes.settings import BatchNorm

SETTINGS: tuple[tuple[BatchNorm, float], ...] = (
    ("frozen", 1e-3),
    ("train", 1e-3),
    ("frozen", 3e-4),
    ("frozen", 1e-4),
    ("train", 3e-3),
    ("train", 3e-4),
)
"""Batch-norm and learning rate of the opened layers, the most promising first (docs/decisions.md)."""

WARM_UP = 0.25
"""The learning rate rises for this share of each cycle."""

CYCLES = 5
"""The largest number of cycles of a try; 62 epochs, if the first cycle has two. A sixth gained nothing."""


@dataclass(frozen=True)
class Opening:
    """Layers that are opened above a cut, and how they are trained.

    Args:
        cut: the cut.
        batch_norm, learning_rate: see `topwork.recipes.settings.Phase`.
        views: the number of views per training picture.
    """

    cut: str
    batch_norm: BatchNorm
    learning_rate: float
    views: int = 1


def grid(cuts: Sequence[Sequence[Cut]], views: int = 1) -> Iterator[Opening]:
    """Yield what to try, in this order.

    Neighbours differ in their network, their place and their settings, so that the first few tries cover all of these.

    Args:
        cuts: for each network, the most accurate first, its cuts, the most promising first.
        views: the number of views per training picture.

    >>> cuts = [[Cut.parse("x@a"), Cut.parse("x@b")], [Cut.parse("y@c")]]
    >>> [(one.cut, one.batch_norm, one.learning_rate) for one in grid(cuts)][:4]
    [('x@a', 'frozen', 0.001), ('y@c', 'frozen', 0.001), ('x@b', 'train', 0.001), ('y@c', 'train', 0.001)]
    """
    for shift in range(max(map(len, cuts), default=0)):
        for number, (batch_norm, rate) in enumerate(SETTINGS):
            for some in cuts:
                if shift < len(some):
                    yield Opening(str(some[(number + shift) % len(some)]), batch_norm, rate, views)


def rungs(first: int) -> list[int]:
    """Return the epochs at which tries are compared: the ends of the cycles of their schedule.

    >>> rungs(2)
    [2, 6, 14, 30, 62]
    """
    return [first * (2**number - 1) for number in range(1, CYCLES + 1)]
