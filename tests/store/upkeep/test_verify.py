"""Damage is found wherever it is, and the message names it and says what to do."""

import json
import os
import sys
from zipfile import ZipFile

import numpy as np
import pytest

from tests import shelf
from tests.shelf import NAME, NET
from topwork.errors import MachineError, UsageError
from topwork.networks import trunk
from topwork.networks.graph import TensorSpec
from topwork.store.store import Store, key
from topwork.store.tables import Tables
from topwork.store.upkeep.inventory import contents
from topwork.store.upkeep.verify import named, verify
from topwork.system import files

AGAIN = "Remove the folder: only its activations are computed again."


def problems(kind="activations"):
    return [checked.problem for checked in verify(contents()) if checked.thing.kind == kind and checked.problem]


def test_a_whole_store_is_whole_and_progress_is_told(own_home):
    shelf.fill("conv", 5000)
    told = []
    found = [thing for thing in contents() if thing.kind == "activations"]
    assert [checked.problem for checked in verify(found, lambda *done: told.append(done))] == [""]
    assert told == [(4096, 5000), (5000, 5000)]


def row_of(folder, number):
    """Return the position of a row in the file."""
    tables = Tables(folder)
    row = tables.run(lambda txn: bytes(txn.get(number.to_bytes(8, sys.byteorder), db=tables._handles["rows"])))
    tables.close()
    return (folder / "data.mdb").read_bytes().index(row)


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_a_bit_in_any_row_is_seen(own_home):
    folder = shelf.fill("conv", 50)
    for number in (13, 49):
        flip(folder / "data.mdb", row_of(folder, number) + 100)
    assert problems() == [
        f"the store {folder} is damaged: 2 of its 50 rows, the first of them row 13, are missing or do not match their "
        f"checksum. {AGAIN}"
    ]


def test_rows_and_keys_that_do_not_fit_are_seen(own_home):
    folders = [shelf.fill("conv", 20), shelf.fill("pool", 20)]
    for folder, table in zip(folders, ("rows", "keys")):
        tables = Tables(folder)
        handle = tables._handles[table]
        name = bytes(8) if table == "rows" else tables.run(lambda txn, t=tables: t.entries(txn, b"", 1))[0][0]
        tables.run(lambda txn, name=name, handle=handle: txn.delete(name, db=handle), write=True)
        tables.close()
    assert sorted(problems()) == sorted(
        [
            f"the store {folders[0]} is damaged: 1 of its 19 rows, the first of them row 0, are missing or do not "
            f"match their checksum. {AGAIN}",
            f"the store {folders[1]} is damaged: 1 of its 20 rows have no key. {AGAIN}",
        ]
    )


def test_a_header_must_fit_its_folder(own_home):
    folder = shelf.fill("pool")
    other = folder.rename(folder.with_name(f"{NAME}-{'0' * 16}"))
    assert problems() == [f"the store {other} is damaged: its header belongs to another cut. {AGAIN}"]


def test_another_format_is_told(own_home):
    folder = shelf.fill("pool")
    tables = Tables(folder)
    header = json.loads(tables.run(lambda txn: tables.get(txn, "header")))
    tables.run(lambda txn: tables.put(txn, "header", json.dumps(header | {"format": 99})), write=True)
    tables.close()
    assert problems() == [
        f"the store {folder} has format 99; this topwork reads format 1. "
        "Use the topwork that wrote it, or remove the folder: only its activations are computed again."
    ]


def test_a_file_that_is_no_store(own_home):
    folder = shelf.fill("pool")
    (folder / "data.mdb").write_bytes(np.random.default_rng(0).bytes(100_000))
    assert problems() == [f"the store {folder} is damaged: {folder}: MDB_INVALID: File is not an LMDB file. {AGAIN}"]


def test_float32_that_took_over_is_read_too(own_home):
    about = {"cut": "x"}
    folder = own_home / "store" / f"x-{files.digest(about)}"
    with Store(folder, [TensorSpec((2000,))], about) as store:
        for number, value in enumerate((1.0, 1e5)):
            store.write([key(f"{number:064x}")], [np.full((1, 2000), value, "float32")])
    assert problems() == []
    flip(folder / "float32" / "data.mdb", row_of(folder / "float32", 0) + 5)
    assert problems() == [
        f"the store {folder}/float32 is damaged: 1 of its 1 rows, the first of them row 0, are missing or do not match "
        f"their checksum. {AGAIN}"
    ]


def test_garbage_in_pages_is_found_and_crashes_only_the_reader(own_home):
    folder = shelf.fill("conv", 1000)
    whole, (thing,) = (folder / "data.mdb").read_bytes(), (one for one in contents() if one.path == folder)
    pages, chance = len(whole) // 4096, np.random.default_rng(0)
    found = []
    for place in (2, 3, pages - 2, pages - 1, *chance.integers(2, pages, 8).tolist()):
        start = 4096 * place
        (folder / "data.mdb").write_bytes(whole[:start] + chance.bytes(4096) + whole[start + 4096 :])
        found += [checked.problem for checked in verify([thing])]
    assert sum(map(bool, found)) >= 8  # a page that is not in use may hold anything
    crashed = [problem for problem in found if "crashed" in problem]
    assert set(crashed) == {f"the store {folder} is damaged: reading it crashed (signal 6). {AGAIN}"}


def test_a_reader_that_was_stopped_says_nothing_of_the_store(own_home, monkeypatch):
    folder = shelf.fill("conv")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MachineError) as error:
        problems()
    assert str(error.value) == (
        f"the process that read the store {folder} ended with status 1 before it was done. Run the same command again."
    )


def test_graphs_models_and_random_weights(own_home):
    import h5py

    weights = shelf.random_weights()
    trunk.keep_graph(NET, shelf.GRAPH)
    model = own_home / "models" / f"{'ab' * 32}.keras"
    model.parent.mkdir()
    with ZipFile(model, "w") as file:
        file.writestr("config.json", "{}" * 100)
    with h5py.File(weights, "w") as file:
        file["layer/kernel"] = np.arange(5000.0)
    kinds = ("graph", "model", "random weights")
    assert [problems(kind) for kind in kinds] == [[], [], []]
    flip(model, 60)
    trunk.graph_path(NET).write_text("{")
    os.truncate(weights, weights.stat().st_size - 3000)
    graph, archive, arrays = (problems(kind)[0] for kind in kinds)
    path = trunk.graph_path(NET)
    assert graph.startswith(f"the graph {path} cannot be read: Expecting property name")
    assert graph.endswith(". Remove it: it is made again when needed.")
    assert archive == (
        f"the model {model} cannot be read: its part 'config.json' does not match its checksum. "
        "Remove it: put back a copy of it."
    )
    assert arrays.startswith(f"the random weights {weights} cannot be read: ")


def test_a_trunk_must_load(own_home):
    import openvino
    from openvino import opset13

    folder = shelf.convert("pool")
    taken = opset13.parameter([1, 500], openvino.Type.f32)
    summed = opset13.matmul(
        taken, opset13.constant(np.random.default_rng(0).normal(size=(500, 9)).astype("f")), False, False
    )
    openvino.save_model(openvino.Model([summed], [taken]), folder / "trunk.xml", compress_to_fp16=False)
    assert problems("trunk") == []
    os.truncate(folder / "trunk.bin", 1000)
    (cut_short,) = problems("trunk")
    assert cut_short.startswith(f"the trunk {folder} cannot be read: ")
    assert cut_short.endswith("Remove it: it is made again when needed.")
    assert "Exception from" not in cut_short
    (folder / "trunk.xml").write_text("<net")
    assert problems("trunk") == [
        f"the trunk {folder} cannot be read: unclosed token: line 1, column 0. Remove it: it is made again when needed."
    ]


def test_names_choose(own_home):
    shelf.fill("pool")
    folder = shelf.fill("conv")
    things = contents()
    assert named(things, ()) == things
    assert [thing.path for thing in named(things, [f"{NAME}@conv"])] == [folder]
    assert [thing.path for thing in named(things, [folder.name])] == [folder]
    assert named(things, [NAME]) == things
    with pytest.raises(UsageError) as error:
        named(things, [f"{NAME}@pol"])
    assert str(error.value) == (
        f"nothing below {own_home} is called '{NAME}@pol'; did you mean '{NAME}@pool'? "
        "'topwork store ls' lists what is there."
    )
