"""The expected times of a search follow the work until they are measured."""

from types import SimpleNamespace

import pytest

from tests.tiny import NAME, tiny
from topwork.data.dataset import Dataset, Row
from topwork.networks.places import graph_of
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Phase
from topwork.training.search import costs
from topwork.training.search.costs import Costs

ROWS = tuple(Row(f"{i}.png", f"{i:064}", "ab"[i % 2], ("train", "val", "test")[i % 3]) for i in range(90))


def recipe(place):
    backbone = tiny(runtime="openvino")
    graph_of(backbone)
    return Recipe((Phase(f"{NAME}@{place}", epochs=2),), backbones={NAME: backbone})


@pytest.fixture
def supply():
    return SimpleNamespace(data=Dataset("/d", ROWS), paces={})


def test_more_open_layers_take_longer(supply):
    found = Costs(supply, ())
    assert found.epoch(recipe("block_1_project")) > 2 * found.epoch(recipe("block_13_project")) > 0


def test_a_measured_epoch_replaces_the_expected_one(supply):
    early, late = recipe("block_1_project"), recipe("block_13_project")
    expected = Costs(supply, ())
    quick = SimpleNamespace(recipe=late, phase=late.phases[-1], pace=7.0)
    found = Costs(supply, [quick])
    assert found.epoch(late) == 7.0
    assert found.epoch(early) == pytest.approx(7.0 * expected.epoch(early) / expected.epoch(late))


def test_pictures_that_the_store_lacks_take_time(supply):
    found = Costs(supply, ())
    before = found.filling(recipe("block_13_project"))
    assert before > 0
    assert found.start(recipe("block_13_project")) == costs.START + before
    supply.paces[NAME] = 0.5
    assert found.filling(recipe("block_13_project")) == pytest.approx(90 * 0.5)
    assert found.closing(recipe("block_13_project")) == pytest.approx(costs.CLOSING + 2 * 30 * 0.5)
