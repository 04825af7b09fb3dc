"""The list of everything in the home folder, by the names that people write."""

import os
import shutil

import numpy as np
import pytest

from tests import shelf
from tests.shelf import NAME, NET
from topwork.errors import StoreError
from topwork.networks import trunk
from topwork.networks.graph import TensorSpec
from topwork.store.store import Store, key
from topwork.store.upkeep.inventory import contents


def test_activations_are_told_by_their_cut(own_home):
    folder = shelf.fill("conv", 300)
    shelf.fill("pool", 5, exact=True, precision="bfloat16")
    shelf.fill("input", 7)
    found = {thing.path.name: thing for thing in contents() if thing.kind == "activations"}
    told = sorted((t.name, t.size, t.weights, t.precision, t.dtype, t.rows) for t in found.values())
    assert told == [
        (f"{NAME}@conv", 32, "random", "float32", "float16", 300),
        (f"{NAME}@pool", 32, "random", "float32", "float32", 5),
        ("x@input", 32, None, None, "uint8", 7),
    ]
    taken = sum(512 * os.lstat(path).st_blocks for path in (folder, *folder.iterdir()))
    assert found[folder.name].bytes == taken > 300 * 4 * 4 * 8 * 2
    assert [t.bytes for t in contents()] == sorted((t.bytes for t in contents()), reverse=True)


def test_all_else_is_told_too(own_home):
    shelf.fill("pool")
    folder, weights = shelf.convert("pool"), shelf.random_weights()
    model = own_home / "models" / f"{'ab' * 32}.keras"
    model.parent.mkdir()
    model.write_bytes(bytes(100))
    found = {(thing.kind, thing.name, thing.path) for thing in contents() if thing.kind != "activations"}
    assert found == {
        ("trunk", f"{NAME}@pool", folder),
        ("random weights", NAME, weights),
        ("graph", NAME, trunk.graph_path(NET)),
        ("model", model.name, model),
    }


def test_weights_are_known_by_their_content(own_home, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    official = tmp_path / "keras" / "models" / "mobilenet_2_5_224_tf_no_top.h5"
    official.parent.mkdir(parents=True)
    official.write_bytes(b"official")
    (tmp_path / "mine.h5").write_bytes(b"mine")
    shelf.fill("pool", weights="imagenet")
    shelf.fill("pool", weights=str(tmp_path / "mine.h5"))
    assert sorted(thing.weights for thing in contents() if thing.kind == "activations") == ["file", "imagenet"]


def test_several_tensors_and_an_overflow(own_home):
    about = {"backbone": NAME, "tensors": ["a:0", "b:1"], "size": 64, "weights": "random-0", "rule": "r"}
    folder = own_home / "store" / f"{NAME}-{'0' * 16}"
    with Store(folder, [TensorSpec((2,)), TensorSpec((3,))], about) as store:
        for number, value in enumerate((1.0, 1e5)):
            arrays = [store.tensors[i].shape for i in (0, 1)]
            store.write([key(f"{number:064x}")], [np.full((1, *shape), value, "float32") for shape in arrays])
    (thing,) = contents()
    assert (thing.name, thing.dtype, thing.rows) == (f"{NAME}@{{a, b:1}}", "float32", 1)


def test_looking_changes_nothing(own_home):
    folder = shelf.aged(shelf.fill("pool"))
    before = {path: path.read_bytes() for path in folder.iterdir() if path.name == "data.mdb"}
    assert contents()[0].used == shelf.LONG_AGO == contents()[0].used
    assert {path: path.read_bytes() for path in before} == before


def test_a_damaged_store_keeps_its_name(own_home):
    folder = shelf.fill("pool")
    (folder / "data.mdb").write_bytes(np.random.default_rng(0).bytes(50_000))
    (thing,) = (thing for thing in contents() if thing.kind == "activations")
    assert (thing.name, thing.rows) == (f"{NAME}@pool", None)


def test_a_store_that_is_open_here_is_told_as_well(own_home):
    folder = shelf.fill("pool")
    ask = shelf.request("pool")
    with ask.store():
        (thing,) = (thing for thing in contents() if thing.path == folder)
    assert (thing.name, thing.rows) == (f"{NAME}@pool", None)


def test_what_is_not_topworks_is_not_seen(own_home, tmp_path):
    folder = shelf.fill("pool")
    for name in ("store/mine", "store/x-0123", "trunks/photos", "other/.topwork-abcdefgh.part"):
        (own_home / name).mkdir(parents=True)
    (own_home / "store" / f"{NAME}-{'1' * 16}").write_text("a file")
    (own_home / "graphs" / "notes.json").write_text("{}")
    shutil.copytree(folder, tmp_path / "elsewhere")
    (own_home / "store" / f"{NAME}-{'2' * 16}").symlink_to(tmp_path / "elsewhere")
    assert {thing.path for thing in contents()} == {folder, trunk.graph_path(NET)}


def test_a_home_that_is_a_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "home").write_text("not a folder")
    monkeypatch.setenv("TOPWORK_HOME", str(tmp_path / "home"))
    with pytest.raises(StoreError, match="is a file"):
        contents()
