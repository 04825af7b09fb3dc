"""Facts of pictures, by content: whether a picture decodes, its size, and the values that identify its near-copies.

They are saved, so that each picture is decoded for them only once (`topwork.data.quality.saved`).
"""

import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import partial
from hashlib import sha256
from math import inf
from pathlib import Path

import numpy as np
from PIL import Image

from topwork.data import pictures
from topwork.data.quality import saved
from topwork.errors import PictureError
from topwork.system.threads import each

Source = str | Path | np.ndarray | None
"""A picture: its file, its pixels (in a shape for `topwork.data.pictures.fit_array`), or ``None`` if it is missing."""

SIDE = 64
SMALLEST = 32
"""If the longer side of a picture has fewer pixels, there is too little detail to recognise its copies."""
CONTRAST = 10
"""The same is true if the standard deviation of the luma (0 to 255) is smaller. In 500 flower photos it was >= 16.5."""

_FIT = pictures.Fit((SIDE, SIDE))
_LAYOUT = struct.Struct("<?32s64sII")
_HASH = 8


@dataclass(frozen=True, slots=True)
class Fact:
    """The facts of a picture that can be decoded.

    Args:
        is_plain: whether it is too small or too flat for a perceptual hash.
        mark: the perceptual hash, 64 bits; for a plain picture, the SHA-256 of its size and pixels.
        coarse: the luma at 8 x 8 pixels.
        width, height: the size of the upright picture, in pixels.
    """

    is_plain: bool
    mark: bytes
    coarse: bytes
    width: int
    height: int


def known(sources: Mapping[str, Source], max_megapixels: float = inf) -> dict[str, Fact | str]:
    """Return digest -> the facts of the picture, or the reason why it does not decode.

    A picture that is ``None`` is omitted, unless its facts are saved.

    Args:
        sources: digest -> the picture.
        max_megapixels: larger pictures are not decoded.
    """
    found: dict[str, Fact | str] = {}
    for digest, value in saved.get("facts", sources).items():
        is_plain, mark, *rest = _LAYOUT.unpack(value)
        found[digest] = Fact(is_plain, mark if is_plain else mark[:_HASH], *rest)
    missing = {digest: source for digest, source in sources.items() if digest not in found and source is not None}
    new: dict[str, bytes] = {}
    for digest, fact in zip(
        missing, each(partial(_fact, max_megapixels=max_megapixels), list(missing.values()), "looking for near-copies")
    ):
        found[digest] = fact
        if isinstance(fact, Fact):
            new[digest] = _LAYOUT.pack(*astuple(fact))
        if len(new) == 2 * saved.AT_ONCE:
            saved.put("facts", new)
            new = {}
    saved.put("facts", new)
    return found


def miniatures(sources: Mapping[str, Source]) -> dict[str, np.ndarray]:
    """Return digest -> miniature, uint8 ``[4224]``: luma of `SIDE` x `SIDE` pixels, then two chromas of 8 x 8 pixels.

    A picture that does not decode is omitted. So is a picture that is ``None``, unless its miniature is saved.
    """
    found = saved.get("miniatures", sources)
    new: dict[str, bytes] = {}
    for digest, source in sources.items():
        if digest not in found and source is not None:
            with suppress(PictureError):
                luma, *chroma = Image.fromarray(pictures.load(source, _FIT, inf)).convert("YCbCr").split()
                layers = [luma, *(one.reduce(8) for one in chroma)]
                new[digest] = b"".join(layer.tobytes() for layer in layers)
    saved.put("miniatures", new)
    return {digest: np.frombuffer(value, np.uint8) for digest, value in (found | new).items()}


def _fact(source: str | Path | np.ndarray, max_megapixels: float = inf) -> Fact | str:
    import imagehash

    try:
        pixels, (width, height) = pictures.glance(source, _FIT, max_megapixels)
        luma = Image.fromarray(pixels).convert("YCbCr").getchannel(0)
        values = np.asarray(luma)
        is_plain = max(width, height) < SMALLEST or float(values.std()) < CONTRAST
        if is_plain:
            whole = pictures.whole(source)
            mark = sha256(f"{whole.shape} ".encode() + whole.tobytes()).digest()
        else:
            mark = np.packbits(imagehash.dhash(luma, _HASH).hash).tobytes()
        return Fact(is_plain, mark, luma.reduce(SIDE // 8).tobytes(), width, height)
    except PictureError as error:
        return str(error)
