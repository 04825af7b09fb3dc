"""How pictures look: size, file format, brightness, sharpness and colour, by content.

The values are saved, so that each picture is decoded for them only once (`topwork.data.quality.saved`).
"""

import struct
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from topwork.data import picture_files, pictures
from topwork.data.quality import saved
from topwork.data.quality.facts import Source
from topwork.errors import PictureError
from topwork.system.threads import each

SIDE = 160
"""Pictures are scaled down to this side before they are measured, so that a few pixels do not decide."""

_LAYOUT = struct.Struct("<II4s5f")
_TINY = 0.1
"""Added to the mean square of the slopes, so that a plain picture has a finite sharpness."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """How a picture looks. Luma and chroma are in levels of 255, measured at a side of at most `SIDE` pixels.

    Args:
        width, height: the size of the upright picture, in pixels.
        format: the file format, as in ``"JPEG"``; empty for arrays.
        brightness: the mean luma.
        shadows: the luma that 5 % of the pixels are below.
        highlights: the luma that 5 % of the pixels are above.
        sharpness: the root mean square of the second differences of the luma, divided by that of the first
            differences. A blurred picture has slopes without edges, so its sharpness is low.
        colour: the chroma that 1 % of the pixels are above; 0 for a grey picture.
    """

    width: int
    height: int
    format: str
    brightness: float
    shadows: float
    highlights: float
    sharpness: float
    colour: float


def known(sources: Mapping[str, Source]) -> dict[str, Appearance]:
    """Return digest -> how the picture looks.

    A picture that does not decode is omitted. So is a picture that is ``None``, unless its values are saved.

    Args:
        sources: digest -> the picture.
    """
    found = {digest: _unpacked(value) for digest, value in saved.get("appearances", sources).items()}
    missing = {digest: source for digest, source in sources.items() if digest not in found and source is not None}
    new: dict[str, bytes] = {}
    for digest, seen in zip(missing, each(_measured, list(missing.values()), "looking at the pictures")):
        if seen is None:
            continue
        new[digest] = _packed(seen)
        found[digest] = _unpacked(new[digest])
        if len(new) == 2 * saved.AT_ONCE:
            saved.put("appearances", new)
            new = {}
    saved.put("appearances", new)
    return found


def _measured(source: str | Path | np.ndarray) -> Appearance | None:
    try:
        data = source if isinstance(source, np.ndarray) else picture_files.read(source)
        pixels, (width, height) = pictures.overview(data, SIDE)
    except PictureError:
        return None
    luma, blue, red = map(np.asarray, Image.fromarray(pixels).convert("YCbCr").split())
    below = np.cumsum(np.bincount(luma.ravel(), minlength=256)) / luma.size
    blue, red = blue.astype(np.int32) - 128, red.astype(np.int32) - 128
    return Appearance(
        width,
        height,
        picture_files.kind(data) if isinstance(data, bytes) else "",
        float(luma.mean()),
        float(np.searchsorted(below, 0.05)),
        float(np.searchsorted(below, 0.95)),
        _sharpness(luma.astype(np.float32)),
        float(np.sqrt(_quantile((blue * blue + red * red).ravel(), 0.99))),
    )


def _quantile(values: np.ndarray, share: float) -> float:
    place = int(share * (len(values) - 1))
    return float(np.partition(values, place)[place])


def _sharpness(luma: np.ndarray) -> float:
    wide = np.pad(luma, 1, "edge")
    bends = 4 * luma - wide[:-2, 1:-1] - wide[2:, 1:-1] - wide[1:-1, :-2] - wide[1:-1, 2:]
    slopes = np.mean((luma - wide[1:-1, 2:]) ** 2) + np.mean((luma - wide[2:, 1:-1]) ** 2)
    return float(np.sqrt(np.mean(bends**2) / (slopes + _TINY)))


def _packed(seen: Appearance) -> bytes:
    width, height, kind, *measured = astuple(seen)
    return _LAYOUT.pack(width, height, kind.encode(), *measured)


def _unpacked(value: bytes) -> Appearance:
    width, height, kind, *measured = _LAYOUT.unpack(value)
    return Appearance(width, height, kind.rstrip(b"\0").decode(), *measured)
