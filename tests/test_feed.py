import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topwork.dataset import Row
from topwork.feed import Feed
from topwork.part import Part
from topwork.store import Store, Tensor, key


def part(folder, count, kept=True):
    rows = [Row(f"{i}", f"{i:064x}", "ab"[i % 2]) for i in range(count)]
    store = Store(folder, [Tensor((2,)), Tensor((1, 2))], {"cut": "x"})
    values = np.arange(count, dtype=np.float32)
    store.write(
        [key(row.digest) for row in rows], [np.stack([values, values], 1), values.repeat(2).reshape(-1, 1, 2) + 1]
    )
    found = Part.of(store, rows, ["a", "b"])
    return found if kept else Part(store, found.keys, found.labels)


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 5))
def test_each_epoch_shows_each_row_once(count, batch, seed):
    rows = np.arange(count)
    feed = Feed(Part(None, [b""] * count, rows, (rows,)), batch, 3, (seed, 1))
    epochs = [np.concatenate([feed[e * feed.steps + s][1] for s in range(feed.steps)]) for e in range(3)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert len(feed) == 3 * feed.steps


def test_the_order_depends_on_seed_phase_and_epoch_alone():
    rows = np.arange(50)

    def order(seed, epoch):
        feed = Feed(Part(None, [b""] * 50, rows, (rows,)), 8, 5, seed)
        return [feed[epoch * feed.steps + s][1].tolist() for s in range(feed.steps)]

    assert order((1, 1), 3) == order((1, 1), 3)
    assert len({str(order(seed, epoch)) for seed in [(1, 1), (2, 1), (1, 2)] for epoch in (0, 1)}) == 6


@pytest.mark.parametrize("kept", [True, False])
def test_rows_come_with_their_labels_in_float32(tmp_path, kept):
    found = part(tmp_path, 10, kept)
    first, second = found.take(np.array([7, 0, 7]))
    assert first.dtype == second.dtype == np.float32
    np.testing.assert_array_equal(first, [[7, 7], [0, 0], [7, 7]])
    np.testing.assert_array_equal(second[:, 0], [[8, 8], [1, 1], [8, 8]])
    assert found.labels[[7, 0, 7]].tolist() == [1, 0, 1]
    found.store.close()


def test_a_sample_is_seeded_and_keeps_labels_and_rows_together(tmp_path):
    found = part(tmp_path, 30)
    some = found.sample(10, seed=0)
    assert len(some) == 10
    assert [k.hex() for k in some.keys] == [k.hex() for k in found.sample(10, seed=0).keys]
    values = some.take(np.arange(10))[0][:, 0].astype(int)
    assert (values % 2 == some.labels).all()
    assert len(found.sample(100, seed=0)) == 30
    found.store.close()
