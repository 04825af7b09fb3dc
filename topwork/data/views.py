"""Views: varied copies of a picture. They are the same on every machine and in every run.

The rule is called ``views-1``:

1. View 0 is the picture itself. The values of another view are drawn from its number, the settings and the picture's
   content. A run's seed and the number of views have no effect: of 8 views, the first 4 are the same as if there were
   only 4.
2. Flips, zoom, shear, rotation and shift, in this order and about the centre, are combined into one affine map, so the
   picture is resampled only once. Before that, the picture is extended beyond its border as far as the map reaches.
   Pillow cuts off fractions when it interpolates, so values can be up to one level (of 255) below the exact values. A
   map that moves pixels exactly onto pixels does not change their values.
3. Contrast (about each channel's mean) and brightness are combined into one lookup table. Its values are clipped to 0
   to 255.

Not supported: antialiasing. If a view shows the picture smaller, each pixel is interpolated only from its nearest
neighbours. That is visible at half the size (``zoom`` near 1), but not for a usual ``zoom`` of 0.1 or 0.2.
"""

import hashlib
from dataclasses import dataclass, fields
from math import cos, radians, sin, tan
from typing import Any

import numpy as np
from PIL import Image

from topwork.data.pictures import RESAMPLES
from topwork.recipes.settings import Views

RULE = "views-1"
FILLS: dict[str, Any] = {"nearest": "edge", "reflect": "symmetric", "constant": "constant"}
"""``fill_mode`` -> the mode of `numpy.pad`."""


@dataclass(frozen=True)
class Drawn:
    """The changes that a view makes to its picture; by default none.

    Args:
        rotation: degrees, counter-clockwise.
        right, down: how far the picture is shifted, as shares of its width and height.
        shear: the lean of vertical lines, in degrees. Rows are shifted, in the lower half to the right.
        zoom: how much wider and higher the shown area is, as a share: 0.25 shows the picture at 1 / 1.25 of its size.
        left_right, top_bottom: whether the picture is mirrored.
        brightness: the share of white that is added.
        contrast: how much further values are from their channel's mean, as a share.
    """

    rotation: float = 0.0
    right: float = 0.0
    down: float = 0.0
    shear: float = 0.0
    zoom: float = 0.0
    left_right: bool = False
    top_bottom: bool = False
    brightness: float = 0.0
    contrast: float = 0.0


def view(pixels: np.ndarray, views: Views, number: int, content: str, resample: str = "bilinear") -> np.ndarray:
    """Return one view of a picture.

    Args:
        pixels: uint8 ``[height, width, 3]``, RGB, in the size of the trunk's input.
        views: the settings.
        number: which view; 0: the picture itself.
        content: SHA-256 of the picture's content, in hex.
        resample: ``"bilinear"`` or ``"nearest"``.

    Returns:
        uint8 ``[height, width, 3]``.

    Example:
        >>> pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
        >>> view(pixels, Views(), 0, "ab" * 32) is pixels
        True
        >>> view(pixels, Views(), 1, "ab" * 32).shape
        (3, 3, 3)
    """
    return apply(pixels, draw(views, number, content), views.fill_mode, resample) if number else pixels


def key(views: Views, number: int) -> str:
    """Return the name of a view in the store's keys: the rule, the number, and every setting that changes pixels.

    >>> key(Views(rotation=20, count=4), 3)
    'views-1/3/rotation=20.0/shift=0.1/shear=0.0/zoom=0.1/flip=horizontal/brightness=0.0/contrast=0.0/fill=nearest'
    >>> key(Views(), 0)
    ''
    """
    if not number:
        return ""
    named = {f.name: "fill" if f.name == "fill_mode" else f.name for f in fields(views)}  # as in the first stores
    values = {named[name]: getattr(views, name) for name in named if name not in ("count", "mode")}
    settings = (f"{name}={value if isinstance(value, str) else float(value)}" for name, value in values.items())
    return "/".join((RULE, str(number), *settings))


def draw(views: Views, number: int, content: str) -> Drawn:
    """Draw the values of a view. Each is uniform within the range of its setting; a flip has probability 1/2.

    Args:
        views: the settings.
        number: which view, from 1.
        content: SHA-256 of the picture's content, in hex.

    >>> drawn = draw(Views(rotation=20), 1, "ab" * 32)
    >>> -20 <= drawn.rotation <= 20, drawn.shear
    (True, 0.0)
    """
    # 9 numbers in [0, 1), of 53 bits each. They come from a hash, so that no change in a library can change them.
    digest = hashlib.shake_256(f"{key(views, number)}/{content}".encode()).digest(8 * 9)
    *shares, across, over = ((int.from_bytes(digest[i : i + 8]) >> 11) / 2**53 for i in range(0, len(digest), 8))
    rotation, right, down, shear, zoom, brightness, contrast = (2 * share - 1 for share in shares)
    return Drawn(
        rotation=views.rotation * rotation,
        right=views.shift * right,
        down=views.shift * down,
        shear=views.shear * shear,
        zoom=views.zoom * zoom,
        left_right=views.flip in ("horizontal", "both") and across < 0.5,
        top_bottom=views.flip in ("vertical", "both") and over < 0.5,
        brightness=views.brightness * brightness,
        contrast=views.contrast * contrast,
    )


def affine(drawn: Drawn, size: tuple[int, int]) -> np.ndarray:
    """Return the map from positions in a view to positions in its picture.

    Args:
        drawn: the changes of the view.
        size: (height, width) of the view and of the picture, in pixels.

    Returns:
        float64 ``[2, 3]``; multiplied by (x, y, 1) in the view, it gives (x, y) in the picture. x counts pixels to the
        right, y pixels down, both from the upper left corner: the centre of the first pixel is (0.5, 0.5).

    >>> affine(Drawn(left_right=True, down=0.1), (20, 40)) @ (0, 2, 1) == (40, 0)
    array([ True,  True])
    """
    turn, lean = radians(drawn.rotation), tan(radians(drawn.shear))
    rotated = np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]])
    sheared = np.array([[1, -lean], [0, 1]])
    flipped = np.diag([-1 if drawn.left_right else 1, -1 if drawn.top_bottom else 1])
    back = (1 + drawn.zoom) * flipped @ sheared @ rotated
    sides = np.array(size[::-1])
    moved = sides * (0.5 + np.array([drawn.right, drawn.down]))
    # Rounding makes a quarter turn exact (its cosine is 6e-17) and removes machines' differences in the last bit.
    return np.column_stack([back, sides / 2 - back @ moved]).round(9)


def apply(pixels: np.ndarray, drawn: Drawn, fill: str, resample: str = "bilinear") -> np.ndarray:
    """Apply the changes of a view to a picture.

    Many threads may call this at once: Pillow releases Python's lock while it resamples.

    Args:
        pixels: uint8 ``[height, width, 3]``.
        drawn: the changes.
        fill: what is shown beyond the border: ``"nearest"``: the nearest pixel; ``"reflect"``: the mirror image;
            ``"constant"``: black.
        resample: ``"bilinear"`` or ``"nearest"``.

    Returns:
        uint8 ``[height, width, 3]``.

    >>> apply(np.full((2, 2, 3), 100, np.uint8), Drawn(brightness=0.2), "nearest")[0, 0].tolist()
    [151, 151, 151]
    """
    height, width = pixels.shape[:2]
    matrix = affine(drawn, (height, width))
    # How many pixels the view reads beyond each border of the picture.
    corners = np.array([[x, y, 1] for x in (0.5, width - 0.5) for y in (0.5, height - 0.5)]) @ matrix.T
    left, above = np.ceil(0.5 - corners.min(0)).clip(0).astype(int).tolist()
    right, below = np.ceil(corners.max(0) + 0.5 - (width, height)).clip(0).astype(int).tolist()
    matrix[:, 2] += left, above
    padded = Image.fromarray(np.pad(pixels, ((above, below), (left, right), (0, 0)), FILLS[fill]))
    coefficients = tuple(matrix.ravel().tolist())
    image = padded.transform((width, height), Image.Transform.AFFINE, coefficients, RESAMPLES[resample])
    if drawn.brightness or drawn.contrast:
        values = np.arange(256)
        counts = np.array(image.histogram()).reshape(3, 256)
        means = (counts @ values / counts.sum(1))[:, None]
        table = means + (1 + drawn.contrast) * (values - means) + 255 * drawn.brightness
        image = image.point(table.round().clip(0, 255).astype(int).ravel().tolist())
    return np.array(image)
