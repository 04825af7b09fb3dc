"""The inventory says which runs need an item, and why it keeps the others."""

from tests import shelf
from topwork.runs.needs import needs
from topwork.store.upkeep.inventory import ASIDE, inventory
from topwork.system.files import Hold


def stays(path):
    (item,) = (item for item in inventory(needs()) if item.thing.path == path)
    return len(item.runs), item.stays, item.goes


def test_runs_are_counted(own_home, tmp_path):
    both, one, none = shelf.fill("pool"), shelf.fill("conv"), shelf.fill("other")
    runs = [shelf.run(tmp_path / "a", "pool"), shelf.run(tmp_path / "b", "pool", "conv")]
    found = {item.thing.path: item for item in inventory(needs())}
    assert (found[both].runs, found[one].runs, found[none].runs) == (tuple(runs), (runs[1],), ())
    assert [found[path].goes for path in (both, one, none)] == [False, False, True]


def test_what_is_open_is_in_use(own_home):
    folder, trunk = shelf.fill("pool"), shelf.convert("pool")
    with shelf.request("pool").store():
        assert stays(folder) == (0, "in use", False)
    assert stays(folder) == (0, "", True)
    hold = Hold(trunk)
    assert stays(trunk) == (0, "in use", False)
    hold.release()
    assert stays(trunk) == (0, "", True)


def test_a_folder_that_holds_something_else_stays(own_home):
    folder = shelf.fill("pool")
    (folder / "notes.txt").touch()
    assert stays(folder) == (0, "foreign", False)


def test_files_stay_for_a_day(own_home):
    weights = shelf.random_weights()
    assert stays(weights) == (0, "recent", False)
    assert stays(shelf.aged(weights)) == (0, "", True)


def test_networks_of_your_own_stay(own_home):
    model = own_home / "models" / f"{'ab' * 32}.keras"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"")
    assert stays(shelf.aged(model)) == (0, "yours", False)


def test_what_a_kill_left_goes(own_home):
    aside, young, old = (
        own_home / "trunks" / name for name in (f"{ASIDE}x-1", ".topwork-abcdefgh.part", ".topwork-_1234567.part")
    )
    for folder in (aside, young, old):
        folder.mkdir(parents=True)
    shelf.aged(old)
    assert [stays(folder)[1:] for folder in (aside, young, old)] == [("", True), ("recent", False), ("", True)]
