"""Activations as training reads them."""

import numpy as np
import pytest

from topwork.networks.graph import TensorSpec
from topwork.store import examples as part_module
from topwork.store.examples import Part, Source
from topwork.store.store import Store

COUNT = 30


def keys(term, views=1):
    return [bytes([term, view, row]).ljust(32) for view in range(views) for row in range(COUNT)]


@pytest.fixture(params=["in memory", "from the store"])
def part(request, tmp_path, monkeypatch):
    """Two terms: one of two tensors, one of pixels; two views; a value says term, view and row."""
    monkeypatch.setattr(part_module, "IN_MEMORY", 10**9 if request.param == "in memory" else 0)
    values = np.arange(2 * COUNT, dtype=np.float32)
    with (
        Store(tmp_path / "a", [TensorSpec((2,)), TensorSpec((1, 2))], {"cut": "a"}) as a,
        Store(tmp_path / "b", [TensorSpec((3,), "uint8")], {"cut": "b"}) as b,
    ):
        a.write(keys(0, 2), [np.stack([values, values], 1), values.repeat(2).reshape(-1, 1, 2) + 1])
        b.write(keys(1, 2), [values.astype(np.uint8)[:, None].repeat(3, 1)])
        sources = (Source.of(a, keys(0, 2)), Source.of(b, keys(1, 2)))
        assert (sources[0].kept is not None) == (request.param == "in memory")
        yield Part(sources, np.arange(COUNT) % 3, [f"{i:064x}" for i in range(COUNT)], 2)


def test_rows_come_term_by_term(part):
    first, second, pixels = part.take(np.array([7, 0, 7]))
    assert (first.dtype, second.dtype, pixels.dtype) == (np.float32, np.float32, np.uint8)
    np.testing.assert_array_equal(first, [[7, 7], [0, 0], [7, 7]])
    np.testing.assert_array_equal(second[:, 0], [[8, 8], [1, 1], [8, 8]])
    np.testing.assert_array_equal(pixels[:, 0], [7, 0, 7])


def test_each_row_in_the_view_that_is_asked_for(part):
    first, _, pixels = part.take(np.array([7 + len(part), 0, 7]))
    np.testing.assert_array_equal(first[:, 0], [COUNT + 7, 0, 7])
    np.testing.assert_array_equal(pixels[:, 0], [COUNT + 7, 0, 7])


def test_a_sample_is_seeded_and_keeps_labels_and_rows_together(part):
    some = part.sample(10, seed=0)
    assert (len(some), some.views) == (10, 1)
    assert some.contents == part.sample(10, seed=0).contents != part.sample(10, seed=1).contents
    values = some.take(np.arange(10))[0][:, 0].astype(int)
    assert (values % 3 == some.labels).all()
    assert [f"{value:064x}" for value in values] == some.contents
    assert len(part.sample(100, seed=0)) == COUNT


def test_batches_are_all_rows_in_order(part):
    assert np.concatenate(list(part.batches(7))).tolist() == list(range(COUNT))
