"""The network of a finished run is the one that was trained; an unfinished run, or one on other weights, is refused."""

import random
from dataclasses import replace

import keras
import numpy as np
import pytest

from tests.inference import outputs
from tests.tiny import NAME, SIDE, tiny
from topwork.data.dataset import Dataset, Row
from topwork.errors import RunError
from topwork.networks.model import create as network
from topwork.networks.places import graph_of
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone, Phase
from topwork.runs import lockfile
from topwork.runs.creation import create
from topwork.runs.folder import Folder
from topwork.runs.restore import endings, restore, shipped, trained_on
from topwork.store.plan import steps

ROWS = tuple(Row(f"{i}.png", f"{i:064x}", "ab"[i % 2], part) for i, part in enumerate(["train", "val", "test"] * 2))
DATA = Dataset("/data", ROWS)
CUTS = ("pool", "block_14_add")


@pytest.fixture(scope="module")
def recipe():
    phases = tuple(Phase(f"{NAME}@{cut}") for cut in CUTS)
    return Recipe(phases, backbones={NAME: tiny()}).checked()


@pytest.fixture
def folder(recipe, tmp_path):
    """Return the folder of a run that has begun."""
    return create(tmp_path / "run", recipe, DATA, lock=lockfile.known(recipe))


@pytest.fixture(scope="module")
def trained(recipe):
    """Return the network of the run's last phase, with values that no new network has."""
    for backbone in recipe.backbones.values():
        graph_of(backbone)
    made = network(recipe, steps(recipe)[-1].trunks(), 2)
    draw = np.random.default_rng(3)
    made.load({name: [draw.normal(1, 0.1, a.shape) for a in arrays] for name, arrays in made.values().items()})
    return made


def test_the_trained_weights_come_back(folder, trained):
    folder.keep_weights(trained.values())
    found = restore(Folder(folder.path))
    assert found.values().keys() == trained.values().keys()
    for name, arrays in trained.values().items():
        for a, b in zip(arrays, found.values()[name], strict=True):
            np.testing.assert_array_equal(a, b)
    pixels = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
    np.testing.assert_allclose(outputs(found.flat(), pixels), outputs(trained.flat(), pixels), atol=1e-6)


def test_a_run_that_has_not_finished_is_refused(folder):
    with pytest.raises(RunError) as error:
        restore(folder)
    assert str(error.value) == (
        f"the run {str(folder.path)!r} has not finished: it has no weights. "
        f"Continue it: topwork.Run({str(folder.path)!r}).resume()"
    )


def test_weights_of_the_backbone_that_are_others_now_are_refused(folder, trained):
    folder.keep_weights(trained.values())
    known = lockfile.read(folder)
    lockfile.write(folder.path, {NAME: known[NAME] | {"sha256": "0" * 64}})
    with pytest.raises(RunError, match=f"^the run '{folder.path}' depends on the weights .* with SHA-256 000000000000"):
        restore(Folder(folder.path))


def test_the_users_random_generators_stay_as_they_were(tmp_path):
    """Keras draws a random seed for each layer without one."""
    start = keras.Input((8, 8, 3))
    low = keras.layers.Conv2D(4, 3, name="low")(start)
    keras.Model(start, keras.layers.Conv2D(4, 3, name="high")(low)).save(tmp_path / "mine.keras")
    mine = Backbone("mine", model=str(tmp_path / "mine.keras"), size=8)
    recipe = Recipe((Phase("mine@low"),), backbones={"mine": mine}).checked()
    graph_of(mine)
    folder = create(tmp_path / "run", recipe, DATA, lock=lockfile.known(recipe))
    folder.keep_weights(network(recipe, steps(recipe)[-1].trunks(), 2).values())
    states = random.getstate(), np.random.get_state()[1].copy()
    restore(folder)
    assert random.getstate() == states[0]
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])


def test_what_a_run_is_measured_on(folder):
    (ending,) = endings(folder)
    assert [term.place for term in ending.terms] == [CUTS[-1]]
    rows = DATA.part("test")
    (exact,), (fast,) = shipped([ending], DATA, rows), trained_on([ending], DATA, rows)
    assert exact.data == fast.data == replace(DATA, rows=rows)
    assert (exact.exact, fast.exact) == (True, False)
