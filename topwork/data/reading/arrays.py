"""Arrays: read pictures from memory, an ``.npz`` file, idx files or a ``tf.data.Dataset`` as one array and its labels.

An ``.npz`` file contains ``X`` and ``y``; or, like Keras' ``mnist.npz``, ``x_train``, ``y_train``, ``x_test`` and
``y_test`` (and ``x_val``, ``y_val``). With ``X`` and ``y`` the parts are drawn; the other names give the parts. Upper
and lower case make no difference.

A ``tf.data.Dataset`` returns (picture, label), one by one or in batches (if the picture has rank 4). It is read once,
and its pictures stay in memory as uint8. Not supported: an endless dataset of unknown cardinality.
"""

import gzip
import os
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from topwork.data import labels, picture_files
from topwork.data.dataset import Dataset, Row, array_path
from topwork.data.reading.parts import WORDS
from topwork.errors import DatasetError
from topwork.system.messages import counted, some

INFINITE = -1
"""The result of ``tf.data.Dataset.cardinality`` for an endless dataset."""


@dataclass(frozen=True)
class Block:
    """Pictures *x* and labels *y* of one part (or without a part), with their *names* for errors."""

    x: Any
    y: Any
    names: tuple[str, str] = ("X", "y")
    split: str | None = None


def joined(blocks: Sequence[Block]) -> Dataset:
    """Return one dataset of all blocks, in their order. If there is only one block, all parts are drawn from it.

    Raises:
        DatasetError: pictures or labels have a wrong shape or type; see `topwork.read`.
    """
    notes: tuple[str, ...] = ()
    if len(blocks) == 1 and blocks[0].split:
        notes = (f"Only {blocks[0].names[0]} was found: all parts are drawn from it.",)
        blocks = [replace(blocks[0], split=None)]
    arrays = [_pixels(block) for block in blocks]
    given: list[tuple[str, str | None]] = []
    for block, pixels in zip(blocks, arrays):
        x, y = block.names
        values = _array(block.y, y)
        if values.shape == (len(pixels), 1):
            values = values[:, 0]
        if values.shape != (len(pixels),):
            raise DatasetError(
                f"{y} has the shape {list(values.shape)}: expected [{len(pixels)}], a label for each picture of {x}."
            )
        if not all(value is None or isinstance(value, int | float | str) for value in values.tolist()):
            raise DatasetError(f"{y} is {values.dtype}: expected whole numbers or strings.")
        names = labels.column(map(labels.text, values.tolist()))
        for i, (name, value) in enumerate(zip(names, values.tolist())):
            labels.refuse_missing(name, f"{y}[{i}]")
            if isinstance(value, float) and not value.is_integer():
                raise DatasetError(f"{y}[{i}] is {value}: expected whole numbers or strings as labels.")
        given += [(name, block.split) for name in names]

    for block, pixels in zip(blocks, arrays):
        if pixels.shape[1:] != arrays[0].shape[1:]:
            shape, expected = list(pixels.shape[1:]), list(arrays[0].shape[1:])
            raise DatasetError(
                f"{block.names[0]} holds pictures of {shape}: expected {expected}, as in {blocks[0].names[0]}."
            )
    pixels = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    rows = (Row(array_path(i), picture_files.digest_array(pixels[i]), *about) for i, about in enumerate(given))
    return Dataset("", tuple(rows), notes=notes, pixels=pixels)


def read_npz(path: str) -> Dataset:
    """Return the pictures of an ``.npz`` file.

    Raises:
        DatasetError: the file is not an ``.npz`` file; or its arrays are missing, are damaged or do not fit a dataset.
    """
    if not zipfile.is_zipfile(path):
        raise DatasetError(f"{path!r} is not an .npz file: expected a file that numpy.savez wrote.")
    pairs: list[tuple[str, str, str | None]] = [("x", "y", None), *((f"x_{w}", f"y_{w}", p) for w, p in WORDS.items())]
    with np.load(path) as file:
        names = {name.lower(): name for name in file.files}
        found = [pair for pair in pairs if names.keys() & set(pair[:2])]
        lacking = next((name for pair in found for name in pair[:2] if name not in names), None)
        if lacking or not found:
            raise DatasetError(
                f"{path!r} holds the arrays {some([repr(name) for name in file.files])}"
                f"{f', but no {lacking!r}' if lacking else ''}: "
                "expected X and y, or x_train, y_train, x_test and y_test."
            )
        blocks = []
        for x, y, part in found:
            arrays: list[np.ndarray] = []
            for name in (names[x], names[y]):
                try:
                    arrays.append(file[name])
                except (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile):
                    raise DatasetError(
                        f"{path!r}: {name} cannot be read; it is damaged or holds Python objects. "
                        "Expected a plain array of numbers or strings."
                    ) from None
            blocks.append(Block(arrays[0], arrays[1], (names[x], names[y]), part))
        return joined(blocks)


def read_stream(data: Any) -> Dataset:
    """Return the pictures of a ``tf.data.Dataset``, which is read once.

    Raises:
        DatasetError: the dataset never ends, is empty, or returns anything but pictures of one size and their labels.
    """
    if files := getattr(data, "file_paths", None):  # keras.utils.image_dataset_from_directory sets this
        raise DatasetError(
            f"the tf.data.Dataset was made of {counted(len(files), 'file')}, resized and without the names of their "
            f"classes: give the folder itself, {os.path.commonpath(files)!r}; topwork reads and splits it."
        )
    spec = data.element_spec
    if not isinstance(spec, tuple) or [type(part).__name__ for part in spec] != ["TensorSpec"] * 2:
        raise DatasetError(f"the tf.data.Dataset gives {spec}: expected (picture, label), two plain tensors.")
    if int(data.cardinality()) == INFINITE:
        raise DatasetError("the tf.data.Dataset never ends: remove repeat(), or end it with take(n).")
    batches: list[np.ndarray] = []
    batch_labels: list[np.ndarray] = []
    for picture, label in data.as_numpy_iterator():
        is_batch = np.ndim(picture) == 4
        pixels = np.asarray(picture) if is_batch else np.asarray(picture)[None]
        size, expected = list(pixels.shape[1:]), list((batches or [pixels])[0].shape[1:])
        if size != expected:
            raise DatasetError(
                f"the tf.data.Dataset gives pictures of {expected} and of {size}: expected one size. "
                "Resize them, or give the files themselves."
            )
        batches.append(_bytes(pixels))
        batch_labels.append(np.asarray(label) if is_batch else np.asarray(label)[None])
    if not batches:
        raise DatasetError("the tf.data.Dataset is empty: expected at least one (picture, label).")
    labels = np.concatenate(batch_labels)
    if labels.dtype.kind in "OS":  # TensorFlow's strings are bytes
        labels = np.array([text.decode() for text in labels.ravel()], object).reshape(labels.shape)
    return joined([Block(np.concatenate(batches), labels)])


def _bytes(pixels: np.ndarray) -> np.ndarray:
    """Return *pixels* as uint8, with the same values. An array that is not numeric is returned unchanged."""
    if pixels.dtype.kind not in "fiu":
        return pixels
    with np.errstate(invalid="ignore"):
        small = pixels.astype(np.uint8)
    if not np.array_equal(small, pixels):
        raise DatasetError(
            f"the tf.data.Dataset gives pictures of {pixels.dtype} that hold {pixels[small != pixels][0]:g}: "
            "expected whole numbers from 0 to 255. Give the folder if they are files; else "
            "round them (times 255 first, if they go from 0 to 1): "
            "data.map(lambda x, y: (tf.cast(tf.round(x), tf.uint8), y))."
        )
    return small


def _pixels(block: Block) -> np.ndarray:
    name = block.names[0]
    pixels = _array(block.x, name)
    first = pixels.ravel()[0] if pixels.size else None
    if isinstance(first, str | os.PathLike):
        raise DatasetError(
            f"{name} holds text, as {str(first)!r}: expected pictures, uint8 values from 0 to 255. For the paths of "
            f"files give a table: pandas.DataFrame({{'path': {name}, 'label': {block.names[1]}}})."
        )
    if pixels.dtype != np.uint8:
        unit = f"({name} * 255).round().astype('uint8') if they go from 0 to 1"
        way = unit if pixels.dtype.kind == "f" else f"{name}.astype('uint8') if they fit"
        raise DatasetError(f"{name} is {pixels.dtype}: expected uint8, values from 0 to 255. Convert them: {way}.")
    if pixels.ndim not in (3, 4) or pixels.shape[3:] not in ((), (1,), (3,), (4,)) or np.prod(pixels.shape[1:3]) < 2:
        raise DatasetError(
            f"{name} has the shape {list(pixels.shape)}: expected [n, height, width] or [n, height, width, channels], "
            "with 1, 3 or 4 channels and at least 2 pixels."
        )
    return pixels


def _array(values: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError:
        raise DatasetError(f"{name} is not an array: expected items that all have the same shape.") from None


_NAME = re.compile(r"(train|t10k)-(images|labels)[-.]idx[13]-ubyte(\.gz)?")
_PARTS = {"train": "train", "t10k": "test"}
_AXES = {"images": 3, "labels": 1}


def holds_idx(folder: str) -> bool:
    """Return whether any file in a folder is named like the idx files of MNIST."""
    try:
        return any(_NAME.fullmatch(name) for name in os.listdir(folder))
    except OSError:
        return False


def read_idx(folder: str) -> Dataset:
    """Return the pictures of a folder's idx files as arrays. If there are files of both parts, they give the parts.

    Raises:
        DatasetError: a file is missing, damaged or not an idx file; or the numbers of labels and pictures differ.
    """
    files: dict[tuple[str, str], str] = {}
    for name in sorted(os.listdir(folder)):  # sorted: a file comes before its compressed copy
        if match := _NAME.fullmatch(name):
            files.setdefault((match[1], match[2]), name)
    blocks = []
    for word, part in _PARTS.items():
        there = {kind: files[word, kind] for kind in _AXES if (word, kind) in files}
        if not there:
            continue
        if lacking := next((kind for kind in _AXES if kind not in there), None):
            [found] = there.values()
            expected = f"{word}-{lacking}-idx{_AXES[lacking]}-ubyte"
            raise DatasetError(
                f"{folder!r} holds {found!r} without its {lacking}: expected {expected!r} or its .gz beside it."
            )
        images, marks = (_values(Path(folder, there[kind]), axes) for kind, axes in _AXES.items())
        blocks.append(Block(images, marks, (there["images"], there["labels"]), part))
    return joined(blocks)


def _values(path: Path, axes: int) -> np.ndarray:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DatasetError(f"{str(path)!r} cannot be unpacked: it is damaged or cut short.") from None
    except OSError as error:
        raise DatasetError(f"cannot read {str(path)!r}: {error.strerror}.") from None
    start = 4 + 4 * axes
    if content[:4] != bytes((0, 0, 8, axes)) or len(content) < start:
        raise DatasetError(f"{str(path)!r} is not an idx file of unsigned bytes with {axes} axes.")
    shape = [int(length) for length in np.frombuffer(content, ">u4", axes, 4)]
    expected = start + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise DatasetError(f"{str(path)!r} has {len(content)} bytes, and its header gives {expected}: it is damaged.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
