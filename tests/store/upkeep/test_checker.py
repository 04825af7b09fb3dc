"""A store is read in slices; test_verify.py tests the checks themselves, in a separate process."""

import pytest

from tests import shelf
from tests.store.upkeep.test_verify import flip, row_of
from topwork.errors import StoreError
from topwork.store.upkeep import checker


@pytest.mark.parametrize(("rows", "size"), [(64, 10**9), (10**9, 64 * 4 * 4 * 8 * 2)])
def test_no_slice_is_larger_than_it_may_be(own_home, monkeypatch, rows, size):
    monkeypatch.setattr(checker, "SLICE_ROWS", min(rows, 4096))
    monkeypatch.setattr(checker, "SLICE_BYTES", size)
    folder, told = shelf.fill("conv", 300), []
    checker.check(folder, lambda *done: told.append(done))
    assert told == [(64, 300), (128, 300), (192, 300), (256, 300), (300, 300)]


def test_damage_is_counted_over_all_slices(own_home, monkeypatch):
    monkeypatch.setattr(checker, "SLICE_ROWS", 7)
    folder = shelf.fill("conv", 50)
    for number in (13, 14, 49):
        flip(folder / "data.mdb", row_of(folder, number) + 100)
    with pytest.raises(StoreError, match=r"damaged: 3 of its 50 rows, the first of them row 13, are missing"):
        checker.check(folder, lambda *_: None)


def test_a_fill_that_has_not_begun_is_sound(own_home):
    folder = shelf.request("conv", precision="bfloat16").trunk_in(shelf.GRAPH).folder
    folder.mkdir(parents=True)
    checker.check(folder, lambda *_: None)
    assert list(folder.iterdir()) == []
