"""The training step looks up its batches itself, and they are the same as the feed's."""

from hashlib import sha256

import keras
import numpy as np
import pytest
import tensorflow as tf

from topwork.networks.graph import TensorSpec
from topwork.recipes.settings import Training
from topwork.store.examples import Examples, Source
from topwork.store.store import Store
from topwork.training.iteration import device_batches
from topwork.training.iteration.batches import Feed
from topwork.training.iteration.device_batches import OnDevice, look_up, orders, reader


def fed(rows=21, views=1, kept=True, epochs=(1, 3), **training):
    """Return a feed of two terms: one with two float16 tensors, one with pixels."""
    draw = np.random.default_rng(0)
    count = rows * views
    floats = tuple(draw.normal(size=(count, *shape)).astype(np.float16) for shape in ((3,), (2, 2, 1)))
    pixels = (draw.integers(0, 256, (count, 4, 4, 3), np.uint8),)
    sources = tuple(Source(None, [b""] * count, arrays if kept else None) for arrays in (floats, pixels))
    contents = [sha256(bytes([i])).hexdigest() for i in range(rows)]
    part = Examples(sources, np.arange(rows) % 2, contents, views)
    return Feed(part, 2, 4, epochs, 1, Training(**training))


def leaves(batch):
    return [np.asarray(leaf) for leaf in tf.nest.flatten(batch)]


@pytest.mark.parametrize("at_once", [1, 7, 1000])
@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize(
    "training",
    [{}, {"loss": "binary"}, {"class_weight": "balanced"}, {"sampling": "balanced", "seed": 5}, {"drop_last": True}],
    ids=str,
)
def test_the_batches_are_those_of_the_feed_bit_for_bit(views, training, at_once, monkeypatch):
    monkeypatch.setattr(device_batches, "AT_ONCE", at_once)
    feed = fed(views=views, **training)
    look = tf.function(look_up(feed))
    found = [look(order) for order in orders(feed)]
    assert len(found) == len(feed) == 2 * feed.steps
    for step, batch in enumerate(found):
        expected = leaves(feed[step])
        assert len(leaves(batch)) == len(expected)
        for one, other in zip(leaves(batch), expected):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("training", [{}, {"loss": "binary"}, {"class_weight": "balanced"}], ids=str)
def test_a_gpu_holds_the_same_batches(training):
    feed = fed(views=3, **training)
    held = OnDevice(feed)
    assert len(held) == len(feed)
    for step in range(len(feed)):
        for one, other in zip(leaves(held[step]), leaves(feed[step]), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_who_holds_them(name, monkeypatch):
    feed = fed()
    monkeypatch.setattr(device_batches.keras_backend, "name", lambda: name)
    monkeypatch.setattr(device_batches.keras_backend, "compiled", lambda function: function)
    monkeypatch.setattr(device_batches.gpu, "at_hand", lambda: False)
    assert reader(None, feed)(feed) is feed
    monkeypatch.setattr(device_batches.gpu, "at_hand", lambda: True)
    assert isinstance(reader(None, feed)(feed), OnDevice)
    apart = fed(kept=False)
    assert reader(None, apart)(apart) is apart


@pytest.mark.parametrize("loss", ["categorical", "binary"])
def test_fit_gives_the_same_weights_either_way(loss):
    feed = fed(rows=21, epochs=(0, 3), loss=loss, class_weight="balanced")
    found = []
    for way in (reader, lambda model, feed: lambda feed: feed):
        keras.utils.set_random_seed(3)
        model = small(feed)
        data = way(model, feed)(feed)
        model.fit(data, epochs=3, steps_per_epoch=feed.steps, shuffle=False, verbose=0)
        found.append([np.array(v) for v in (*model.variables, *model.optimizer.variables)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def small(feed):
    inputs = [keras.Input(array.shape[1:]) for array in feed.part.take(np.array([0]))]
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(one) for one in inputs])
    outputs = keras.layers.Dense(1 if feed.training.loss == "binary" else 2)(keras.layers.Dropout(0.5)(joined))
    model = keras.Model(inputs, outputs)
    losses = {"binary": keras.losses.BinaryCrossentropy, "categorical": keras.losses.CategoricalCrossentropy}
    model.compile("adam", losses[feed.training.loss](from_logits=True), steps_per_execution=2)
    return model


@pytest.mark.parametrize("shift", [0, 1])
def test_memory_is_shared_where_it_may_be(shift):
    raw = np.zeros(1000, np.float16)
    start = -raw.ctypes.data % 64 // 2 + shift
    array = raw[start : start + 600].reshape(100, 6)
    tensor = device_batches._tensor(array)
    array[3] = 7
    assert np.asarray(tensor).view(np.float16)[3, 0] == (0.0 if shift else 7.0)
    assert tf.gather(tensor, [3, 4]).shape == (2, 6)


def test_what_the_store_gives_is_shared(tmp_path):
    with Store(tmp_path / "s", [TensorSpec((3,)), TensorSpec((5,))], {"cut": "x"}) as store:
        keys = [bytes([i]).ljust(32) for i in range(7)]
        store.write(keys, [np.ones((7, 3), np.float32), np.ones((7, 5), np.float32)])
        assert [array.ctypes.data % 64 for array in store.read(keys)] == [0, 0]


def test_one_tensor_is_no_tuple():
    feed = fed()
    alone = Feed(Examples(feed.part.sources[1:], feed.part.labels, feed.part.contents), 2, 4, (0, 1), 1, Training())
    inputs, _ = look_up(alone)(next(iter(orders(alone))))
    assert inputs.shape == (4, 4, 4, 3) and inputs.dtype == tf.uint8


def test_what_is_not_in_memory_is_read_by_the_feed():
    feed = fed(kept=False)
    assert reader(None, feed)(feed) is feed


def test_another_backend_reads_the_feed(monkeypatch):
    monkeypatch.setattr("topwork.system.keras_backend.name", lambda: "jax")
    feed = fed()
    assert reader(None, feed)(feed) is feed
