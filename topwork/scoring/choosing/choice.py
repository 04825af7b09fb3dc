"""A choice: cuts that were compared on the same pictures, with their accuracy, significance and cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from topwork.data.dataset import LeftOut
from topwork.runs.scores import Rate
from topwork.scoring.intervals import ALPHA, mcnemar


@dataclass(frozen=True)
class Candidate:
    """One cut with its scores and its costs.

    Args:
        cut: the cut that was probed; if it ends in a map, the map was averaged.
        accuracy: the accuracy of the linear probe, with Wilson's 95 % interval.
        right: which pictures the probe answered correctly, bool ``[n]``.
        logme: see `topwork.scoring.choosing.probe`.
        features: the number of features that the probe used.
        parameters: the number of weights below the cut.
        macs: multiply-adds per picture below the cut. If terms of a sum share layers, these count once in *parameters*
            and *macs*.
        macs_above: multiply-adds per picture above the cut; training repeats them in every step.
        kilobytes: the size of one picture's activations in the store, in units of 1,024 bytes.
        disk_bytes: the size of the activations of all pictures of the data in the store.
        milliseconds: the time to decode a picture and to compute its activations, measured while the store was filled;
            ``None`` if the store had all or nearly all activations already.
        p: the p-value of McNemar's exact test against the most accurate candidate, times the number of other candidates
            (Bonferroni's correction, because the best of many was also lucky), and at most 1. It is 1 for the most
            accurate candidate itself.
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

    def __repr__(self) -> str:
        return f"<Candidate: {self.cut}, accuracy {self.accuracy}>"

    @property
    def tied(self) -> bool:
        """Whether the difference from the best candidate is not significant on these pictures."""
        return self.p >= ALPHA

    @property
    def cost(self) -> tuple[int, int, float]:
        """The costs, the most important first: all multiply-adds, those above the cut, and kilobytes in the store."""
        return self.macs + self.macs_above, self.macs_above, self.kilobytes


@dataclass(frozen=True)
class Choice:
    """The compared candidates, and which of them to use.

    Args:
        candidates: the compared cuts, the most accurate first; see `ranked`.
        pictures: the number of pictures that the candidates were compared on.
        folds: the number of folds in the cross-validation.
        left_out: pictures that could not be used.
    """

    candidates: tuple[Candidate, ...]
    pictures: int
    folds: int
    left_out: tuple[LeftOut, ...] = ()

    def __repr__(self) -> str:
        return f"<Choice: {self.text}>"

    @property
    def best(self) -> Candidate:
        """The most accurate candidate."""
        return self.candidates[0]

    @property
    def least(self) -> float:
        """The best accuracy minus its standard error: the least accuracy that the proposed candidate may have.

        With few pictures, a difference may be large and still not significant, so significance alone is not enough. The
        one-standard-error rule (Breiman, Friedman, Olshen and Stone 1984, Classification and Regression Trees, 3.4.3;
        Hastie, Tibshirani and Friedman 2009, The Elements of Statistical Learning, 7.10) takes the simplest candidate
        that is about as good as the best.
        """
        value = self.best.accuracy.value
        return value - sqrt(value * (1 - value) / self.pictures)

    @property
    def proposed(self) -> Candidate:
        """The cheapest candidate that is within one standard error of the best and not significantly worse."""
        as_good = [one for one in self.candidates if one.tied and one.accuracy.value >= self.least]
        return min(as_good, key=lambda one: one.cost)

    @property
    def text(self) -> str:
        """The outcome in one sentence."""
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
    """Return the candidates with their ``p``, the most accurate first; of equally accurate ones, the cheapest first."""
    best, *others = sorted(found, key=lambda one: (-one.accuracy.value, one.cost))
    judged = []
    for one in others:
        only_best = int((best.right & ~one.right).sum())
        only_one = int((one.right & ~best.right).sum())
        judged.append(replace(one, p=min(1.0, len(others) * mcnemar(only_best, only_one))))
    return best, *judged
