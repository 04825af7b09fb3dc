"""Thumbnails: small pictures that are embedded in the page, each once."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from topwork.data.dataset import Dataset
from topwork.data.pictures import thumbnail
from topwork.errors import PictureError
from topwork.system.threads import each

SIDE = 96
"""The longer side of a thumbnail, in pixels."""

MOST = 300
"""The largest number of thumbnails in a page."""

BYTES = 1_700_000
"""The largest size of all thumbnails in a page, as text: a page is below 3 MB whatever the size of the data."""

QUALITY = 75


@dataclass(frozen=True)
class Thumbnail:
    """A small picture: its size in pixels, and a data URI."""

    width: int
    height: int
    uri: str


def of_pixels(pixels: np.ndarray) -> Thumbnail:
    """Return a thumbnail of pixels, uint8 ``[height, width, 3]``, which keep their size."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY, method=2)
    uri = "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
    return Thumbnail(pixels.shape[1], pixels.shape[0], uri)


def thumbnails(data: Dataset, paths: Iterable[str], sample: Mapping[str, np.ndarray]) -> dict[str, Thumbnail]:
    """Return path -> thumbnail; the first paths are the most important, and pictures that are gone are left out.

    Args:
        data: the dataset.
        paths: paths of its pictures, any number of times.
        sample: for a run on arrays, pictures that the run keeps, by path.
    """
    wanted = [path for path in dict.fromkeys(paths) if data.is_there or path in sample][:MOST]

    def small(path: str) -> Thumbnail | None:
        try:
            return of_pixels(thumbnail(sample[path] if path in sample else data.picture(path), SIDE))
        except PictureError:
            return None

    found: dict[str, Thumbnail] = {}
    size = 0
    for path, one in zip(wanted, each(small, wanted, "making thumbnails")):
        size += len(one.uri) if one else 0
        if size > BYTES:
            break
        if one:
            found[path] = one
    return found
