"""95 % intervals that hold for few pictures, where a bootstrap draws the same few again and finds no spread.

Three pictures that are all right say little, and a bootstrap of them says ``1.000 to 1.000``. Below `FEW` pictures the
intervals here are given in place of a bootstrap's, or widen it. McNemar's exact test is here, too.
"""

from math import sqrt

import numpy as np

ALPHA = 0.05


FEW = 30
"""Below so many pictures a bootstrap's interval is not trusted."""
Z = 1.959963984540054
"""The 97.5 % point of the normal distribution."""

Ends = tuple[float, float]
"""The lower and the upper end of an interval."""


def wilson(share: float, total: float) -> Ends:
    """Wilson's interval of a share of *total* (Wilson 1927, JASA 22:209-212); *total* is at least 1.

    ``(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)``: unlike ``p ± z sqrt(p(1-p)/n)`` it stays within 0 and 1,
    and has a width when all or none are hits.

    >>> [round(end, 3) for end in wilson(0.9, 50)]
    [0.786, 0.957]
    """
    zz = Z * Z / total
    middle, half = share + zz / 2, Z * sqrt(share * (1 - share) / total + zz / (4 * total))
    low, high = (middle - half) / (1 + zz), (middle + half) / (1 + zz)
    return min(max(low, 0.0), share), max(min(high, 1.0), share)


def mean(values: np.ndarray, lowest: float, highest: float) -> Ends:
    """Student's interval of the mean of *values*, float ``[n]``, which lie between *lowest* and *highest*.

    A single value, or equal ones, say nothing of the spread: then it is all that is possible.

    >>> [round(end, 2) for end in mean(np.array([0.0, 1.0, 2.0]), 0.0, 9.0)], mean(np.array([1.0]), 0.0, 9.0)
    ([0.0, 3.48], (0.0, 9.0))
    """
    n, spread = len(values), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    if spread < 1e-9:  # equal, but for rounding
        return lowest, highest
    from scipy.special import stdtrit

    half, middle = float(stdtrit(n - 1, 0.975)) * spread / sqrt(n), float(np.mean(values))
    return max(middle - half, lowest), min(middle + half, highest)


def paired(only_first: int, only_second: int, total: int) -> Ends:
    """Interval of a difference of two shares of the same pictures, the second less the first.

    One is added to each of the counts that differ, and 2 to the total, so that it has a width where none differ
    (Bonett and Price 2012, J. Educ. Behav. Stat. 37:479-488).

    Args:
        only_first, only_second: pictures that one of both alone has right.
        total: pictures.

    >>> [round(end, 3) for end in paired(0, 0, 3)], [round(end, 3) for end in paired(3, 9, 100)]
    ([-0.554, 0.554], [-0.012, 0.13])
    """
    a, b = (only_first + 1) / (total + 2), (only_second + 1) / (total + 2)
    half = Z * sqrt((a + b - (b - a) ** 2) / (total + 2))
    return max(b - a - half, -1.0), min(b - a + half, 1.0)


def difference(first: float, of_first: Ends, second: float, of_second: Ends) -> Ends:
    """Interval of ``second - first`` from that of each (Newcombe 1998, Statistics in Medicine 17:873-890, method 10).

    >>> [round(end, 3) for end in difference(0.5, (0.3, 0.7), 0.5, (0.3, 0.7))]
    [-0.283, 0.283]
    """
    low = sqrt((second - of_second[0]) ** 2 + (of_first[1] - first) ** 2)
    high = sqrt((of_second[1] - second) ** 2 + (first - of_first[0]) ** 2)
    return second - first - low, second - first + high


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test: the two-sided p of this split of the pictures on which only one of two runs is right.

    Were the runs equally good, each such picture would fall to either by the toss of a coin: twice the smaller tail
    of the binomial distribution, at most 1 (McNemar 1947, Psychometrika 12:153-157; for two classifiers see
    Dietterich 1998, Neural Computation 10:1895-1923).

    >>> mcnemar(0, 6), mcnemar(8, 11), mcnemar(0, 0)
    (0.03125, 0.6476058959960938, 1.0)
    """
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(only_first, only_second), only_first + only_second, 0.5)))


def smallest(apart: int, pictures: int) -> float | None:
    """The smallest difference of accuracy that `mcnemar` would call significant; ``None``: no difference could be.

    Args:
        apart: on how many pictures only one run is right; fewer than 6 can prove nothing, so 6 are taken then.
        pictures: how many are compared.

    Example:
        >>> smallest(19, 150), smallest(0, 150), smallest(0, 5)
        (0.07333333333333333, 0.04, None)
    """
    from scipy.special import bdtr

    apart = max(apart, 6)
    tails = bdtr(np.arange(apart // 2), apart, 0.5)
    fewer = int((2 * tails < ALPHA).sum()) - 1
    return None if apart > pictures else (apart - 2 * fewer) / pictures
