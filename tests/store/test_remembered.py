"""Readers that remember: each row is read from the disk once, whatever the runs ask for."""

import numpy as np
import pytest

import topwork as tw
from tests.conftest import make_folder
from tests.tiny import NAME, tiny
from topwork.cut import Cut
from topwork.store import remembered as module
from topwork.store.examples import StoredActivations
from topwork.store.extract import fill_all, requested
from topwork.store.remembered import Remembered
from topwork.store.store import Store


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tw.read(make_folder(tmp_path_factory.mktemp("remembered") / "colours", each=4, first=81_000))


@pytest.fixture
def reads(monkeypatch):
    """Count the rows that are read from stores."""
    counts, read = [], Store.read
    monkeypatch.setattr(Store, "read", lambda self, keys: counts.append(len(keys)) or read(self, keys))
    return counts


def test_rows_are_read_once_and_are_those_of_the_store(data, reads):
    requests = requested(data, Cut.parse(f"{NAME}@pool"), [tiny()])
    fill_all(requests)
    with StoredActivations(requests) as stored:
        (expected,) = stored.read(0, data.rows)
        failed, dtypes, disk = stored.failures(), stored.dtypes, stored.readers[0].disk_bytes(10)
    assert np.ptp(expected, 0).max() > 0
    reads.clear()
    known = Remembered()
    for rows in (data.rows, data.rows[::-1], data.rows[3:5]):
        with StoredActivations(requests, known.open) as stored:
            (found,) = stored.read(0, rows)
            assert (stored.failures(), stored.dtypes) == (failed, dtypes)
            assert stored.readers[0].disk_bytes(10) == disk
        places = [data.rows.index(row) for row in rows]
        np.testing.assert_array_equal(found, expected[places])
    assert reads == [12]


def test_more_than_fits_is_read_from_the_store(data, reads, monkeypatch):
    monkeypatch.setattr(module, "IN_MEMORY", 100)
    requests = requested(data, Cut.parse(f"{NAME}@pool"), [tiny()])
    fill_all(requests)
    known = Remembered()
    for _ in range(2):
        with StoredActivations(requests, known.open) as stored:
            stored.read(0, data.rows)
    assert sum(reads) == 24


def test_the_folds_of_a_cross_validation_read_each_row_once(data, reads, tmp_path):
    """Once in the precision of the training, and once in the test's float32."""
    tw.cross_validate(data, 2, phases=[tw.Phase(f"{NAME}@pool")], backbones=[tiny()], out=tmp_path / "folds")
    assert sum(reads) == 24
