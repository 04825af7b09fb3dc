"""Which try a search keeps, and the list of its tries."""

from dataclasses import dataclass

import numpy as np
import pytest

from topwork.runs.scores import Rate
from topwork.runs.search.tried import Tried
from topwork.training.search import outcome
from topwork.training.search.outcome import regular, supports, table


@pytest.fixture
def draw():
    return np.random.default_rng(0)


def test_a_large_gain_is_supported(draw):
    head = draw.exponential(1, 100)
    assert supports(head, head / 4, 10)
    assert not supports(head / 4, head, 10)


def test_a_gain_of_some_pictures_that_others_lose_is_not(draw):
    head = draw.exponential(1, 100)
    assert not supports(head, head + draw.normal(-0.02, 0.5, 100), 10)


def test_with_few_pictures_the_best_of_many_needs_a_larger_gain(draw):
    gains = draw.normal(0.1, 0.28, 50)
    error = gains.std(ddof=1) / 50**0.5
    gains += 2.0 * error - gains.mean()
    assert supports(1 + gains, np.ones(50), 1)
    assert not supports(1 + gains, np.ones(50), 10)


def test_with_many_pictures_one_standard_error_decides(draw):
    gains = draw.normal(0.1, 0.5, outcome.ENOUGH)
    error = gains.std(ddof=1) / outcome.ENOUGH**0.5
    gains -= gains.mean()
    assert supports(1 + gains + 1.1 * error, np.ones(outcome.ENOUGH), 30)
    assert not supports(1 + gains + 0.9 * error, np.ones(outcome.ENOUGH), 30)


@dataclass(eq=False)
class One:
    """A try with the losses of its validation pictures."""

    phase: str
    views: int
    epochs: int
    losses: np.ndarray


def kept(best, *others):
    return regular(best, [best, *others], lambda one: one.losses)


def test_the_same_settings_with_views_are_kept_unless_they_are_worse_beyond_chance(draw):
    best = One("a", 1, 6, draw.exponential(1, 100))
    as_good = One("a", 4, 6, best.losses + draw.normal(0.02, 0.5, 100))
    worse = One("a", 4, 6, 2 * best.losses)
    assert kept(best, as_good) is as_good
    assert kept(best, worse) is best


def test_views_are_not_kept_for_other_settings_or_fewer_epochs(draw):
    losses = draw.exponential(1, 100)
    best = One("a", 1, 6, losses)
    assert kept(best, One("b", 4, 6, losses), One("a", 4, 2, losses), One("a", 1, 6, losses)) is best


def test_a_best_try_with_views_stays(draw):
    losses = draw.exponential(1, 100)
    best = One("a", 4, 6, losses)
    assert kept(best, One("a", 1, 6, losses)) is best


def test_chance_alone_is_rarely_accepted(draw):
    """Twelve tries that are as good as the head; the best is accepted in 5 % of the cases at most."""
    accepted = 0
    for _ in range(400):
        head = draw.exponential(0.5, 50)
        tries = [head + draw.normal(0, 0.3, 50) for _ in range(12)]
        accepted += supports(head, min(tries, key=np.mean), 12)
    assert accepted <= 400 * 0.08


def test_the_table_fits_80_columns_and_the_kept_try_comes_first():
    long = "efficientnet_v2_s@block6o_project_activation..block6o_project_activation"
    rate = Rate(0.9, 0.8, 0.95)
    common = {"solved": False, "batch_norm": "frozen", "learning_rate": 3e-4, "epochs": 126, "best": 114}
    common["accuracy"] = rate
    rows = [Tried(number=number, cut=long, kept=number == 12, **common) for number in range(1, 14)]
    rows.append(Tried(number=14, cut="x@pool", solved=True, accuracy=Rate(0.99, 0.98, 1.0)))
    rows.append(Tried(number=15, cut="x@a", solved=False, ended="not tried: the time was used"))
    lines = table(rows).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 16
    assert lines[1].startswith("12 ") and lines[1].endswith("*")
    assert lines[2].startswith("14 ")
