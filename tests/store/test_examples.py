"""How training reads activations."""

from dataclasses import replace

import numpy as np
import pytest

from tests import shelf
from topwork.data.dataset import Dataset, Row
from topwork.errors import StoreError
from topwork.networks import trunk
from topwork.networks.graph import TensorSpec
from topwork.recipes.settings import Views
from topwork.store import examples as part_module
from topwork.store.examples import Examples, Source, StoredActivations
from topwork.store.store import Store

COUNT = 30


def keys(term, views=1):
    return [bytes([term, view, row]).ljust(32) for view in range(views) for row in range(COUNT)]


@pytest.fixture(params=["in memory", "from the store"])
def part(request, tmp_path, monkeypatch):
    """Return two terms, one with two tensors and one with pixels, in two views; a value shows its view and row."""
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
        yield Examples(sources, np.arange(COUNT) % 3, [f"{i:064x}" for i in range(COUNT)], 2)


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


class InMemory:
    """Another kind of store, which keeps its rows in a dictionary."""

    def __init__(self, rows):
        self._rows = rows
        self.closed = 0

    tensors = (TensorSpec((3,)),)
    stored = ("float16",)

    def read(self, keys):
        return [np.stack([self._rows[k] for k in keys])]

    def failures(self, keys):
        return {k: "it is no picture" for k in keys if k not in self._rows}

    def disk_bytes(self, rows):
        return 6 * rows

    def close(self):
        self.closed += 1


def test_another_form_of_store_stands_behind_the_one_interface(own_home):
    """Requests for one folder share a reader, which provides rows, views and failures."""
    rows = tuple(Row(f"{n}.png", f"{n:064x}", "ab"[n % 2], "train" if n < 4 else "test") for n in range(6))
    one = shelf.request("pool").of(Dataset("/d", rows[:5]))
    one = replace(one, views=Views(2))
    trunk.keep_graph(one.backbone, shelf.GRAPH)
    draw = np.random.default_rng(0)
    stored = {k: draw.random(3, np.float32).astype("float16") for k in one.by_key}
    (lost,) = [k for k, shot in one.by_key.items() if shot.path == "4.png"]
    del stored[lost]
    reader, asked = InMemory(stored), []
    with StoredActivations([one, one], lambda request: asked.append(request) or reader) as activations:
        assert (asked, activations.dtypes) == ([one], [("float16",), ("float16",)])
        assert activations.failures() == {rows[4].digest: "it is no picture"}
        examples = activations.examples(rows[:4], ["a", "b"])
        assert (examples.views, examples.labels.tolist()) == (2, [0, 1, 0, 1])
        first, second = examples.take(np.array([1, 4 + 1]))  # view 0 and view 1 of row 1
        np.testing.assert_array_equal(first, second)
        shots = one.shots_of(rows[1])
        np.testing.assert_array_equal(first, np.stack([stored[one.key(shot)] for shot in shots]).astype("float32"))
        np.testing.assert_array_equal(activations.read(1, rows[:2])[0][1], stored[one.key(shots[0])])
    assert reader.closed == 1


def test_stores_are_closed_where_a_later_one_cannot_be_opened(own_home):
    first, second = shelf.request("pool"), shelf.request("conv")
    trunk.keep_graph(first.backbone, shelf.GRAPH)
    reader = InMemory({})

    def opening(request):
        if request == second:
            raise StoreError("damaged")
        return reader

    with pytest.raises(StoreError):
        StoredActivations([first, second], opening)
    assert reader.closed == 1
