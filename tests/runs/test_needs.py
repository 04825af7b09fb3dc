"""What runs need in the home folder; if in doubt, they need everything."""

import json
import shutil
from dataclasses import replace

import pytest

from tests import shelf
from tests.shelf import GRAPH, NAME, NET
from topwork.networks import trunk
from topwork.networks.backbones import efficientnet_lite0
from topwork.networks.weights import official, random_weights
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone, Phase
from topwork.runs import lockfile
from topwork.runs.creation import create
from topwork.runs.needs import needs
from topwork.store.plan import unchecked
from topwork.store.upkeep.inventory import inventory


@pytest.fixture(autouse=True)
def known(own_home):
    """Store the network's graph in a home folder that only this test uses."""
    trunk.keep_graph(NET, GRAPH)
    return own_home


def one(path):
    (need,) = needs()
    assert need.run == path
    return need


def test_a_run_needs_what_its_phases_read_and_what_it_is_measured_with(tmp_path):
    need = one(shelf.run(tmp_path / "run", "pool", "conv"))
    assert need.paths == {
        shelf.request("pool").folder,
        shelf.request("conv").folder,
        shelf.request("conv", exact=True).folder,
        shelf.request("pool").trunk.converted.parent,
        shelf.request("conv").trunk.converted.parent,
        trunk.graph_path(NET),
        random_weights.kept(NET),
    }
    assert not need.backbones and not need.everything


def test_exact_activations_are_another_store_where_the_trunk_is_in_bfloat16(tmp_path):
    need = one(shelf.run(tmp_path / "run", "pool", precision="bfloat16"))
    fast, exact = shelf.request("pool", precision="bfloat16").folder, shelf.request("pool", exact=True).folder
    assert {fast, exact} <= need.paths and exact.name.endswith("-float32")
    assert fast.with_name(f"{fast.name}-float32") not in need.paths


def test_a_run_that_ended_before_its_precision_was_decided_needs_the_stores_of_both_and_no_more(tmp_path):
    need = one(shelf.run(tmp_path / "run", "pool", precision="auto"))
    stores = {path for path in need.paths if path.parent.name == "store"}
    both = {shelf.request("pool", precision=each).folder for each in ("bfloat16", "float32")}
    assert stores == both | {shelf.request("pool", exact=True).folder}
    assert not need.backbones and not need.everything


def test_live_views_need_pixels(tmp_path):
    recipe = Recipe.from_mapping(shelf.recipe("conv").as_mapping() | {"views": {"count": 4, "mode": "live"}})
    create(tmp_path / "run", recipe, shelf.DATA)
    need = one(tmp_path / "run")
    assert {path.name.split("-")[0] for path in need.paths if path.parent.name == "store"} == {"pixels", NAME}
    assert unchecked(recipe)[0].requests[0].folder in need.paths
    assert shelf.request("conv").folder not in need.paths


def test_what_keras_computes_is_anothers_for_each_backend(tmp_path, monkeypatch):
    need = one(shelf.run(tmp_path / "run", "pool", runtime="keras"))
    for name in ("jax", "torch", "tensorflow"):
        monkeypatch.setattr("topwork.system.keras_backend.name", lambda name=name: name)
        assert shelf.request("pool", runtime="keras").folder in need.paths
        assert shelf.request("pool", True, runtime="keras").folder in need.paths


def test_a_run_that_is_gone_or_elsewhere_needs_nothing(tmp_path):
    shelf.run(tmp_path / "gone", "pool")
    shelf.run(tmp_path / "moved", "pool")
    assert len(needs()) == 2
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "moved").rename(tmp_path / "elsewhere")
    assert needs() == []
    (tmp_path / "elsewhere").rename(tmp_path / "moved")
    assert one(tmp_path / "moved").paths


def doubtful(path):
    shelf.fill("conv")
    shelf.fill("input")
    need = one(path)
    assert need.backbones == {NAME, "pixels"} and not need.everything
    return [item.thing.kind for item in inventory([need]) if item.runs]


def test_weights_that_are_gone_keep_all_of_the_backbone(tmp_path):
    file = tmp_path / "mine.weights.h5"
    file.write_bytes(b"abc")
    path = shelf.run(tmp_path / "run", "pool", weights=str(file))
    assert one(path).backbones == set()
    file.unlink()
    assert sorted(doubtful(path)) == ["activations", "activations", "graph"]


def test_imagenet_weights_that_are_gone_are_not_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(official, "fetch", lambda *_: pytest.fail("the network was used"))
    assert "activations" in doubtful(shelf.run(tmp_path / "run", "pool", weights="imagenet"))


def test_another_keras_keeps_all_of_the_backbone(tmp_path):
    path = shelf.run(tmp_path / "run", "pool")
    about = json.loads((path / "environment.json").read_text())
    about["packages"]["keras"] = "3.0.0"
    (path / "environment.json").write_text(json.dumps(about))
    assert "activations" in doubtful(path)


def test_a_graph_that_is_gone_keeps_all_of_the_backbone(tmp_path, monkeypatch):
    path = shelf.run(tmp_path / "run", "pool")
    monkeypatch.setattr(trunk, "kept_graph", lambda backbone: None)
    assert one(path).backbones == {NAME, "pixels"}


@pytest.mark.parametrize("change", ["no TOML", "a newer format", "no environment"])
def test_a_run_that_cannot_be_read_keeps_everything(tmp_path, change):
    path = shelf.run(tmp_path / "run", "pool")
    if change == "no TOML":
        (path / "recipe.toml").write_text("[")
    elif change == "a newer format":
        (path / "environment.json").write_text('{"format": 99}')
    else:
        (path / "environment.json").unlink()
    shelf.fill("conv")
    assert one(path).everything
    assert all(item.runs for item in inventory([one(path)]))


def test_another_build_of_topworks_own_network_keeps_all_of_it(tmp_path, monkeypatch):
    backbone = Backbone("efficientnet_lite0", "random", 32, runtime="openvino", precision="float32")
    cut = {"efficientnet_lite0": backbone}
    recipe = Recipe((Phase("efficientnet_lite0@pool"),), backbones=cut).checked()
    graph = replace(GRAPH, name="efficientnet_lite0")
    trunk.keep_graph(backbone, graph)
    create(tmp_path / "run", recipe, shelf.DATA, lock=lockfile.known(recipe))
    assert one(tmp_path / "run").paths
    assert not one(tmp_path / "run").backbones
    monkeypatch.setattr(efficientnet_lite0, "BUILD", 2)
    trunk.keep_graph(backbone, graph)
    assert one(tmp_path / "run").backbones == {"efficientnet_lite0", "pixels"}
