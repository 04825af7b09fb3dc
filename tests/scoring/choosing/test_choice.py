"""Which candidates differ significantly, and which one is proposed."""

import numpy as np
import pytest

from topwork.scoring import metrics
from topwork.scoring.choosing.choice import Candidate, Choice, ranked

N = 100


def candidate(cut, wrong, madds=100, above=0, kilobytes=2.5):
    """Return a candidate that is right on all of 100 pictures except those in *wrong*."""
    right = np.isin(np.arange(N), list(wrong), invert=True)
    rate = metrics.share(int(right.sum()), N)
    return Candidate(cut, rate, right, 0.1, 1280, 400_000, madds, above, kilobytes, 1_000_000, 3.0)


def choice(*found):
    return Choice(ranked(found), N, 5)


def test_the_cheapest_of_the_ties_is_proposed():
    found = choice(
        candidate("x@pool", range(22), 40), candidate("y@pool", range(20), 100), candidate("z@pool", range(60), 1)
    )
    assert [one.cut for one in found.candidates] == ["y@pool", "x@pool", "z@pool"]
    assert [one.tied for one in found.candidates] == [True, True, False]
    assert (found.best.cut, found.proposed.cut) == ("y@pool", "x@pool")
    assert found.text == (
        "y@pool is best (0.800, 95 % interval 0.711 to 0.867); x@pool (0.780, within one standard error) "
        "takes 40 % of its multiply-adds."
    )


def test_the_best_is_proposed_where_all_others_are_worse():
    found = choice(candidate("y@pool", range(20), 100), candidate("z@pool", range(60), 1))
    assert found.proposed is found.best
    assert found.text == "y@pool is best (0.800, 95 % interval 0.711 to 0.867); all others are worse."


def test_the_best_is_proposed_where_no_tie_is_cheaper():
    found = choice(candidate("y@pool", range(20), 100), candidate("x@pool", range(21), 200))
    assert found.proposed is found.best
    assert found.text == (
        "y@pool is best (0.800, 95 % interval 0.711 to 0.867); of the 1 that cannot be told from it none is both "
        "cheaper and within one standard error."
    )


def test_what_only_too_few_pictures_cannot_tell_from_the_best_is_not_proposed():
    """0.800 has a standard error of 0.040: 0.750 is tied in the exact test, but more than one standard error worse."""
    found = choice(candidate("y@pool", range(20), 100), candidate("x@pool", range(10, 35), 1))
    assert (found.candidates[1].tied, found.candidates[1].accuracy.value) == (True, 0.75)
    assert found.least == pytest.approx(0.76)
    assert found.proposed is found.best


def test_one_alone():
    assert choice(candidate("y@pool", range(20))).text == (
        "y@pool is best (0.800, 95 % interval 0.711 to 0.867), and was compared with nothing."
    )


def test_a_small_but_paired_difference_counts():
    """Only the best is right on 8 pictures, and never only the other: p = 2 / 2^8, although the intervals overlap."""
    found = choice(candidate("a@pool", range(20)), candidate("b@pool", range(28), 1))
    assert found.candidates[1].p == pytest.approx(2 / 2**8)
    assert found.candidates[1].accuracy.high > found.best.accuracy.low
    assert not found.candidates[1].tied


def test_many_candidates_make_chance_likelier():
    others = [candidate(f"b{i}@pool", range(28), 1) for i in range(8)]
    found = choice(candidate("a@pool", range(20)), *others)
    assert found.candidates[1].p == pytest.approx(8 * 2 / 2**8)
    assert found.candidates[1].tied


def test_equal_ones_are_ordered_by_what_they_cost():
    a = candidate("a@pool", range(20), 90, 10, 1.0)
    b = candidate("b@pool", range(20), 100, 0, 9.0)
    c = candidate("c@pool", range(20), 100, 0, 2.0)
    assert [one.cut for one in choice(a, b, c).candidates] == ["c@pool", "b@pool", "a@pool"]


def test_in_what_it_is_cheaper_is_said():
    less = choice(candidate("a@pool", range(20), 90, 10), candidate("b@pool", range(21), 95, 5)).text
    assert less.endswith("b@pool (0.790, within one standard error) takes 50 % of its multiply-adds in training.")
    room = choice(candidate("a@pool", range(20), kilobytes=4.0), candidate("b@pool", range(21), kilobytes=1.0)).text
    assert room.endswith("b@pool (0.790, within one standard error) takes 25 % of its room in the store.")
