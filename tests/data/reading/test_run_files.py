"""Missing or damaged files of a run: every call that reads them names the file and says what to do."""

import shutil

import numpy as np
import pytest

import topwork as tw
from tests.command import topwork
from tests.conftest import make_folder
from tests.tiny import NAME, tiny
from topwork.data.reading import run_files
from topwork.errors import RunError
from topwork.runs import lockfile
from topwork.runs.checkpoints import Checkpoints
from topwork.runs.folder import Folder

END = "block_2_add"
READERS = {
    "recipe.toml": lambda folder: folder.recipe,
    "environment.json": lambda folder: folder.environment,
    "pretrained.json": lockfile.read,
    "pictures.csv": Folder.data,
    "results.json": lambda folder: folder.results,
    "weights/top.npz": Folder.weights,
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("kept") / "colours", each=10, first=50_000)


@pytest.fixture(scope="module")
def finished(pictures, tmp_path_factory):
    data = tw.read(pictures, split=(0.6, 0.2, 0.2), draw="stratified")
    out = tmp_path_factory.mktemp("runs") / "run"
    return tw.train(data, phases=[tw.Phase(f"{NAME}@{END}..{END}", epochs=1)], backbones=[tiny()], out=out)


@pytest.fixture
def run(finished, tmp_path):
    return Folder(shutil.copytree(finished.path, tmp_path / "run"))


@pytest.mark.parametrize("name", READERS)
def test_a_file_cut_short(run, name):
    path = run.path / name
    path.write_bytes(path.read_bytes()[: 100 if path.suffix == ".csv" else 30])
    with pytest.raises(RunError) as error:
        READERS[name](run)
    told = str(error.value)
    assert told.startswith(f"{str(path)!r} is damaged (")
    assert told.endswith("): put it back as it was, or train a new run.")
    assert "\n" not in told


@pytest.mark.parametrize("name", ["pretrained.json", "pictures.csv", "predictions.csv"])
@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_a_file_that_is_gone(run, finished, name, command):
    (run.path / name).unlink()
    words = (command, run.path) if command == "evaluate" else (command, run.path, finished.path)
    if (name, command) in (("pretrained.json", "compare"), ("predictions.csv", "evaluate")):
        assert topwork(*words).status == 0, "it is not read there"
        return
    ran = topwork(*words)
    told = f"RunError: {str(run.path / name)!r} is gone, but its run needs it: put it back, or train a new run.\n"
    assert (ran.status, ran.err) == (1, told)


def test_a_checkpoint_that_knows_no_files_yet_goes_on(run):
    checkpoints = Checkpoints(run.path / "checkpoints")
    state = checkpoints.read()
    assert state.about.pop("files").keys() == {"recipe.toml", "pictures.csv"}
    checkpoints.write(state)
    (run.path / "results.json").unlink()
    assert tw.Run(run.path).resume().folder.is_finished


def test_empty_predictions_are_damaged(run, finished):
    (run.path / "predictions.csv").write_text("")
    with pytest.raises(RunError) as error:
        tw.compare(run.path, finished)
    assert str(error.value) == (
        f"{str(run.path / 'predictions.csv')!r} is damaged (StopIteration): put it back as it was, or train a new run."
    )


def test_what_is_whole_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3))
    assert list(run_files.arrays(tmp_path / "a.npz")["x"]) == [0, 1, 2]
    (tmp_path / "a.json").write_text('{"ä": 1}', encoding="utf-8")
    assert run_files.table(tmp_path / "a.json") == {"ä": 1}


@pytest.mark.parametrize("name", ["pictures.csv", "recipe.toml"])
def test_a_run_whose_own_files_changed_does_not_go_on(run, name):
    (run.path / "results.json").unlink()
    path = run.path / name
    whole = path.read_bytes()
    rows = b"".join(whole.splitlines(keepends=True)[:-1])
    path.write_bytes(rows if name == "pictures.csv" else whole.replace(b"patience = 10", b"patience = 9"))
    assert path.read_bytes() != whole
    with pytest.raises(RunError) as error:
        tw.Run(run.path).resume()
    assert str(error.value) == (
        f"{str(path)!r} changed since the last checkpoint, so that the run cannot continue as it began. "
        "Put it back as it was, or start a new run."
    )
    path.write_bytes(whole)
    assert tw.Run(run.path).resume().results.accuracy.value >= 0
