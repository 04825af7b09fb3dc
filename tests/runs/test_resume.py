"""Resuming in one process: what is checked before a run goes on, and what is refused."""

import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest

import topwork as tw
from tests.command import topwork
from tests.conftest import COLOURS, make_folder, picture
from tests.tiny import tiny
from topwork.errors import RunError
from topwork.networks.weights import random_weights
from topwork.networks.weights.files import sha256
from topwork.store.examples import StoredActivations
from topwork.system import keras_backend
from topwork.version import VERSION

NAME = "mobilenet_v2_035"
SMALL = tw.Backbone(NAME, weights="random", size=32, precision="float32")
PHASE = tw.Phase("tiny@block_2_add..block_2_add", epochs=10, learning_rate=0.01, patience=0)


class Stop(keras.callbacks.Callback):
    """Acts like Ctrl-C at the end of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epoch:
            raise KeyboardInterrupt


def train(data, out, **options):
    return tw.train(data, phases=[PHASE], backbones=[tiny()], out=out, **options)


def interrupted(data, out, epoch=8):
    with pytest.raises(KeyboardInterrupt):
        train(data, out, callbacks=[Stop(epoch)])
    assert not tw.Run(out).folder.is_finished
    return out


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Make 30 pictures that no other test has stored."""
    return make_folder(tmp_path_factory.mktemp("resumable") / "colours", each=10, first=40_000)


@pytest.fixture(scope="module")
def data(pictures):
    return tw.read(pictures, split=(0.6, 0.2, 0.2), draw="stratified")


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    return train(data, tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture(scope="module")
def stopped(data, tmp_path_factory):
    return interrupted(data, tmp_path_factory.mktemp("runs") / "stopped")


@pytest.fixture
def copy(stopped, tmp_path):
    """Return a copy of the interrupted run for one test."""
    return tw.Run(shutil.copytree(stopped, tmp_path / "copy"))


def refused(run, *data, **options):
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    with pytest.raises(RunError) as error:
        run.resume(*data, **options)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before
    return str(error.value)


def same(run, whole):
    had, have = whole.folder.weights(), run.folder.weights()
    assert had.keys() == have.keys()
    for name, arrays in had.items():
        for a, b in zip(arrays, have[name], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
    lines = [[replace(line, seconds=0) for line in one.journal] for one in (run, whole)]
    assert lines[0] == lines[1]


def checkpoints(run):
    return sorted((run.path / "checkpoints").iterdir())


def test_an_interrupted_run_ends_as_the_whole_one(copy, whole):
    assert len(copy.journal) == 9 and whole.journal[-1].epoch == 10
    assert copy.resume() is copy
    same(copy, whole)


def test_a_damaged_checkpoint(copy, whole, capsys):
    with pytest.raises(KeyboardInterrupt):
        copy.resume(callbacks=[Stop(9)])  # the first checkpoint of a process is due at once: now there are two
    _, newest = checkpoints(copy)
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    copy.resume()
    assert (
        f"the checkpoint {newest} is damaged (File is not a zip file); the one before it is used."
        in capsys.readouterr().err.splitlines()
    )
    same(copy, whole)


def test_no_checkpoint_left(copy, whole):
    shutil.rmtree(copy.path / "checkpoints")
    copy.resume()
    same(copy, whole)


def test_a_phase_that_your_own_callback_ended_is_over(data, tmp_path):
    class Enough(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 2

    run = train(data, tmp_path / "run", callbacks=[Enough()])
    before, weights = run.journal, run.folder.weights()
    (run.path / "results.json").unlink()  # as if the run was killed during its evaluation
    run.resume()
    assert run.journal == before and len(before) == 4
    for name, arrays in run.folder.weights().items():
        for a, b in zip(arrays, weights[name], strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_finished_run_is_left_as_it_is(whole):
    before = {path: path.stat().st_mtime_ns for path in whole.path.rglob("*")}
    ran = topwork("train", "--resume", whole.path)
    assert (ran.status, ran.out, ran.err) == (
        0,
        f"{whole.path}\n",
        f"{whole.path} has finished: nothing is left to do.\n",
    )
    assert {path: path.stat().st_mtime_ns for path in whole.path.rglob("*")} == before


def test_a_folder_that_is_no_run(pictures):
    ran = topwork("train", "--resume", pictures)
    assert (ran.status, ran.out, ran.err) == (
        1,
        "",
        f"RunError: {str(pictures)!r} is not a run folder: expected recipe.toml and environment.json in it.\n",
    )


def change(run, **values):
    path = run.path / "environment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_newer_format(copy):
    change(copy, format=9)
    with pytest.raises(RunError) as error:
        tw.Run(copy.path)
    assert str(error.value) == f"the run {str(copy.path)!r} has format 9; this topwork reads up to 2. Update topwork."


def test_other_versions(copy, whole, capsys):
    packages = copy.folder.environment["packages"]
    change(copy, topwork="0.0.9", python="3.10.1", packages=packages | {"numpy": "1.0"})
    told = (
        f"versions changed since {str(copy.path)!r} began: topwork 0.0.9 then, {VERSION} now, "
        f"python 3.10.1 then, {whole.folder.environment['python']} "
        f"now, numpy 1.0 then, {packages['numpy']} now. Its weights may differ in some bits"
    )
    assert refused(copy) == (
        f"{told} from those of a run that was never interrupted. To continue: other_versions=True."
    )
    capsys.readouterr()
    copy.resume(other_versions=True)
    assert capsys.readouterr().err.splitlines()[0] == f"{told}."
    same(copy, whole)


def test_other_kernels(copy):
    """The run began without oneDNN, and TensorFlow is already imported with it, so it would round differently."""
    change(copy, onednn="0")
    assert refused(copy) == (
        f"versions changed since {str(copy.path)!r} began: TF_ENABLE_ONEDNN_OPTS 0 then, {keras_backend.onednn()} now. "
        "Its weights may differ in some bits from those of a run that was never interrupted. "
        "To continue: other_versions=True."
    )


def test_pictures_that_changed_or_went_away(data, tmp_path):
    mine = shutil.copytree(data.root, tmp_path / "data")
    run = tw.Run(interrupted(mine, tmp_path / "run", epoch=1))
    first, second = (row.path for row in run.data.rows[:2])
    (mine / first).write_bytes((mine / second).read_bytes())
    told = f"pictures of {str(run.path)!r} changed or disappeared since it started:"
    mend = (
        f"in {str(mine)!r}. Put them back there as they were, or say where they are: "
        f"topwork.Run({str(run.path)!r}).resume(NEWPLACE)"
    )
    assert refused(run) == f"{told} {first!r}, {mend}"
    (mine / second).unlink()
    assert refused(run) == f"{told} {first!r}, {second!r}, {mend}"


@pytest.fixture(scope="module")
def stands(data, tmp_path_factory):
    """Return the folder that holds an interrupted run and the weights file that it depends on."""
    folder = tmp_path_factory.mktemp("weighted")
    weights = folder / "network.weights.h5"
    shutil.copy(random_weights.weights_file(SMALL), weights)
    backbone = replace(SMALL, weights=str(weights), size=40)
    phase = replace(PHASE, cut=f"{NAME}@block_2_add..block_2_add")
    with pytest.raises(KeyboardInterrupt):
        tw.train(data, phases=[phase], backbones=[backbone], out=folder / "run", callbacks=[Stop(3)])
    return folder


@pytest.fixture
def weighted(stands, tmp_path):
    """Return a copy of that run and the weights file, which is restored after the test."""
    weights = stands / "network.weights.h5"
    before = weights.read_bytes()
    yield tw.Run(shutil.copytree(stands / "run", tmp_path / "run")), weights
    weights.write_bytes(before)


def refused_late(run):
    """Return the message for a problem that shows only when the phase begins; the checkpoint must remain."""
    with pytest.raises(RunError) as error:
        run.resume()
    assert any((run.path / "checkpoints").iterdir())
    return str(error.value)


def test_weights_that_changed(weighted):
    run, weights = weighted
    before = sha256(weights)
    shutil.copy(random_weights.weights_file(replace(SMALL, size=64)), weights)
    assert refused(run) == (
        f"the run {str(run.path)!r} depends on the weights {str(weights)!r} with SHA-256 {before[:12]}, and "
        f"{str(weights)!r} has {sha256(weights)[:12]} now. Put back the file that it was trained with, "
        "or train a new run."
    )


def test_a_store_that_went_away_is_filled_again(weighted, own_store):
    run, _ = weighted
    recipe = run.recipe
    run.resume()
    assert [line.epoch for line in run.journal] == list(range(11))
    same(run, tw.train(run.data, recipe=recipe, out=run.path.with_name("whole")))


def test_a_store_that_holds_another_dtype(weighted, monkeypatch):
    run, _ = weighted
    monkeypatch.setattr(StoredActivations, "dtypes", [["float32"]])
    assert refused_late(run) == (
        f"the dtype of the stored activations of '{NAME}@block_2_add..block_2_add' changed since the run began "
        "(['float16'] then, ['float32'] now): it cannot continue. Put back what was there, or start a new run."
    )


@pytest.fixture(scope="module")
def arrays():
    labels = [list(COLOURS)[i % 3] for i in range(30)]
    return np.stack([np.asarray(picture(COLOURS[name], 45_000 + i, 24)) for i, name in enumerate(labels)]), labels


@pytest.mark.full
def test_arrays_are_given_once_more(arrays, tmp_path):
    run = tw.Run(interrupted(arrays, tmp_path / "run", epoch=2))
    assert refused(run) == (
        f"{str(run.path)!r} was trained on arrays, which are not kept: give them again, "
        "as in topwork.Run(...).resume((X, y))."
    )
    others = arrays[0].copy()
    others[4] //= 2
    assert refused(run, (others, arrays[1])) == f"the arrays are not those of {str(run.path)!r}: others at X[4]."
    run.resume(arrays)
    assert [line.epoch for line in run.journal] == list(range(11))


@pytest.fixture
def npz(arrays, tmp_path):
    """Write the same arrays into a file."""
    np.savez(tmp_path / "colours.npz", X=arrays[0], y=arrays[1])
    return tmp_path / "colours.npz"


def test_arrays_of_a_file_are_read_again(npz, tmp_path):
    whole = train(npz, tmp_path / "whole")
    run = tw.Run(interrupted(npz, tmp_path / "run", epoch=2))
    assert run.data.source == str(npz)
    ran = topwork("train", "--resume", run.path)
    assert (ran.status, ran.out) == (0, f"{run.path}\n")
    same(run, whole)


def test_arrays_of_a_file_that_changed_or_went_away(npz, arrays, tmp_path):
    run = tw.Run(interrupted(npz, tmp_path / "run", epoch=1))
    others = arrays[0].copy()
    others[4] //= 2
    np.savez(npz, X=others, y=arrays[1])
    assert refused(run) == f"the arrays are not those of {str(run.path)!r}: others at X[4]."
    npz.unlink()
    assert refused(run) == (
        f"the arrays of {str(run.path)!r} came from {str(npz)!r}, which is missing now: put it back, or give the "
        "arrays, as in topwork.Run(...).resume((X, y))."
    )
    run.resume(arrays)
    assert run.folder.is_finished


SUM = "tiny@block_2_add..block_2_add + tiny@block_12_add..block_12_add"


@pytest.mark.parametrize(
    ("cut", "views", "words"),
    [
        (SUM, tw.Views(2), {}),
        pytest.param("tiny@28", tw.Views(), {}, marks=pytest.mark.full),
        pytest.param("tiny@block_2_add..block_2_add", tw.Views(2, mode="live"), {}, marks=pytest.mark.full),
        pytest.param(
            "tiny@block_2_add..block_2_add",
            tw.Views(),
            {"precision": "float16", "schedule": "plateau", "patience": 9},
            marks=pytest.mark.full,
        ),
    ],
    ids=["sum", "frontier", "live", "float16"],
)
def test_law_4_holds_for_sums_frontiers_live_views_and_float16(data, tmp_path, cut, views, words):
    def run(out, **options):
        phase = replace(PHASE, cut=cut, epochs=5, batch_size=8, **words)
        return tw.train(data, phases=[phase], backbones=[tiny()], views=views, out=out, **options)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", callbacks=[Stop(3)])
    stopped = tw.Run(tmp_path / "stopped")
    assert len(stopped.journal) == 4 and checkpoints(stopped)
    same(stopped.resume(), run(tmp_path / "whole", callbacks=[Stop(99)]))  # with callbacks, no phase is solved


@pytest.mark.full
def test_law_4_holds_for_several_pictures_a_row(pictures, tmp_path):
    names = sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png"))
    rows = [f"{a},{b},{a.split('/')[0]}" for a, b in zip(names[::2], names[1::2], strict=True)]
    (tmp_path / "rows.csv").write_text("\n".join(["front,side,label", *rows]))
    (tmp_path / "blue").symlink_to(pictures / "blue")
    (tmp_path / "green").symlink_to(pictures / "green")
    (tmp_path / "red").symlink_to(pictures / "red")
    data = tw.read(tmp_path / "rows.csv", split=(0.6, 0.2, 0.2), draw="stratified")
    end = "block_2_add..block_2_add"

    def run(out, **options):
        phase = replace(PHASE, cut=f"tiny@{end}[front] + tiny@{end}[side]", epochs=5)
        return tw.train(data, phases=[phase], backbones=[tiny()], out=out, **options)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", callbacks=[Stop(3)])
    same(tw.Run(tmp_path / "stopped").resume(), run(tmp_path / "whole"))


def test_a_run_that_another_process_trains_is_left_alone(copy):
    with copy.folder.held():
        told = refused(copy)
    assert told == f"another process is training the run {str(copy.path)!r}. Wait for it, or stop it first."
