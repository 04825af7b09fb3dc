"""If photos were moved after a run was made, evaluate, export and resume find them by their content."""

import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest

import topwork as tw
from tests.command import topwork
from tests.conftest import make_folder
from tests.inference import uncalibrated
from tests.tiny import tiny
from topwork.data.picture_files import digest
from topwork.errors import DatasetError, RunError
from topwork.recipes.recipe import Recipe
from topwork.runs.creation import create
from topwork.runs.moved_pictures import placed

PHASE = tw.Phase("tiny@block_2_add..block_2_add", epochs=3, learning_rate=0.01, patience=0)


class Stop(keras.callbacks.Callback):
    """Acts like Ctrl-C at the end of the first epoch."""

    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


@pytest.fixture(scope="module", autouse=True)
def journaled():
    """Losses are compared with those in journals."""
    with uncalibrated():
        yield


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Make a finished run, an interrupted one and their pictures, which each test copies."""
    place = tmp_path_factory.mktemp("moved")
    data = tw.read(make_folder(place / "data", each=8, first=70_000), split=(0.5, 0.25, 0.25), draw="stratified")
    tw.train(data, phases=[PHASE], backbones=[tiny()], out=place / "runs" / "done")
    with pytest.raises(KeyboardInterrupt):
        tw.train(data, phases=[PHASE], backbones=[tiny()], out=place / "runs" / "stopped", callbacks=[Stop()])
    return place


@pytest.fixture
def moved(original, tmp_path, own_store):
    """Copy the runs and put their pictures in another place under other names; the store is empty."""
    runs = shutil.copytree(original / "runs", tmp_path / "runs")
    for run in runs.iterdir():
        about = json.loads((run / "environment.json").read_text())
        (run / "environment.json").write_text(json.dumps(about | {"data": str(tmp_path / "gone")}))
    (tmp_path / "new" / "deep").mkdir(parents=True)
    for number, path in enumerate(sorted((original / "data").glob("*/*.png"))):
        shutil.copy(path, tmp_path / "new" / "deep" / f"IMG_{number}.PNG")
    (tmp_path / "new" / "notes.txt").write_text("no picture")
    return runs, tmp_path / "new"


def refused(call, kind=RunError):
    with pytest.raises(kind) as error:
        call()
    return str(error.value)


def kept_loss(run):
    """Return the validation loss of the weights that the run kept."""
    return min(line.val_loss for line in run.journal)


@pytest.mark.full
def test_evaluate_and_export_say_how_to_find_them_and_find_them_by_content(moved):
    runs, new = moved
    run = tw.Run(runs / "done")
    assert refused(lambda: run.evaluate("val")).endswith(
        "Put them back there as they were, or say where they are: run.evaluate(data=NEWPLACE)"
    )
    assert refused(lambda: run.export(runs / "a.onnx"), tw.TopworkError).endswith(
        "Put them back, or say where they are: run.export(FILE, data=NEWPLACE)"
    )
    found = run.evaluate("val", data=new)
    assert found.loss.value == pytest.approx(kept_loss(run), rel=0.02)
    ran = topwork("evaluate", run.path, "--data", new, "--json")
    assert ran.json["part"] == "test" and "Not found" not in ran.err
    ran = topwork("export", run.path, runs / "a.onnx", "--data", new)
    assert (ran.status, ran.out) == (0, f"{runs / 'a.onnx'}\n"), ran.err
    assert not (run.path / "moved.json").exists()
    assert run.evaluate("val") == found  # the activations are in the store now
    next(path for path in new.rglob("*.PNG") if digest(path) == run.data.part("train")[0].digest).unlink()
    lost = run.data.part("train")[0].path
    assert f"since it started: {lost!r}, in" in refused(lambda: run.evaluate("train", data=new))


@pytest.mark.full
def test_a_resumed_run_keeps_the_new_place(moved, original):
    runs, new = moved
    run, whole = tw.Run(runs / "stopped"), tw.Run(original / "runs" / "done")
    assert refused(run.resume).endswith(f"say where they are: topwork.Run({str(run.path)!r}).resume(NEWPLACE)")
    assert topwork("train", "--resume", run.path).err.endswith(f": topwork train --resume {run.path} --data NEWPLACE\n")
    ran = topwork("train", "--resume", run.path, "--data", new)
    assert ran.status == 0, ran.err
    for name, arrays in whole.folder.weights().items():
        for a, b in zip(arrays, run.folder.weights()[name], strict=True):
            np.testing.assert_array_equal(a, b)
    assert run.data.root == str(new)
    assert tw.read(run.path / "pictures.csv").rows == run.data.rows
    (run.path / "moved.json").unlink()
    assert refused(lambda: run.evaluate("val")).endswith("run.evaluate(data=NEWPLACE)")
    assert run.evaluate("val", data=new).loss.value == pytest.approx(kept_loss(run), rel=0.02)
    assert not (run.path / "moved.json").exists()


def test_where_all_is_in_the_store_nothing_need_be_found(original, tmp_path, capsys):
    run = tw.Run(shutil.copytree(original / "runs" / "stopped", tmp_path / "run"))
    about = json.loads((run.path / "environment.json").read_text())
    (run.path / "environment.json").write_text(json.dumps(about | {"data": str(tmp_path / "gone")}))
    run.resume()
    assert "24 pictures of" in capsys.readouterr().err
    assert run.evaluate("test").accuracy == run.results.accuracy


def test_data_beside_other_pictures_is_refused(original):
    done, new = original / "runs" / "done", original / "data"
    ran = topwork("evaluate", done, new, "--data", new)
    assert (ran.status, ran.err) == (
        2,
        "UsageError: --data gives the new place of the run's own pictures, and DATA gives other pictures to measure: "
        "give only one.\n",
    )
    assert topwork("train", new, "--data", new).err == "UsageError: --data can only be used with --resume RUN.\n"


@pytest.fixture
def listed(tmp_path):
    """Return the folder of an untrained run, its dataset, and an empty folder."""
    data = tw.read(make_folder(tmp_path / "data", each=3))
    recipe = Recipe.from_mapping({"phase": [{"cut": "vgg16@pool"}]})
    (tmp_path / "new").mkdir()
    return create(tmp_path / "run", recipe, data), data, tmp_path / "new"


def bring(data, new, names):
    """Copy each picture to *new* under another name."""
    for row, name in zip(data.rows, names, strict=True):
        if name:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(f"{data.root}/{row.path}", new / name)


def test_a_folder_that_moved_as_it_was(listed, capsys):
    folder, data, new = listed
    bring(data, new, [row.path for row in data.rows])
    (new / "red" / "other.png").write_bytes(b"no picture")
    assert placed(folder, new) == replace(folder.data(), root=str(new))
    assert capsys.readouterr().err == ""


def test_renamed_pictures_are_found_and_order_labels_and_parts_stay(listed):
    folder, data, new = listed
    names = [f"b/{8 - number}.PNG" for number in range(9)]
    bring(data, new, names)
    found = placed(folder, str(new))
    assert [row.path for row in found.rows] == names
    assert [(row.digest, row.label, row.split) for row in found.rows] == [
        (row.digest, row.label, row.split) for row in data.rows
    ]


def test_what_is_not_found_is_counted_and_named(listed, capsys):
    folder, data, new = listed
    bring(data, new, [None, "a.png", None, *(row.path for row in data.rows[3:])])
    (new / "blue").mkdir(exist_ok=True)
    shutil.copy(f"{data.root}/{data.rows[4].path}", new / data.rows[0].path)  # another picture in place of the first
    found = placed(folder, new)
    lost = [data.rows[0].path, data.rows[2].path]
    told = f"Not found in {new}: 2 of the 9 pictures of {folder.path} ({lost[0]!r}, {lost[1]!r}).\n"
    assert capsys.readouterr().err == told
    assert found.rows[1].path == "a.png" and found.rows[0].path == lost[0]


def test_a_listing_or_a_dataset_says_where_they_are(listed):
    folder, data, new = listed
    bring(data, new, [f"{number}.png" for number in range(9)])
    (new / "table.csv").write_text("path,label\n" + "".join(f"{number}.png,{number % 2}\n" for number in range(9)))
    for where in (new / "table.csv", tw.read(new / "table.csv")):
        assert [row.path for row in placed(folder, where).rows] == [f"{number}.png" for number in range(9)]


def test_several_pictures_a_row_are_each_found(listed, tmp_path):
    _, data, new = listed
    lines = [f"{c}/000.png,{c}/001.png,{c}" for c in ("red", "blue")]
    (tmp_path / "data" / "table.csv").write_text("front,side,label\n" + "\n".join(lines) + "\n")
    pairs = tw.read(tmp_path / "data" / "table.csv")
    folder = create(tmp_path / "pairs", Recipe.from_mapping({"phase": [{"cut": "vgg16@pool"}]}), pairs)
    bring(data, new, [f"{row.label}-{row.path[-5]}.png" for row in data.rows])
    assert [[path for path, _ in row.pictures] for row in placed(folder, new).rows] == [
        ["red-0.png", "red-1.png"],
        ["blue-0.png", "blue-1.png"],
    ]


def test_places_that_hold_no_pictures(listed):
    folder, _, new = listed
    with pytest.raises(DatasetError, match=f"^no file or folder '{new}/none'"):
        placed(folder, new / "none")
    pixels = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3), np.uint8)
    np.savez(new / "a.npz", X=pixels, y=[0, 1, 0, 1])
    with pytest.raises(DatasetError, match="the run's pictures are files, and arrays were given"):
        placed(folder, new / "a.npz")
