"""Pictures: turn the bytes of a file into RGB pixels of a given size.

The rule is called ``pillow-1``. Its steps are:

1. Decode with Pillow: JPEG, PNG, WebP, BMP, GIF or TIFF, recognised by content and not by name. Of an animation, only
   the first frame is used. A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, but never at less than twice the size
   that step 4 scales it to.
2. Convert to RGB. 16-bit grey is divided by 257 and rounded; for 16-bit colour, Pillow keeps the upper 8 bits.
   Transparent pictures get a white background. Pillow converts CMYK, Lab, YCbCr and palettes, without colour profiles.
   Grey in floating point, or in whole numbers outside 0 to 65535, is refused, because the value of white is unknown.
3. Turn the picture upright by its EXIF (or XMP) orientation. If that is damaged, the picture is not turned.
4. Bring the picture to the given size. ``squash``: width and height are scaled by different factors. ``crop``: the
   largest central part with the right proportions is scaled. ``pad``: the picture is scaled without distortion and
   centred on black. ``bilinear`` averages all pixels that become one pixel (antialiasing); ``nearest`` takes one of
   them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from math import inf
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from topwork.data.picture_files import MAX_MEGAPIXELS, opened, read, reason, refuse_size
from topwork.errors import PictureError, RecipeError, nearest

T = TypeVar("T")

RULE = "pillow-1"
FITS = ("squash", "crop", "pad")
RESAMPLES = {"bilinear": Image.Resampling.BILINEAR, "nearest": Image.Resampling.NEAREST}


@dataclass(frozen=True)
class Fit:
    """A size in pixels, and how pictures are brought to it.

    Args:
        size: (height, width) in pixels.
        fit: ``"squash"``, ``"crop"`` or ``"pad"``, as in the rule above.
        resample: ``"bilinear"`` or ``"nearest"``.

    Raises:
        RecipeError: a value is not valid.

    Example:
        >>> Fit((224, 224)).id
        'pillow-1/224x224/squash/bilinear'
    """

    size: tuple[int, int]
    fit: str = "squash"
    resample: str = "bilinear"

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not all(type(side) is int and side > 0 for side in self.size):
            raise RecipeError(f"size = {self.size!r}: expected (height, width) in pixels, each a whole number above 0.")
        for name, value, choices in (("fit", self.fit, FITS), ("resample", self.resample, tuple(RESAMPLES))):
            if value not in choices:
                expected = " or ".join(map(repr, choices))
                raise RecipeError(f"{name} = {value!r}: expected {expected}{nearest(str(value), choices) or '.'}")

    @property
    def id(self) -> str:
        """A text for keys of the store and exported files: the rule with its version, *size*, *fit* and *resample*."""
        height, width = self.size
        return f"{RULE}/{height}x{width}/{self.fit}/{self.resample}"


def decode(source: str | Path | bytes, fit: Fit, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Read a picture by the rule above.

    Many threads may call this at once: Pillow releases Python's lock while it decodes and resizes.

    Args:
        source: a path, or the bytes of a file.
        fit: the size, and how the picture is brought to it.
        max_megapixels: larger pictures are refused before they are decoded.

    Returns:
        uint8 ``[height, width, 3]``, RGB.

    Raises:
        PictureError: the picture cannot be read; the message is only the reason.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> Image.new("L", (40, 20), 7).save(file, "PNG")
        >>> decode(file.getvalue(), Fit((2, 2)))[0].tolist()
        [[7, 7, 7], [7, 7, 7]]
    """
    return _decoded(source, fit, lambda image, _: _fitted(image, fit), max_megapixels)


def load(source: str | Path | bytes | np.ndarray, fit: Fit, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Return a picture at the size of *fit*, from a file, bytes or pixels; see `decode` and `fit_array`.

    Raises:
        PictureError: as in `decode` and `fit_array`.

    Example:
        >>> load(np.full((20, 40), 7, np.uint8), Fit((2, 2))).shape
        (2, 2, 3)
    """
    return fit_array(source, fit) if isinstance(source, np.ndarray) else decode(source, fit, max_megapixels)


def glance(
    source: str | Path | bytes | np.ndarray, fit: Fit, max_megapixels: float = inf
) -> tuple[np.ndarray, tuple[int, int]]:
    """Return a picture at the size of *fit*, as `load` does, and the original (width, height) of the upright picture.

    Raises:
        PictureError: as in `load`.

    Example:
        >>> pixels, size = glance(np.full((20, 40), 7, np.uint8), Fit((2, 2)))
        >>> pixels.shape, size
        ((2, 2, 3), (40, 20))
    """
    if isinstance(source, np.ndarray):
        return fit_array(source, fit), (source.shape[1], source.shape[0])
    return _decoded(source, fit, lambda image, size: (_fitted(image, fit), size), max_megapixels)


def whole(source: str | Path | bytes | np.ndarray) -> np.ndarray:
    """Return a picture at its original size, by steps 1 to 3 of the rule above; a JPEG is decoded at full size.

    Returns:
        uint8 ``[height, width, 3]``, RGB.

    Raises:
        PictureError: as in `decode` and `fit_array`.

    Example:
        >>> whole(np.full((20, 40), 7, np.uint8)).shape
        (20, 40, 3)
    """
    if isinstance(source, np.ndarray):
        return fit_array(source, Fit((source.shape[0], source.shape[1]), resample="nearest"))
    return _decoded(source, None, lambda image, _: np.array(image), inf)


def thumbnail(source: str | Path | bytes | np.ndarray, side: int) -> np.ndarray:
    """Read a picture for display: scaled without distortion to fit a square of *side*. A smaller one keeps its size.

    Args:
        source: a path, the bytes of a file, or pixels (see `fit_array`).
        side: the largest width and height, in pixels.

    Returns:
        uint8 ``[height, width, 3]``, RGB.

    Raises:
        PictureError: as in `decode` and `fit_array`.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> Image.new("L", (40, 20), 7).save(file, "PNG")
        >>> thumbnail(file.getvalue(), 10).shape, thumbnail(file.getvalue(), 100).shape
        ((5, 10, 3), (20, 40, 3))
    """
    return overview(source, side)[0]


def overview(
    source: str | Path | bytes | np.ndarray, side: int, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[np.ndarray, tuple[int, int]]:
    """Return a picture as `thumbnail` does, and the original (width, height) of the upright picture.

    Raises:
        PictureError: as in `load`.

    Example:
        >>> pixels, size = overview(np.full((20, 40), 7, np.uint8), 10)
        >>> pixels.shape, size
        ((5, 10, 3), (40, 20))
    """

    def shrunk(image: Image.Image, size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
        image.thumbnail((side, side), Image.Resampling.BILINEAR)
        return np.array(image), size

    if isinstance(source, np.ndarray):
        return shrunk(Image.fromarray(whole(source)), (source.shape[1], source.shape[0]))
    return _decoded(source, Fit((side, side), "pad"), shrunk, max_megapixels)


def fit_array(array: np.ndarray, fit: Fit) -> np.ndarray:
    """Bring an array of pixels to the size of *fit*, as `decode` does with a file.

    Args:
        array: uint8 ``[h, w]`` or ``[h, w, 1]`` (grey), ``[h, w, 3]`` (RGB) or ``[h, w, 4]`` (RGBA, put on white).
        fit: the size, and how the pixels are brought to it.

    Returns:
        uint8 ``[height, width, 3]``, RGB.

    Raises:
        PictureError: *array* has another dtype or shape, or fewer than 2 pixels.

    Example:
        >>> fit_array(np.full((8, 8), 9, np.uint8), Fit((1, 1))).tolist()
        [[[9, 9, 9]]]
    """
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (1,), (3,), (4,)):
        shape = list(array.shape)
        raise PictureError(f"{array.dtype} {shape}: expected uint8 [h, w], or [h, w, channels] with 1, 3 or 4 channels")
    refuse_size(array.shape[1], array.shape[0], inf)
    return _fitted(_rgb(Image.fromarray(array[..., 0] if array.shape[2:] == (1,) else array)), fit)


_EIGHT_BITS = ((np.arange(65536) + 128) // 257).astype(np.uint8)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _scaled(size: tuple[int, int], fit: Fit) -> tuple[int, int]:
    """Return the (width, height) that a picture of *size* is scaled to. ``crop`` then cuts off what is too much."""
    height, width = fit.size
    if fit.fit == "squash":
        return width, height
    factor = (max if fit.fit == "crop" else min)(width / size[0], height / size[1])
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _turn(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
        return value if value in _TURNS else 1
    except Exception:  # a picture with damaged EXIF is still used
        return 1


def _decoded(
    source: str | Path | bytes,
    fit: Fit | None,
    finish: Callable[[Image.Image, tuple[int, int]], T],
    max_megapixels: float = MAX_MEGAPIXELS,
) -> T:
    """Return the result of *finish*, called with the upright picture and its original (width, height).

    If *fit* is given, a JPEG may be decoded at a smaller size.
    """
    data = read(source)
    try:
        with opened(BytesIO(data)) as image:
            size = image.size
            refuse_size(*size, max_megapixels)
            if fit and image.format in ("JPEG", "MPO"):  # these may be decoded at a smaller size
                is_on_side = _turn(image) > 4
                width, height = _scaled(size[::-1] if is_on_side else size, fit)
                image.draft(None, (2 * height, 2 * width) if is_on_side else (2 * width, 2 * height))
            image.load()

            turn = _turn(image)
            upright = _rgb(image)
            if turn in _TURNS:
                upright = upright.transpose(_TURNS[turn])
            return finish(upright, size[::-1] if turn > 4 else size)
    except PictureError:
        raise
    except Exception as error:  # Pillow can raise nearly anything on hostile bytes
        raise PictureError(reason(error, data)) from None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise PictureError("grey in floating point, where the value of white is unknown; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535:
            raise PictureError(f"grey values from {low} to {high}, expected 0 to 65535; save it with 8 or 16 bits")
        grey = _EIGHT_BITS[values]
        grey[values == image.info.get("transparency")] = 255
        image = Image.fromarray(grey)
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white


def _fitted(image: Image.Image, fit: Fit) -> np.ndarray:
    height, width = fit.size
    resample = RESAMPLES[fit.resample]
    if fit.fit == "squash":
        return np.array(image.resize((width, height), resample))
    if fit.fit == "crop":
        left = (image.width - min(image.width, image.height * width / height)) / 2
        top = (image.height - min(image.height, image.width * height / width)) / 2
        box = (left, top, image.width - left, image.height - top)
        return np.array(image.resize((width, height), resample, box=box))
    inner = image.resize(_scaled(image.size, fit), resample)
    black = Image.new("RGB", (width, height))
    black.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
    return np.array(black)
