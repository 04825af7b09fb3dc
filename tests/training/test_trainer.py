"""How often a run opens the stores that it reads, and what it suggests at its end."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import topwork as tw
from tests.conftest import make_folder
from tests.tiny import NAME, tiny
from topwork.networks.heads import LinearHead
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone, Phase
from topwork.store.store import Store
from topwork.system.advice import at_command_line
from topwork.training import trainer

END = f"{NAME}@block_2_add..block_2_add"
DEEP = f"{NAME}@block_1_project..block_2_add"


@pytest.fixture
def opened(monkeypatch):
    """Count how often each store's folder is opened in this process."""
    counts, begin = Counter(), Store.__init__

    def counted(self, folder, *args, **options):
        counts[str(folder)] += 1
        begin(self, folder, *args, **options)

    monkeypatch.setattr(Store, "__init__", counted)
    return counts


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Make 30 pictures that no other test has stored."""
    return make_folder(tmp_path_factory.mktemp("opened") / "colours", each=10, first=64_000)


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    data = tw.read(pictures, draw="stratified", split=(0.6, 0.2, 0.2))
    phases = [tw.Phase(cut, epochs=1) for cut in (END, DEEP)]
    return tw.train(data, phases=phases, backbones=[tiny()], out=tmp_path_factory.mktemp("runs") / "run")


def test_a_run_opens_a_store_once_for_each_fill_and_once_for_each_phase(run, opened, tmp_path):
    """Two phases and the test part (in float32) use three stores; each is opened once to fill and once to read."""
    again = tw.train(run.data, recipe=run.recipe, out=tmp_path / "again")
    assert again.results.accuracy == run.results.accuracy
    assert sorted(opened.values()) == [2, 2, 2]


def test_an_evaluation_opens_its_store_once_to_read_it(run, opened):
    run.evaluate("val")
    (count,) = opened.values()
    assert count == 3  # to look for missing pictures, to fill, to read


def suggested(spread, network="mobilenet_v2", **about):
    """Return what a solved run says about opening layers, for features with a spread and an ImageNet backbone."""
    norm = np.ones(2, np.float32), np.zeros(2, np.float32), np.ones(2, np.float32), np.full(2, spread, np.float32)
    head = LinearHead(np.zeros((2, 3), np.float32), np.zeros(3, np.float32), norm)
    recipe = Recipe((Phase(f"{network}@pool"),), backbones={network: Backbone(network, **about)})
    folder, data = SimpleNamespace(path=Path("runs/one")), SimpleNamespace(origin="my digits/")
    return trainer.Course._suggested(SimpleNamespace(recipe=recipe, folder=folder, data=data), head)


def test_opening_layers_is_suggested_where_the_network_sees_little_difference():
    assert suggested(1.1) == ""
    assert suggested(0.2, weights="random") == ""
    assert suggested(0.2, model="own.keras") == ""
    assert suggested(0.9) and not suggested(0.9, network="vgg16")
    told = suggested(0.2)
    assert "its features vary by 0.20 of" in told and "topwork.train(data, minutes=5)" in told
    with at_command_line():
        assert "topwork train 'my digits' --minutes 5" in suggested(0.2)
