"""A small real dataset to try topwork with: scikit-learn's handwritten digits."""

from pathlib import Path

import numpy as np
from PIL import Image

from topwork.errors import DatasetError

UPSCALE = 8


def digits(folder: str | Path) -> Path:
    """Write 1,797 pictures of handwritten digits into ten folders, ``0`` to ``9``; no network is needed.

    They are grey PNG files of 64 x 64 pixels. They are made from scikit-learn's pictures of 8 x 8 pixels (the test part
    of UCI's "Optical Recognition of Handwritten Digits", Alpaydin and Kaynak 1998). The values, from 0 to 16, are
    scaled to 0 to 255, and each pixel becomes a block of 8 x 8.

    Args:
        folder: the folder to write to; created if it does not exist.

    Returns:
        The folder.

    Raises:
        DatasetError: the path exists and is not an empty folder.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     len(list(digits(folder).glob("7/*.png")))
        179
    """
    from sklearn.datasets import load_digits

    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DatasetError(f"{str(folder)!r} exists and is not an empty folder: choose another, or remove it.")
    pixels, labels = load_digits(return_X_y=True)
    grey = np.round(pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    large = grey.repeat(UPSCALE, axis=1).repeat(UPSCALE, axis=2)
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
    for number, (picture, label) in enumerate(zip(large, labels)):
        Image.fromarray(picture).save(folder / str(label) / f"{number:04d}.png")
    return folder
