"""What a search tries: the grid, the ends of cycles, and which tries train further."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topwork.cut import Cut
from topwork.training.search.openings import promoted
from topwork.training.search.plan import SETTINGS, grid, rungs

CUTS = [[Cut.parse(f"{name}@{place}") for place in "abc"] for name in "xy"]


def test_the_grid_has_each_way_once():
    ways = list(grid(CUTS))
    assert len(ways) == len(set(ways)) == 2 * 3 * len(SETTINGS)


@pytest.mark.parametrize("count", [6, 12])
def test_the_first_ways_cover_networks_places_and_settings(count):
    ways = list(grid(CUTS))[:count]
    assert len({one.cut for one in ways}) == 6
    assert len({(one.batch_norm, one.learning_rate) for one in ways}) == count // 2


def test_a_network_with_one_place_has_its_ways_once():
    ways = list(grid([[Cut.parse("x@a")], CUTS[1]]))
    assert len(ways) == len(set(ways)) == 4 * len(SETTINGS)


def test_each_cycle_is_twice_as_long_as_the_one_before():
    ends = [0, *rungs(3)]
    lengths = [after - before for before, after in pairwise(ends)]
    assert lengths[0] == 3
    assert all(after == 2 * before for before, after in pairwise(lengths))


@dataclass
class One:
    """A try that stands at an epoch, with a loss per end of a cycle."""

    number: int
    epochs: int
    losses: dict
    ended: str = ""
    phase: str = ""
    views: int = 1

    def loss_at(self, epoch):
        return self.losses[epoch]


ENDS = rungs(2)


def test_a_single_try_waits_for_another():
    assert promoted([One(1, 2, {2: 0.3})], ENDS) is None


def test_the_better_of_two_trains_further():
    assert promoted([One(1, 2, {2: 0.3}), One(2, 2, {2: 0.2})], ENDS).number == 2


def test_a_third_has_to_wait_for_a_fourth():
    tries = [One(1, 2, {2: 0.3}), One(2, 6, {2: 0.2, 6: 0.1}), One(3, 2, {2: 0.25})]
    assert promoted(tries, ENDS) is None
    assert promoted([*tries, One(4, 2, {2: 0.5})], ENDS).number == 3


def test_the_longest_cycle_comes_first():
    tries = [One(1, 6, {2: 0.3, 6: 0.1}), One(2, 6, {2: 0.2, 6: 0.2}), One(3, 2, {2: 0.1}), One(4, 2, {2: 0.9})]
    assert promoted(tries, ENDS).number == 1


def test_a_try_that_ended_does_not_train_further():
    tries = [One(1, 2, {2: 0.3}), One(2, 2, {2: float("inf")}, "its loss was not finite")]
    assert promoted(tries, ENDS).number == 1
    tries[0].ended = "out of memory"
    assert promoted(tries, ENDS) is None


@given(st.lists(st.floats(0.01, 9.0), min_size=1, max_size=12, unique=True))
def test_no_more_than_half_of_a_rung_trains_further(losses):
    tries = [One(number, 2, {2: loss}) for number, loss in enumerate(losses)]
    while one := promoted(tries, ENDS[:2]):
        one.epochs, one.losses[6] = 6, 0.0
    further = [one for one in tries if one.epochs == 6]
    assert len(further) == len(tries) // 2
    assert all(one.losses[2] < each.losses[2] for one in further for each in tries if each.epochs == 2)


def test_a_try_with_views_trains_as_far_as_the_same_settings_without_views():
    plain, other = One(1, 6, {2: 0.1, 6: 0.05}, phase="a"), One(2, 2, {2: 0.2}, phase="b")
    views = One(3, 2, {2: 0.9}, phase="a", views=4)
    assert promoted([plain, other, views], ENDS) is views
    views.epochs, views.losses[6] = 6, 0.5
    assert promoted([plain, other, views], ENDS) is plain  # the better of two after 6 epochs


def test_a_try_with_views_that_ended_does_not_train_further():
    plain, views = One(1, 6, {2: 0.1, 6: 0.05}, phase="a"), One(2, 2, {2: 0.9}, "it failed", "a", 4)
    assert promoted([plain, views], ENDS) is None
