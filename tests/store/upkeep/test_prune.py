"""Pruning removes only what no run needs, whatever happens in the meantime."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests import PROJECT, shelf
from tests.shelf import NET
from topwork.data.dataset import Dataset, Row
from topwork.networks import trunk
from topwork.networks.graph import TensorSpec
from topwork.runs import registry
from topwork.runs.needs import needs
from topwork.store.store import Store, key
from topwork.store.upkeep.inventory import contents, inventory
from topwork.store.upkeep.prune import _drop, prune


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock.mdb"}


def test_what_no_run_needs_goes_and_the_rest_stays_as_it_is(own_home, tmp_path):
    kept = [
        shelf.fill("pool"),
        shelf.fill("pool", exact=True),
        shelf.convert("pool"),
        shelf.aged(shelf.random_weights()),
    ]
    gone = [shelf.fill("conv"), shelf.convert("conv"), shelf.fill("pool", precision="bfloat16")]
    run = shelf.run(tmp_path / "run", "pool")
    before, told = files(own_home), {item.thing for item in inventory(needs()) if item.goes}
    done = prune(needs, registry.runs)
    assert {thing.path for thing in done.gone} == set(gone) == {thing.path for thing in told}
    assert done.bytes == sum(thing.bytes for thing in told) > 0
    assert files(own_home) == {path: data for path, data in before.items() if not set(gone) & set(path.parents)}
    assert all(path.exists() for path in kept)
    assert prune(needs, registry.runs).gone == ()
    run.rename(tmp_path / "elsewhere")
    shelf.aged(trunk.graph_path(NET))
    assert {thing.path for thing in prune(needs, registry.runs).gone} == {*kept, trunk.graph_path(NET)}
    assert contents() == []


def test_a_run_that_is_known_again_keeps_what_it_needs(own_home, tmp_path):
    shelf.fill("pool")
    shelf.run(tmp_path / "run", "pool").rename(tmp_path / "moved")
    registry.remember(tmp_path / "moved")
    assert prune(needs, registry.runs).gone == ()


def test_what_is_open_here_stays_and_works(own_home):
    folder = shelf.fill("pool", 10)
    with shelf.request("pool").store() as store:
        assert [
            (item.thing.path, item.stays) for item in prune(needs, registry.runs).stayed if item.stays == "in use"
        ] == [(folder, "in use")]
        assert len(store) == 10
    assert [thing.path for thing in prune(needs, registry.runs).gone] == [folder]


def test_float32_that_took_over_is_in_use_too(own_home):
    folder = own_home / "store" / f"x-{'0' * 16}"
    with Store(folder, [TensorSpec((2,))], {"cut": "x"}) as store:
        for number, value in enumerate((1.0, 1e5)):
            store.write([key(f"{number:064x}")], [np.full((1, 2), value, "float32")])
        assert prune(needs, registry.runs).gone == ()
        assert len(store) == 1
    assert [thing.path for thing in prune(needs, registry.runs).gone] == [folder]


OPEN = """
import sys; sys.path[:0] = sys.argv[1:2]
from tests import shelf
with shelf.request("pool").store():
    print("open", flush=True)
    sys.stdin.read()
"""


def test_what_another_process_uses_stays_until_it_is_killed(own_home):
    folder = shelf.fill("pool")
    words = [sys.executable, "-c", OPEN, str(PROJECT)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"open\n"
        assert prune(needs, registry.runs).gone == ()
        process.kill()
    assert [thing.path for thing in prune(needs, registry.runs).gone] == [folder]


KILLED = """
import os, shutil, signal
from pathlib import Path
from topwork.runs import registry
from topwork.runs.needs import needs
from topwork.store.upkeep.prune import prune
def half(path):
    Path(path, "data.mdb").unlink()
    os.kill(os.getpid(), signal.SIGKILL)
shutil.rmtree = half
prune(needs, registry.runs)
"""


def test_a_kill_in_the_middle_leaves_no_half_of_a_store(own_home):
    folder = shelf.fill("pool")
    done = subprocess.run([sys.executable, "-c", KILLED])
    assert done.returncode == -signal.SIGKILL
    assert not folder.exists()
    (rest,) = folder.parent.iterdir()
    assert sorted(os.listdir(rest)) == ["cut.json", "lock.mdb"]
    assert [(thing.kind, thing.path) for thing in prune(needs, registry.runs).gone] == [("left over", rest)]
    assert shelf.fill("pool") == folder


def test_a_run_that_begins_meanwhile_keeps_everything(own_home, tmp_path):
    folder = shelf.fill("pool")
    (item,) = (item for item in inventory(needs()) if item.goes)
    noted = registry.runs()
    shelf.run(tmp_path / "run", "pool")
    assert not _drop(item.thing, lambda: registry.runs() != noted)
    assert folder.exists()


def test_a_process_that_comes_meanwhile_keeps_its_store(own_home):
    folder = shelf.fill("pool")
    (item,) = (item for item in inventory(needs()) if item.goes)
    with shelf.request("pool").store():
        assert not _drop(item.thing, lambda: False)
    assert folder.exists()


def test_nothing_else_is_touched(own_home, tmp_path):
    others = [own_home / name for name in ("store/mine/a.txt", "notes.txt", "models/mine.keras", "graphs/x.json")]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    folder = shelf.fill("pool")
    folder.rename(tmp_path / "disk")
    folder.symlink_to(tmp_path / "disk")
    before = files(tmp_path)
    assert prune(needs, registry.runs).gone == ()
    assert files(tmp_path) == before
    assert folder.is_symlink()


def test_a_home_that_is_not_there_is_fine(own_home):
    assert (prune(needs, registry.runs).gone, prune(needs, registry.runs).bytes) == ((), 0)
    assert not own_home.exists()


def test_every_fold_is_noted_where_it_stays(own_home, tmp_path):
    from topwork.recipes.settings import Options
    from topwork.training.cross_validate import _prepared

    rows = tuple(Row(f"{n}.png", f"{n:064x}", "xy"[n % 2], "train") for n in range(40))
    _prepared(tmp_path / "cv", [Dataset("/d", rows)] * 2, shelf.recipe("pool"), Options(), 2)
    assert registry.runs() == [tmp_path / "cv" / f"fold-{n}" for n in (1, 2)]
