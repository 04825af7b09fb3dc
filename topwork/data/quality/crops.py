"""Crops: whether one picture is a part of another, by their pixels.

The smaller picture is laid on every place of the larger one, at several sizes, and the correlation of the luma is
computed (normalized cross-correlation; Lewis 1995, Vision Interface). Pictures are compared at 64 x 64 pixels, also
mirrored. Of 80 crops of 80 % of the area of photos of flowers, saved again as JPEG, the lowest correlation was 0.91; of
80 pairs of different photos that look most alike to a network, the highest was 0.83.

This takes 50 ms per pair, so it is for pairs that look alike to a network, not for all.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from topwork.data.quality.facts import SIDE

SAME = 0.88
"""Above this correlation, one picture is a part of the other."""

SIZES = np.arange(1.0, 0.54, -0.05)
"""The sides of a crop, as shares of the sides of the picture."""

UNEVEN = 0.11
"""Width and height of a crop, as such shares, differ by at most this."""


def is_crop(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether one of two pictures is a part of the other, or the whole, mirrored or not.

    Args:
        one, other: miniatures of `topwork.data.quality.facts.miniatures`, uint8 ``[4224]``.
    """
    a, b = (np.ascontiguousarray(each[: SIDE * SIDE].reshape(SIDE, SIDE)) for each in (one, other))
    pairs = ((a, b), (b, a), (a[:, ::-1], b), (b[:, ::-1], a))
    return any(correlation(part, whole) >= SAME for part, whole in pairs)


def correlation(part: np.ndarray, whole: np.ndarray) -> float:
    """Return the highest correlation of *part*, at any size and place, with *whole*; both uint8 ``[SIDE, SIDE]``.

    >>> draw = np.random.default_rng(0)
    >>> whole = np.asarray(Image.fromarray(draw.integers(0, 255, (8, 8), np.uint8)).resize((SIDE, SIDE)))
    >>> part = np.asarray(Image.fromarray(whole[4:56, 9:61]).resize((SIDE, SIDE)))
    >>> correlation(part, whole) > 0.99
    True
    """
    ground, shown = whole.astype(np.float32), Image.fromarray(np.ascontiguousarray(part))
    sums = np.pad(ground, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    squares = np.pad(ground * ground, ((1, 0), (1, 0))).cumsum(0, dtype=np.float64).cumsum(1)
    best = -1.0
    for down in SIZES:
        for across in SIZES[np.abs(SIZES - down) <= UNEVEN]:
            height, width = round(SIDE * down), round(SIDE * across)
            small = np.asarray(shown.resize((width, height), Image.Resampling.BILINEAR), np.float32)
            small = small - small.mean()
            products = np.einsum("ijkl,kl->ij", sliding_window_view(ground, (height, width)), small)
            total, square = (_boxes(each, height, width) for each in (sums, squares))
            spread = np.sqrt(np.maximum(square - total * total / small.size, 1e-3)) * np.sqrt((small**2).sum() + 1e-6)
            best = max(best, float((products / spread).max()))
    return best


def _boxes(sums: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the sums over all windows, from the sums over all rectangles from the upper left corner."""
    return sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
