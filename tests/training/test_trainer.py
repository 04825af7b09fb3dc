"""How often a run opens the stores that it reads."""

from collections import Counter

import pytest

import topwork as tw
from tests.conftest import make_folder
from tests.tiny import NAME, tiny
from topwork.store.store import Store

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
