"""MNIST's idx files: a folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, and the same of ``t10k``.

Each may be packed (``.gz``), and have a dot in place of the second dash. ``train`` is the training part, ``t10k`` the
test part. The format (LeCun, Cortes and Burges, "The MNIST database"): two zero bytes, 8 for unsigned bytes, the number
of axes; the length of each axis in four bytes, the highest first; then the values.
"""

import gzip
import os
import re
import zlib
from pathlib import Path

import numpy as np

from topwork.arrays import Block, joined
from topwork.dataset import Dataset
from topwork.errors import DatasetError

_NAME = re.compile(r"(train|t10k)-(images|labels)[-.]idx[13]-ubyte(\.gz)?")
_PARTS = {"train": "train", "t10k": "test"}
_AXES = {"images": 3, "labels": 1}


def holds_idx(folder: str) -> bool:
    """Whether any file in a folder is called as MNIST's are."""
    try:
        return any(_NAME.fullmatch(name) for name in os.listdir(folder))
    except OSError:
        return False


def read_idx(folder: str) -> Dataset:
    """The pictures of a folder's idx files as arrays; their parts are given, where both are there.

    Raises:
        DatasetError: a file that is missing, damaged or no idx file, or labels that are not as many as pictures.
    """
    files: dict[tuple[str, str], str] = {}
    for name in sorted(os.listdir(folder)):  # the plain file stands before the packed one
        if match := _NAME.fullmatch(name):
            files.setdefault((match[1], match[2]), name)
    return joined([_block(folder, files, word) for word in _PARTS if any(word == found for found, _ in files)])


def _block(folder: str, files: dict[tuple[str, str], str], word: str) -> Block:
    lacking = next((kind for kind in _AXES if (word, kind) not in files), None)
    if lacking:
        there = next(name for (found, _), name in files.items() if found == word)
        expected = f"{word}-{lacking}-idx{_AXES[lacking]}-ubyte"
        raise DatasetError(
            f"{folder!r} holds {there!r} without its {lacking}: expected {expected!r} or its .gz beside it."
        )
    names = files[word, "images"], files[word, "labels"]
    images, labels = (_values(Path(folder, name), axes) for name, axes in zip(names, _AXES.values()))
    return Block(images, labels, names, _PARTS[word])


def _values(path: Path, axes: int) -> np.ndarray:
    content = _content(path)
    start = 4 + 4 * axes
    if content[:4] != bytes((0, 0, 8, axes)) or len(content) < start:
        raise DatasetError(f"{str(path)!r} is no idx file of unsigned bytes with {axes} axes.")
    shape = [int(length) for length in np.frombuffer(content, ">u4", axes, 4)]
    expected = start + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise DatasetError(
            f"{str(path)!r} has {len(content)} bytes, and its header tells of {expected}: it is damaged."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DatasetError(f"{str(path)!r} cannot be unpacked: it is damaged or cut short.") from None
    except OSError as error:
        raise DatasetError(f"cannot read {str(path)!r}: {error.strerror}.") from None
