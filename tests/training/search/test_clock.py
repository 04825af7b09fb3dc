"""The clock of a search stands still while the search is interrupted."""

import pytest

from topwork.training.search import clock
from topwork.training.search.clock import Clock


@pytest.fixture
def now(monkeypatch):
    """Let a test set the time."""
    at = [100.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: at[0])
    return at


def begun(path):
    return Clock(2, path / "clock.json")


def test_it_counts_from_its_start(now, tmp_path):
    one = begun(tmp_path)
    now[0] += 30
    assert (one.spent, one.left) == (30, 90)
    one.reserve = 20
    assert one.left == 70


def test_it_goes_on_from_what_was_saved(now, tmp_path):
    one = begun(tmp_path)
    now[0] += 30
    one.save()
    now[0] += 1000
    again = begun(tmp_path)
    assert again.spent == 30
    now[0] += 100
    assert again.left == -10
