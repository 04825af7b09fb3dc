"""Crops: whether one picture is a part of another, by their pixels.

The smaller picture is laid on every place of the larger one, at several sizes, and the correlation of the luma is
computed (normalized cross-correlation; Lewis 1995, Vision Interface). Pictures are compared at 64 x 64 pixels, also
mirrored. Of 80 crops of 80 % of the area of photos of flowers, saved again as JPEG, the lowest correlation was 0.91; of
80 pairs of different photos that look most alike to a network, the highest was 0.83.

This takes 50 ms for a pair that is one, and 3 ms for most others, which half the size shows. So it is for pairs that
look alike to a network, not for all.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from topwork.data.quality.facts import SIDE

SAME = 0.88
"""Above this correlation, one picture is a part of the other."""

PERHAPS = 0.75
"""A pair is not a crop if its correlation at half the size, with equal shares of the sides, is lower. The lowest of the
80 crops had 0.85; half of the other pairs had less than 0.53."""

SIZES = np.arange(1.0, 0.54, -0.05)
"""The sides of a crop, as shares of the sides of the picture."""

UNEVEN = 0.11
"""Width and height of a crop, as such shares, differ by at most this."""


def is_crop(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether one of two pictures is a part of the other, or the whole, mirrored or not.

    Args:
        one, other: miniatures of `topwork.data.quality.facts.miniatures`, uint8 ``[4224]``.
    """
    a, b = (each[: SIDE * SIDE].reshape(SIDE, SIDE).astype(np.float32) for each in (one, other))
    pairs = ((a, b), (b, a), (a[:, ::-1], b), (b[:, ::-1], a))
    return any(
        correlation(_halved(part), _halved(whole), uneven=0) >= PERHAPS and correlation(part, whole) >= SAME
        for part, whole in pairs
    )


def correlation(part: np.ndarray, whole: np.ndarray, uneven: float = UNEVEN) -> float:
    """Return the highest correlation of *part*, at any size and place, with *whole*.

    Args:
        part, whole: luma, float32 ``[side, side]``.
        uneven: how much the shares of the sides may differ.

    >>> draw = np.random.default_rng(0)
    >>> whole = np.asarray(Image.fromarray(draw.random((8, 8), np.float32)).resize((64, 64)))
    >>> part = np.asarray(Image.fromarray(whole[4:56, 9:61]).resize((64, 64)))
    >>> correlation(part, whole) > 0.99
    True
    """
    side, shown = len(whole), Image.fromarray(np.ascontiguousarray(part))
    sums = np.pad(whole, ((1, 0), (1, 0))).cumsum(0, dtype=np.float64).cumsum(1)
    squares = np.pad(whole * whole, ((1, 0), (1, 0))).cumsum(0, dtype=np.float64).cumsum(1)
    best = -1.0
    for down in SIZES:
        for across in SIZES[np.abs(SIZES - down) <= uneven]:
            height, width = round(side * down), round(side * across)
            small = np.asarray(shown.resize((width, height), Image.Resampling.BILINEAR), np.float32)
            small = small - small.mean()
            products = np.einsum("ijkl,kl->ij", sliding_window_view(whole, (height, width)), small)
            total, square = (_boxes(each, height, width) for each in (sums, squares))
            spread = np.sqrt(np.maximum(square - total * total / small.size, 1e-3)) * np.sqrt((small**2).sum() + 1e-6)
            best = max(best, float((products / spread).max()))
    return best


def _halved(luma: np.ndarray) -> np.ndarray:
    half = len(luma) // 2
    return luma.reshape(half, 2, half, 2).mean((1, 3))


def _boxes(sums: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the sums over all windows, from the sums over all rectangles from the upper left corner."""
    return sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
