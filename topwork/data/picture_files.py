"""Picture files: their bytes and digests, checks before decoding, and reasons why a file cannot be read.

See `topwork.data.pictures` for how a file becomes pixels.
"""

import hashlib
import re
import struct
import warnings
from io import BytesIO
from math import ceil
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

from topwork.errors import PictureError

MAX_MEGAPIXELS = 179.0
"""The default limit, which is Pillow's own. Larger pictures could fill the memory when they are decoded."""
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", WebPImagePlugin.WebPImageFile.format, TiffImagePlugin.TiffImageFile.format)
"""The plugins of the last two formats are imported above; otherwise Pillow would load all its plugins to find them."""
_HEAD = 32
_MAGIC = {
    b"\xff\xd8": "JPEG",
    b"\x89PNG": "PNG",
    b"RIFF": "WebP",
    b"BM": "BMP",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_SIDES = {"PNG": (">II", 16), "GIF": ("<HH", 6), "BMP": ("<ii", 18)}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"
)

_limit = Lock()


def digest(source: str | Path | bytes) -> str:
    """Return the SHA-256, in hex, of a picture file's bytes.

    Raises:
        PictureError: the file cannot be opened, is empty, or is HEIC or AVIF.
    """
    if isinstance(source, bytes):
        _refuse(source)
        return hashlib.sha256(source).hexdigest()
    try:
        with open(source, "rb") as file:
            _refuse(file.read(_HEAD))
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PictureError(f"cannot be opened: {(error.strerror or str(error)).lower()}") from None


def kind(data: bytes) -> str:
    """Return the format of a picture file, recognised by its first bytes; ``""`` if topwork cannot read it.

    >>> kind(b"GIF89a")
    'GIF'
    """
    return next((name for magic, name in _MAGIC.items() if data.startswith(magic)), "")


def digest_array(array: np.ndarray) -> str:
    """Return the SHA-256, in hex, of an array's dtype, shape and bytes. The same bytes in another shape differ."""
    start = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(start + array.tobytes()).hexdigest()


def read(source: str | Path | bytes) -> bytes:
    """Return the bytes of a picture file.

    Raises:
        PictureError: as in `digest`.
    """
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise PictureError(f"cannot be opened: {(error.strerror or str(error)).lower()}") from None
    _refuse(data)
    return data


def refuse_large(source: str | Path, max_megapixels: float) -> None:
    """Refuse a picture if its header shows that it is too large. A picture that cannot be opened is not refused here.

    Raises:
        PictureError: the picture has more than *max_megapixels*.
    """
    try:
        with opened(source) as image:
            size = image.size
    except Exception:  # decoding will report it
        return
    refuse_size(*size, max_megapixels)


def refuse_size(width: int, height: int, max_megapixels: float) -> None:
    """Refuse a picture with too many or too few pixels.

    Raises:
        PictureError: the picture has more than *max_megapixels*, only one pixel, or none.
    """
    if not width or not height:
        raise PictureError("a side of 0 pixels")
    if width * height == 1:
        raise PictureError("a single pixel")
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise PictureError(
            f"{megapixels:,.0f} megapixels, above the limit of {max_megapixels:,.0f}; to read it anyway, set "
            f"max_megapixels (option --max-megapixels) to {ceil(megapixels)}"
        )


def opened(source: str | Path | BytesIO) -> Image.Image:
    """Open a picture and read only its header. Pillow's size limit, which the user may have set, is lifted for this."""
    # Pillow warns of damaged EXIF and of large pictures; `warnings.catch_warnings` is not safe with threads.
    if not warnings.filters or warnings.filters[0][3] != re.compile(r"PIL\."):
        warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        return Image.open(source, formats=_FORMATS)
    except Image.DecompressionBombError:
        with _limit:
            before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                return Image.open(source, formats=_FORMATS)
            finally:
                Image.MAX_IMAGE_PIXELS = before


def reason(error: Exception, data: bytes) -> str:
    """Return why a picture cannot be read, in plain words. *error* is what Pillow raised for *data*."""
    found = kind(data)
    if isinstance(error, MemoryError):
        return "it does not fit into memory"
    if isinstance(error, UnidentifiedImageError) and not found:
        return "not a picture: no JPEG, PNG, WebP, BMP, GIF or TIFF"
    if isinstance(error, UnidentifiedImageError):
        layout, start = _SIDES.get(found, ("", 0))
        if len(data) >= start + struct.calcsize(layout) and 0 in struct.unpack_from(layout, data, start):
            return "a side of 0 pixels"
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return f"a {found} file that is cut short"
    told = isinstance(error, OSError | SyntaxError | ValueError) and not isinstance(error, UnidentifiedImageError)
    return f"a damaged {found} file" + (f" ({error})" if told and str(error) else "")


def _refuse(head: bytes) -> None:
    if not head:
        raise PictureError("the file is empty")
    brand = _BRANDS.get(head[8:12]) if head[4:8] == b"ftyp" else None
    if brand:
        raise PictureError(
            f"{brand} cannot be read; convert it to JPEG, for instance with ImageMagick: magick IN OUT.jpg"
        )
