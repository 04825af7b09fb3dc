"""A run's list of its pictures can be read as data; its paths are relative to the data's folder, not to the run."""

import shutil

import numpy as np
import pytest

import topwork as tw
from tests.command import POOL, topwork
from tests.conftest import make_folder
from topwork.data.reading.run_folders import is_listing, place
from topwork.errors import DatasetError
from topwork.recipes.recipe import Recipe
from topwork.runs.creation import create
from topwork.runs.folder import Folder

RECIPE = Recipe.from_mapping({"phase": [{"cut": "vgg16@pool"}]})


def run_of(data, path):
    """Create a run folder without training."""
    return create(path, RECIPE, data).path


@pytest.fixture
def made(pictures, tmp_path, monkeypatch):
    """Return a dataset and a run on it; the working directory is a different folder."""
    data = tw.read(pictures, split=(0.5, 0.25, 0.25), draw="stratified", seed=3)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return data, run_of(data, tmp_path / "runs" / "a")


@pytest.mark.parametrize("how", ["absolute", "relative", "link"])
def test_the_listing_of_a_run_is_data_from_anywhere(made, tmp_path, how):
    data, run = made
    (tmp_path / "link.csv").symlink_to(run / "pictures.csv")
    path = {
        "absolute": run / "pictures.csv",
        "relative": "../runs/a/pictures.csv",
        "link": tmp_path / "link.csv",
    }[how]
    again = tw.read(path, seed=9)
    assert (again.root, again.rows) == (data.root, data.rows)


def test_its_name_alone_does_not_make_it_a_run_s(made, tmp_path):
    _, run = made
    shutil.copy(run / "pictures.csv", tmp_path / "pictures.csv")
    assert not is_listing(tmp_path / "pictures.csv")
    with pytest.raises(DatasetError, match=r"60 of the 60 files that .* names are not there"):
        tw.read(tmp_path / "pictures.csv")
    folder = make_folder(tmp_path / "mine", each=2)
    (folder / "pictures.csv").write_text("path,label\nred/000.png,a\nblue/000.png,b\n")
    assert tw.read(folder / "pictures.csv").root == str(folder)


def test_pictures_left_out_stay_left_out(tmp_path):
    folder = make_folder(tmp_path / "mine", each=3)
    (folder / "red" / "broken.png").write_bytes(b"")
    run = run_of(tw.read(folder), tmp_path / "runs" / "b")
    assert tw.read(run / "pictures.csv").left_out == tw.read(folder).left_out != ()


def test_several_pictures_a_row(tmp_path):
    folder = make_folder(tmp_path / "mine", each=4)
    lines = [f"{c}/00{i}.png,{c}/00{i + 1}.png,{c}" for c in ("red", "blue") for i in (0, 2)]
    (folder / "table.csv").write_text("front,side,label\n" + "\n".join(lines) + "\n")
    data = tw.read(folder / "table.csv")
    again = tw.read(run_of(data, tmp_path / "runs" / "a") / "pictures.csv")
    assert (again.rows, again.columns) == (data.rows, ("front", "side"))


@pytest.mark.parametrize("command", [("read",), ("train", *POOL), ("extract", "vgg16@pool")])
def test_a_run_folder_is_no_data(made, command):
    _, run = made
    name, *words = command
    told = (
        f"'{run}' is a run, not data. Its pictures, with the parts that they have in it: '{run}/pictures.csv'. "
        "To continue it: "
    )
    assert topwork(name, run, *words).err == (
        f"DatasetError: {told}topwork train --resume {run}; to start from it: topwork train DATA --from {run}\n"
    )
    with pytest.raises(DatasetError) as error:
        tw.read(run)
    assert str(error.value) == (
        f"{told}topwork.Run('{run}').resume(); to start from it: topwork.train(DATA, parent='{run}')"
    )


def test_a_cross_validation_is_no_data_and_its_folds_have_listings(made, tmp_path):
    data, _ = made
    folds = tmp_path / "runs" / "folds"
    for number in (1, 2):
        run_of(data, folds / f"fold-{number}")
    with pytest.raises(DatasetError) as error:
        tw.read(folds)
    assert str(error.value) == (
        f"'{folds}' is a cross-validation, not data. Its pictures, with the parts that they have in its first fold: "
        f"'{folds}/fold-1/pictures.csv'. To continue it: topwork.Folds('{folds}').resume()"
    )
    assert tw.read(folds / "fold-2" / "pictures.csv").rows == data.rows


def test_the_listing_of_arrays_says_what_to_give(tmp_path):
    draw = np.random.default_rng(0)
    pixels, labels = draw.integers(0, 255, (12, 8, 8, 3), np.uint8), ["a", "b"] * 6
    given = run_of(tw.read((pixels, labels)), tmp_path / "given")
    with pytest.raises(DatasetError, match=r"lists arrays, which a run does not save: give the arrays, as \(X, y\)"):
        tw.read(given / "pictures.csv")
    np.savez(tmp_path / "file.npz", X=pixels, y=labels)
    from_file = run_of(tw.read(tmp_path / "file.npz"), tmp_path / "from-file")
    with pytest.raises(DatasetError, match=f"give the file that they came from, '{tmp_path}/file.npz'"):
        tw.read(from_file / "pictures.csv")


def test_where_pictures_were_found_since_counts(made, tmp_path):
    data, run = made
    moved = shutil.copytree(data.root, tmp_path / "moved")
    first = data.rows[0]
    (moved / first.path).rename(moved / "renamed.png")
    rows = (tw.Row("renamed.png", first.digest, first.label, first.split), *data.rows[1:])
    folder = Folder(run)
    before = (run / "pictures.csv").read_bytes()
    folder.keep_place(tw.Dataset(str(moved), rows))
    assert place(run) == (str(moved), {first.digest: "renamed.png"})
    assert (run / "pictures.csv").read_bytes() == before
    assert (folder.data().root, folder.data().rows) == (str(moved), rows)
    assert tw.read(run / "pictures.csv").rows == rows
    folder.keep_place(tw.Dataset(data.root, data.rows))
    assert place(run) == (data.root, {})
    assert folder.data().rows == data.rows
