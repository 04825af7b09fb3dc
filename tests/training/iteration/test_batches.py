"""The batches that ``fit`` reads: their rows, views, order, targets and weights."""

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topwork.recipes.settings import Training
from topwork.store.examples import Examples
from topwork.training.iteration.batches import Feed, targets

ROWS = np.arange(50)


def fed(labels, batch=8, epochs=(0, 3), number=1, views=1, **training):
    """Return a feed of rows for which no activations are stored."""
    contents = [sha256(bytes([i % 256, i // 256])).hexdigest() for i in range(len(labels))]
    return Feed(Examples((), np.asarray(labels), contents, views), 50, batch, epochs, number, Training(**training))


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 5))
def test_each_epoch_shows_each_row_once(count, batch, seed):
    feed = fed(np.arange(count), batch, seed=seed)
    for epoch in range(3):
        seen = np.concatenate([feed[epoch * feed.steps + step][1].argmax(1) for step in range(feed.steps)])
        assert sorted(seen) == list(range(count))
    assert len(feed) == 3 * feed.steps


def test_the_order_depends_on_seed_phase_and_epoch_alone():
    def order(seed, number, epoch):
        return fed(ROWS, number=number, seed=seed).order(epoch).tolist()

    assert order(1, 1, 3) == order(1, 1, 3)
    assert len({str(order(seed, number, e)) for seed, number in [(1, 1), (2, 1), (1, 2)] for e in (0, 1)}) == 6


def test_a_later_start_goes_on_as_the_whole_does():
    whole, late = fed(ROWS, epochs=(0, 5)), fed(ROWS, epochs=(3, 5))
    assert len(late) == 2 * late.steps
    for step in range(len(late)):
        np.testing.assert_array_equal(late[step][1], whole[3 * whole.steps + step][1])


def test_views_are_drawn_from_seed_epoch_and_content():
    views = np.stack([fed(np.zeros(2000, int), views=4).views(epoch) for epoch in range(5)])
    shares = np.bincount(views.ravel(), minlength=4) / views.size
    np.testing.assert_allclose(shares, 0.25, atol=0.02)
    assert all((views[a] != views[b]).mean() > 0.7 for a, b in [(0, 1), (1, 2), (0, 4)])
    np.testing.assert_array_equal(views[2], fed(np.zeros(2000, int), views=4).views(2))
    assert (fed(np.zeros(2000, int), views=4, seed=1).views(0) != views[0]).mean() > 0.7


def test_the_view_of_a_picture_does_not_depend_on_the_other_rows():
    few, many = (fed(np.zeros(count, int), views=3).views(1) for count in (10, 500))
    np.testing.assert_array_equal(few, many[:10])


def test_a_short_last_batch_may_be_left_out():
    feed = fed(ROWS, batch=8, drop_last=True)
    assert feed.steps == 6
    assert {len(feed[step][1]) for step in range(len(feed))} == {8}
    assert fed(ROWS[:5], batch=8, drop_last=True).steps == 1, "a batch that is all there is stays"


def test_balanced_weights_make_every_class_weigh_the_same():
    labels = np.array([0] * 30 + [1] * 10)
    feed = fed(labels, batch=40, class_weight="balanced")
    _, found, weights = feed[0]
    assert found[weights > 1].argmax(1).tolist() == [1] * 10
    np.testing.assert_allclose([weights[found.argmax(1) == k].sum() for k in (0, 1)], [20, 20], rtol=1e-5)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.integers(0, 9))
def test_balanced_sampling_shows_each_class_as_often(counts, epoch):
    labels = np.repeat(np.arange(len(counts)), counts)
    shown = fed(labels, sampling="balanced").order(epoch)
    assert len(shown) == len(labels)
    each = np.bincount(labels[shown], minlength=len(counts))
    assert each.max() - each.min() <= 1
    for label, count in enumerate(counts):
        times = np.bincount(shown, minlength=len(labels))[labels == label]
        assert times.max() - times.min() <= 1 + (count > each[label])


@pytest.mark.parametrize(("loss", "expected"), [("categorical", [[0, 1], [1, 0]]), ("binary", [[1], [0]])])
def test_targets(loss, expected):
    found = targets(np.array([1, 0]), 2, loss)
    assert found.dtype == np.float32
    assert found.tolist() == expected
