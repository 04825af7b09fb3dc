"""topwork's home: where it is, and what commands do if they cannot write there.

Tests may run as a user who can write anywhere, so a file takes the place of a folder.
"""

import errno
import os
from pathlib import Path

import pytest

import topwork as tw
from tests.command import POOL, Ran, topwork
from tests.tiny import tiny
from topwork.errors import ExportError, StoreError, of_machine
from topwork.networks import places, trunk
from topwork.networks.weights import random_weights
from topwork.runs import registry
from topwork.shipping import export
from topwork.system import files
from topwork.system.files import MEND, check, free, standing, unusable, writing, written_whole, wrong


def test_home_is_where_the_user_says(monkeypatch):
    monkeypatch.setenv("TOPWORK_HOME", "~/elsewhere")
    assert files.home() == Path.home() / "elsewhere"
    monkeypatch.delenv("TOPWORK_HOME")
    assert files.home().name == "topwork"
    assert files.home().is_absolute()


def test_what_stands(tmp_path):
    assert standing(tmp_path / "not" / "there") == tmp_path
    assert free(tmp_path / "not" / "there") == pytest.approx(free(tmp_path), rel=0.05)  # other processes write, too


@pytest.fixture
def below(tmp_path, monkeypatch):
    """Set a home below a file."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("TOPWORK_HOME", str(tmp_path / "file" / "home"))
    return tmp_path / "file" / "home"


def message(folder, place):
    return f"topwork's home {folder} cannot be used: {place}: it is not a folder. {MEND}"


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path):
    assert unusable(tmp_path / "a" / "b") is None
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_read_only(own_home, monkeypatch):
    def refused(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files, "TemporaryFile", refused)
    assert wrong() == (standing(own_home), "nothing can be written there (Read-only file system)")


def test_a_part_of_the_home_that_cannot_be_written(own_home):
    own_home.mkdir()
    (own_home / "trunks").touch()
    with pytest.raises(StoreError) as error:
        check()
    assert str(error.value) == message(own_home, own_home / "trunks")


def test_what_cannot_be_written_there_names_home_and_way_out(below):
    with pytest.raises(StoreError) as error, writing():
        (below / "models").mkdir(parents=True)
    assert str(error.value) == f"topwork's home {below} cannot be used: Not a directory ({below / 'models'}). {MEND}"


COMMANDS = [("train", *POOL), ("train", "--folds", 2, *POOL), ("extract", POOL[1], *POOL[2:]), ("choose", *POOL)]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_command_that_needs_it_is_refused_before_anything_is_made(words, below, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = topwork(words[0], pictures, *words[1:])
    assert ran == Ran(3, "", f"StoreError: {message(below, below.parent)}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_network_of_your_own_that_cannot_be_kept(below, pictures):
    from tests.tiny import network as build

    with pytest.raises(StoreError) as error:
        tw.train(pictures, phases=[tw.Phase("mine@pool")], backbones=[tw.Backbone("mine", model=build())])
    assert f"topwork's home {below} cannot be used: " in str(error.value) and MEND in str(error.value)


def test_what_needs_none_goes_on_without(below, tmp_path):
    registry.remember(tmp_path / "run")
    registry.forget(tmp_path / "run")
    assert registry.runs() == []
    assert trunk.kept_graph(tiny()) is None
    assert places.graph_of(tiny()).names["pool"]
    assert topwork("backbones", "mobilenet_v2_035", "--json").status == 0
    assert topwork("store", "ls", "--json").json["items"] == []


def test_weights_that_may_not_be_touched(tmp_path, monkeypatch):
    def refused(_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x").touch()
    monkeypatch.setattr(random_weights, "kept", lambda _: tmp_path / "x")
    monkeypatch.setattr(Path, "touch", refused)
    assert random_weights.weights_file(tw.Backbone("vgg16", "random")) == tmp_path / "x"


def test_a_full_disk_names_the_file(tmp_path):
    with pytest.raises(OSError, match="No space left") as error, written_whole(tmp_path / "a.npz"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(of_machine(error.value)) == f"cannot use '{tmp_path}/a.npz': No space left on device."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--out", "--folds"])
def test_a_place_for_the_run_that_cannot_be_written(option, pictures, tmp_path):
    (tmp_path / "file").touch()
    folds = ("--folds", 2) if option == "--folds" else ()
    ran = topwork("train", pictures, *POOL, *folds, "--out", tmp_path / "file" / "run")
    where = f"cannot make the run folder '{tmp_path}/file/run': {tmp_path}/file: it is not a folder. "
    assert ran == Ran(1, "", f"RunError: {where}Choose another place with --out.\n")


@pytest.mark.parametrize(
    "words", [("read", "--csv", "x.csv"), ("read", "--preview", "x.png")], ids=lambda words: words[1]
)
def test_a_file_of_read_that_cannot_be_written(words, pictures, tmp_path):
    (tmp_path / "file").touch()
    command, option, name = words
    ran = topwork(command, pictures, option, tmp_path / "file" / name)
    place = f"{option} '{tmp_path}/file/{name}': there is no folder '{tmp_path}/file'"
    assert ran == Ran(2, "", f"UsageError: {place}. Make it, or name another.\n")


def test_a_target_of_export_that_cannot_be_written_is_refused_before_anything_is_restored(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ExportError) as error:
        export.export(None, tmp_path / "file" / "x.onnx")
    assert str(error.value) == (
        f"cannot write '{tmp_path}/file/x.onnx': {tmp_path}/file: it is not a folder. Choose another place."
    )
