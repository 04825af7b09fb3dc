"""95 % intervals for few pictures, where a bootstrap draws the same pictures again and underestimates the spread.

If three of three answers are right, the bootstrap's interval is ``1.000 to 1.000``. With fewer than `FEW` pictures, the
intervals in this module replace or widen those of the bootstrap. McNemar's exact test is also here.
"""

from math import sqrt

import numpy as np

ALPHA = 0.05


FEW = 30
"""With fewer pictures than this, a bootstrap's interval is too narrow."""
Z = 1.959963984540054
"""The 97.5 % point of the normal distribution."""

Ends = tuple[float, float]
"""The lower and the upper end of an interval."""


def wilson(share: float, total: float, z: float = Z) -> Ends:
    """Return Wilson's interval for a share of *total* cases (Wilson 1927, JASA 22:209-212); *total* is at least 1.

    ``(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)``: unlike ``p ± z sqrt(p(1-p)/n)``, this stays within 0 and
    1, and its width is not 0 even if the share is 0 or 1. Another *z* gives another level than 95 %.

    >>> [round(end, 3) for end in wilson(0.9, 50)]
    [0.786, 0.957]
    """
    zz = z * z / total
    middle, half = share + zz / 2, z * sqrt(share * (1 - share) / total + zz / (4 * total))
    low, high = (middle - half) / (1 + zz), (middle + half) / (1 + zz)
    return min(max(low, 0.0), share), max(min(high, 1.0), share)


def mean(values: np.ndarray, lowest: float, highest: float) -> Ends:
    """Return Student's interval for the mean of *values*, float ``[n]``, all between *lowest* and *highest*.

    For a single value or equal values, no spread can be measured; the interval is then *lowest* to *highest*.

    >>> [round(end, 2) for end in mean(np.array([0.0, 1.0, 2.0]), 0.0, 9.0)], mean(np.array([1.0]), 0.0, 9.0)
    ([0.0, 3.48], (0.0, 9.0))
    """
    n, spread = len(values), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    if spread < 1e-9:  # equal except for rounding
        return lowest, highest
    from scipy.special import stdtrit

    half, middle = float(stdtrit(n - 1, 0.975)) * spread / sqrt(n), float(np.mean(values))
    return max(middle - half, lowest), min(middle + half, highest)


def paired(only_first: int, only_second: int, total: int) -> Ends:
    """Return the interval for the difference of two runs' accuracies on the same pictures, second minus first.

    1 is added to each count, and 2 to the total, so that the width is not 0 even if both counts are 0 (Bonett and Price
    2012, J. Educ. Behav. Stat. 37:479-488).

    Args:
        only_first, only_second: the number of pictures that only the first, or only the second, run has right.
        total: the number of pictures.

    >>> [round(end, 3) for end in paired(0, 0, 3)], [round(end, 3) for end in paired(3, 9, 100)]
    ([-0.554, 0.554], [-0.012, 0.13])
    """
    a, b = (only_first + 1) / (total + 2), (only_second + 1) / (total + 2)
    half = Z * sqrt((a + b - (b - a) ** 2) / (total + 2))
    return max(b - a - half, -1.0), min(b - a + half, 1.0)


def difference(first: float, of_first: Ends, second: float, of_second: Ends) -> Ends:
    """Return the interval for ``second - first``, from the intervals for *first* and *second*.

    This is method 10 in Newcombe 1998, Statistics in Medicine 17:873-890.

    >>> [round(end, 3) for end in difference(0.5, (0.3, 0.7), 0.5, (0.3, 0.7))]
    [-0.283, 0.283]
    """
    low = sqrt((second - of_second[0]) ** 2 + (of_first[1] - first) ** 2)
    high = sqrt((of_second[1] - second) ** 2 + (first - of_first[0]) ** 2)
    return second - first - low, second - first + high


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test, from the number of pictures that only one run has right.

    If the runs were equally good, a fair coin would decide which run has such a picture right. So p is twice the
    smaller tail of the binomial distribution, and at most 1 (McNemar 1947, Psychometrika 12:153-157; for two
    classifiers see Dietterich 1998, Neural Computation 10:1895-1923).

    >>> mcnemar(0, 6), mcnemar(8, 11), mcnemar(0, 0)
    (0.03125, 0.6476058959960938, 1.0)
    """
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(only_first, only_second), only_first + only_second, 0.5)))


def smallest(apart: int, pictures: int) -> float | None:
    """Return the smallest difference in accuracy that is significant by `mcnemar`; ``None`` if no difference can be.

    Args:
        apart: the number of pictures that only one run has right. A number below 6 is replaced by 6, because fewer such
            pictures are never significant.
        pictures: the number of compared pictures.

    Example:
        >>> smallest(19, 150), smallest(0, 150), smallest(0, 5)
        (0.07333333333333333, 0.04, None)
    """
    from scipy.special import bdtr

    apart = max(apart, 6)
    tails = bdtr(np.arange(apart // 2), apart, 0.5)
    fewer = int((2 * tails < ALPHA).sum()) - 1
    return None if apart > pictures else (apart - 2 * fewer) / pictures
