"""A choice: cuts that were compared on the same pictures, which of them can be told apart, and which is cheapest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from topwork.data.dataset import LeftOut
from topwork.runs.scores import Rate
from topwork.scoring.intervals import ALPHA, mcnemar


@dataclass(frozen=True)
class Candidate:
    """One cut, and what it came to.

    Args:
        cut: as it was probed: a map is averaged.
        accuracy: of the linear probe, with Wilson's 95 % interval.
        right: which pictures it got right, bool ``[n]``.
        logme: see `topwork.scoring.choosing.probe`.
        features: how many numbers the probe read.
        parameters, macs: below the cut; layers that terms of a sum share count once.
        macs_above: from there to the cut's end, in every step of training.
        kilobytes: 1,024 bytes, of one picture in the store.
        disk_bytes: what all pictures of the data take there.
        milliseconds: to decode a picture and run it below the cut, as measured while filling the store; ``None`` where
            (nearly) all was there.
        p: of McNemar's exact test against the most accurate candidate, times the number of the others (Bonferroni:
            the best of many has had luck too), at most 1; 1 of the best itself.
    """

    cut: str
    accuracy: Rate
    right: np.ndarray
    logme: float
    features: int
    parameters: int
    macs: int
    macs_above: int
    kilobytes: float
    disk_bytes: int
    milliseconds: float | None
    p: float = 1.0

    @property
    def tied(self) -> bool:
        """Whether these pictures cannot tell it from the best."""
        return self.p >= ALPHA

    @property
    def cost(self) -> tuple[int, int, float]:
        """What makes it cheap: multiply-adds of an answer, then those of training, then room in the store."""
        return self.macs + self.macs_above, self.macs_above, self.kilobytes


@dataclass(frozen=True)
class Choice:
    """What was compared, on what, and what to take.

    Args:
        candidates: the most accurate first; see `ranked`.
        pictures: how many were looked at.
        folds: of the cross-validation.
        left_out: pictures that could not be used.
    """

    candidates: tuple[Candidate, ...]
    pictures: int
    folds: int
    left_out: tuple[LeftOut, ...] = ()

    @property
    def best(self) -> Candidate:
        """The most accurate."""
        return self.candidates[0]

    @property
    def least(self) -> float:
        """The best accuracy less its standard error: what is proposed reaches it.

        That a few pictures cannot tell two candidates apart does not make them equal. The rule of one standard error
        (Breiman, Friedman, Olshen and Stone 1984, Classification and Regression Trees, 3.4.3; Hastie, Tibshirani and
        Friedman 2009, The Elements of Statistical Learning, 7.10) takes the simplest that is about as good.
        """
        value = self.best.accuracy.value
        return value - sqrt(value * (1 - value) / self.pictures)

    @property
    def proposed(self) -> Candidate:
        """The cheapest of those that cannot be told from the best, and are within its standard error."""
        as_good = [one for one in self.candidates if one.tied and one.accuracy.value >= self.least]
        return min(as_good, key=lambda one: one.cost)

    @property
    def text(self) -> str:
        """The outcome in a sentence."""
        rate, others = self.best.accuracy, self.candidates[1:]
        tied = sum(one.tied for one in others)
        best = f"{self.best.cut} is best ({rate.value:.3f}, 95 % interval {rate.low:.3f} to {rate.high:.3f})"
        if not others:
            return f"{best}, and was compared with nothing."
        proposed = self.proposed
        if proposed is not self.best:
            said = f"{proposed.accuracy.value:.3f}, within one standard error"
            kinds = ("multiply-adds", "multiply-adds in training", "room in the store")
            costs = zip(kinds, proposed.cost, self.best.cost)
            kind, cost, of_best = next(each for each in costs if each[1] != each[2])
            cheaper = f"takes {cost / of_best:.0%} of its {kind}".replace("%", " %")
            return f"{best}; {proposed.cut} ({said}) {cheaper}."
        rest = f"of the {tied} that cannot be told from it none is both cheaper and within one standard error"
        return f"{best}; {rest if tied else 'all others are worse'}."


def ranked(found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The most accurate first, of equals the cheapest; the others with their p against it."""
    best, *others = sorted(found, key=lambda one: (-one.accuracy.value, one.cost))
    judged = []
    for one in others:
        only_best = int((best.right & ~one.right).sum())
        only_one = int((one.right & ~best.right).sum())
        judged.append(replace(one, p=min(1.0, len(others) * mcnemar(only_best, only_one))))
    return best, *judged
