import gzip
import struct

import numpy as np
import pytest

from topwork.data.readers import read
from topwork.errors import DatasetError

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 5, 4), dtype=np.uint8)
LABELS = np.arange(60, dtype=np.uint8) % 3


def idx(values):
    return struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def made(folder, parts, dash="-", packed=False):
    """Write the idx files for some parts, given as word -> rows."""
    for word, rows in parts.items():
        for kind, values in ((f"images{dash}idx3", PIXELS[rows]), (f"labels{dash}idx1", LABELS[rows])):
            content = gzip.compress(idx(values)) if packed else idx(values)
            (folder / f"{word}-{kind}-ubyte{'.gz' if packed else ''}").write_bytes(content)
    return folder


def told(folder):
    with pytest.raises(DatasetError) as error:
        read(folder)
    return str(error.value)


BOTH = {"train": slice(0, 40), "t10k": slice(40, 60)}


@pytest.mark.parametrize(("dash", "packed"), [("-", False), (".", False), ("-", True), (".", True)])
def test_train_and_t10k_are_the_parts(tmp_path, dash, packed):
    data = read(made(tmp_path, BOTH, dash, packed))
    assert np.array_equal(data.pixels, PIXELS)
    assert [row.label for row in data.rows] == [str(label) for label in LABELS]
    assert [row.split for row in data.rows] == ["train"] * 40 + ["test"] * 20
    assert (data.root, data.rows[41].path, data.notes) == ("", "X[41]", ())


@pytest.mark.parametrize("word", ["train", "t10k"])
def test_of_one_alone_all_parts_are_drawn(tmp_path, word):
    data = read(made(tmp_path, {word: slice(0, 60)}), draw="stratified")
    assert [len(data.part(part)) for part in ("train", "val", "test")] == [48, 6, 6]
    assert data.notes == (f"Only {word}-images-idx3-ubyte was found: all parts are drawn from it.",)


def test_the_plain_file_is_taken_before_the_packed_one(tmp_path):
    made(tmp_path, BOTH)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"")
    assert len(read(tmp_path).rows) == 60


def test_a_missing_file_is_named(tmp_path):
    made(tmp_path, BOTH, packed=True)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    assert told(tmp_path) == (
        f"{str(tmp_path)!r} holds 't10k-images-idx3-ubyte.gz' without its labels: "
        "expected 't10k-labels-idx1-ubyte' or its .gz beside it."
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", b"hello", "{path} is not an idx file of unsigned bytes with 3 axes."),
        ("train-images-idx3-ubyte", idx(LABELS), "{path} is not an idx file of unsigned bytes with 3 axes."),
        ("train-images-idx3-ubyte", idx(PIXELS)[:9], "{path} is not an idx file of unsigned bytes with 3 axes."),
        (
            "train-labels-idx1-ubyte",
            b"\0\0\x0b\x01" + bytes(4),
            "{path} is not an idx file of unsigned bytes with 1 axes.",
        ),
        (
            "train-images-idx3-ubyte",
            idx(PIXELS)[:-1],
            "{path} has 1215 bytes, and its header gives 1216: it is damaged.",
        ),
        (
            "train-labels-idx1-ubyte.gz",
            gzip.compress(idx(LABELS), mtime=0)[:-9],
            "{path} cannot be unpacked: it is damaged or cut short.",
        ),
        ("train-labels-idx1-ubyte.gz", idx(LABELS), "{path} cannot be unpacked: it is damaged or cut short."),
        (
            "train-labels-idx1-ubyte",
            idx(LABELS[:39]),
            "train-labels-idx1-ubyte has the shape [39]: expected [40], "
            "a label for each picture of train-images-idx3-ubyte.",
        ),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, name, content, message):
    made(tmp_path, BOTH)
    (tmp_path / name.removesuffix(".gz")).unlink()
    (tmp_path / name).write_bytes(content)
    assert told(tmp_path) == message.format(path=repr(str(tmp_path / name)))


def test_mnist_is_read(real):
    data = read(real / "mnist")
    assert (data.pixels.shape, data.classes) == ((10_000, 28, 28), tuple("0123456789"))
    assert [row.label for row in data.rows[:8]] == list("72104149")
    assert sum(row.label == "7" for row in data.rows) == 1028
    assert len(data.part("train")) == pytest.approx(8000, abs=150)
