"""A run's list of pictures may have a million lines, so each command reads it once."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

import topwork as tw
from tests.command import topwork
from tests.conftest import make_folder
from tests.tiny import NAME, tiny
from topwork.data.reading import listing, run_folders
from topwork.recipes.settings import Options
from topwork.runs.folder import Folder
from topwork.runs.journal import Epoch
from topwork.training.prepare import chosen, completed, prepared

CUT = f"{NAME}@block_2_add..block_2_add"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("once") / "colours", each=10, first=70_000)


def train(pictures, out, **options):
    data = tw.read(pictures, split=(0.6, 0.2, 0.2), draw="stratified")
    return tw.train(data, phases=[tw.Phase(CUT, epochs=1)], backbones=[tiny()], out=out, **options)


@pytest.fixture(scope="module")
def finished(pictures, tmp_path_factory):
    """Make two runs on the same pictures, the first without plots, and export the first run's model."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [train(pictures, folder / name, seed=seed) for seed, name in enumerate("ab")]
    for plot in runs[0].path.glob("*.png"):
        plot.unlink()
    runs[0].export(folder / "a.onnx")
    return folder


@pytest.fixture
def parsed(monkeypatch):
    """Count, by run folder, how often this process parses each run's list of pictures."""
    counts = Counter()
    load = listing.load

    def counting(path, check):
        if Path(path).name == "pictures.csv":
            counts[str(Path(path).parent.resolve())] += 1
        return load(path, check)

    monkeypatch.setattr(listing, "load", counting)
    monkeypatch.setattr(run_folders, "load", counting)
    return counts


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        ("evaluate a", "a"),
        ("evaluate a val --data PICTURES", "a"),
        ("evaluate a PICTURES", "a"),
        ("export a again.onnx", "a"),
        pytest.param("export a again.onnx --data PICTURES", "a", marks=pytest.mark.full),
        ("compare a b", "ab"),
        ("predict a.onnx PICTURES", ""),
        pytest.param("train PICTURES --from a --epochs 1 --out c", "ac", marks=pytest.mark.full),
        ("train a/pictures.csv --from a --epochs 1 --out c", "aac"),
        ("train --resume a", ""),
    ],
)
def test_a_command_reads_the_pictures_of_each_run_once(finished, pictures, parsed, tmp_path, monkeypatch, words, runs):
    monkeypatch.chdir(shutil.copytree(finished, tmp_path / "runs"))
    ran = topwork(*(str(pictures) if word == "PICTURES" else word for word in words.split()))
    assert ran.status == 0, ran.err
    assert parsed == Counter(str(tmp_path / "runs" / name) for name in runs)


def test_training_reads_no_list_of_its_own(pictures, parsed, tmp_path):
    train(pictures, tmp_path / "run")
    assert not parsed


@pytest.mark.parametrize("is_moved", [False, True])
def test_a_run_that_goes_on_reads_it_once(pictures, parsed, tmp_path, is_moved):
    own = shutil.copytree(pictures, tmp_path / "own")
    recipe = completed(chosen([tw.Phase(CUT, epochs=1)], [tiny()]), head_first=False)
    prepared(own, recipe, None, Options(tmp_path / "run"))
    moved = ["--data", own.rename(tmp_path / "new")] if is_moved else []
    ran = topwork("train", "--resume", tmp_path / "run", *moved)
    assert ran.status == 0, ran.err
    assert parsed == {str(tmp_path / "run"): 1}


def test_each_fold_is_read_once(pictures, parsed, tmp_path):
    words = {"phases": [tw.Phase(CUT, epochs=1)], "backbones": [tiny()]}
    tw.cross_validate(tw.read(pictures), 2, out=tmp_path / "a", **words)
    assert parsed == {str(tmp_path / "a" / fold): 1 for fold in ("fold-1", "fold-2")}
    parsed.clear()
    tw.compare(tmp_path / "a", shutil.copytree(tmp_path / "a", tmp_path / "b"))
    assert parsed == {str(tmp_path / name / fold): 1 for name in "ab" for fold in ("fold-1", "fold-2")}


def test_a_join_reads_each_member_once(finished, parsed, tmp_path):
    run = tw.join([finished / "a", finished / "b"], "mean", out=tmp_path / "join")
    members = [str(tmp_path / "join" / "members" / number) for number in "12"]
    assert parsed == Counter([str(finished / "a"), str(finished / "b"), *members])
    parsed.clear()
    tw.Run(run.path).export(tmp_path / "join.onnx")
    assert parsed == Counter([str(run.path), *members])


def test_what_another_process_changed_is_read_again(finished, pictures, parsed, tmp_path):
    path = shutil.copytree(finished / "a", tmp_path / "a")
    mine, other = Folder(path), Folder(path)
    data = mine.data()
    assert mine.data() is data
    other.keep_place(data.seen_from(str(tmp_path)))
    assert mine.data() == data.seen_from(str(tmp_path))
    assert parsed == {str(path): 2}, "one each: that pictures moved is read from another file"
    other.keep_data(data.without({data.rows[0].digest: "it is gone"}))
    assert len(mine.data().rows) == len(data.rows) - 1
    (path / "recipe.toml").write_text(mine.recipe.dumps().replace("epochs = 1", "epochs = 7"))
    assert mine.recipe.phases[0].epochs == 7
    mine.journal.note(last := Epoch(phase=1, cut=CUT, epoch=2))
    assert other.journal.epochs()[-1] == last
