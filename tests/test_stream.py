"""The same batches, gathered inside TensorFlow."""

from hashlib import sha256

import numpy as np
import pytest
import tensorflow as tf

from topwork import stream
from topwork.feed import Feed
from topwork.part import Part, Source
from topwork.recipe import Training
from topwork.store import Store, Tensor
from topwork.stream import streamed


def fed(rows=21, views=1, kept=True, epochs=(1, 3), **training):
    """Two terms: one of two float16 tensors, one of pixels."""
    draw = np.random.default_rng(0)
    count = rows * views
    floats = tuple(draw.normal(size=(count, *shape)).astype(np.float16) for shape in ((3,), (2, 2, 1)))
    pixels = (draw.integers(0, 256, (count, 4, 4, 3), np.uint8),)
    sources = tuple(Source(None, [b""] * count, arrays if kept else None) for arrays in (floats, pixels))
    contents = [sha256(bytes([i])).hexdigest() for i in range(rows)]
    part = Part(sources, np.arange(rows) % 2, contents, views)
    return Feed(part, 2, 4, epochs, 1, Training(**training))


def leaves(batch):
    return [np.asarray(leaf) for leaf in tf.nest.flatten(batch)]


@pytest.mark.parametrize("chunk", [0, 1000, 10**9])
@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize(
    "training",
    [{}, {"loss": "binary"}, {"class_weight": "balanced"}, {"sampling": "balanced", "seed": 5}, {"drop_last": True}],
    ids=str,
)
def test_the_batches_are_those_of_the_feed_bit_for_bit(views, training, chunk, monkeypatch):
    monkeypatch.setattr(stream, "CHUNK", chunk)
    feed = fed(views=views, **training)
    batches = streamed(feed)
    assert isinstance(batches, tf.data.Dataset)
    found = list(batches)
    assert len(found) == len(feed) == 2 * feed.steps
    for step, batch in enumerate(found):
        expected = leaves(feed[step])
        assert len(leaves(batch)) == len(expected)
        for one, other in zip(leaves(batch), expected):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shift", [0, 1])
def test_memory_is_shared_where_it_may_be(shift):
    raw = np.zeros(1000, np.float16)
    start = -raw.ctypes.data % 64 // 2 + shift
    array = raw[start : start + 600].reshape(100, 6)
    tensor = stream._tensor(array)
    array[3] = 7
    assert float(tensor[3, 0]) == (0.0 if shift else 7.0)
    assert tf.gather(tensor, [3, 4]).shape == (2, 6)


def test_what_the_store_gives_is_shared(tmp_path):
    with Store(tmp_path / "s", [Tensor((3,)), Tensor((5,))], {"cut": "x"}) as store:
        keys = [bytes([i]).ljust(32) for i in range(7)]
        store.write(keys, [np.ones((7, 3), np.float32), np.ones((7, 5), np.float32)])
        assert [array.ctypes.data % 64 for array in store.read(keys)] == [0, 0]


def test_one_tensor_is_no_tuple():
    feed = fed()
    alone = Feed(Part(feed.part.sources[1:], feed.part.labels, feed.part.contents), 2, 4, (0, 1), 1, Training())
    inputs, _ = next(iter(streamed(alone)))
    assert inputs.shape == (4, 4, 4, 3) and inputs.dtype == tf.uint8


def test_what_is_not_in_memory_is_read_by_the_feed():
    feed = fed(kept=False)
    assert streamed(feed) is feed


def test_another_backend_reads_the_feed(monkeypatch):
    monkeypatch.setattr("topwork.backend.name", lambda: "jax")
    feed = fed()
    assert streamed(feed) is feed
