"""What a run comes to: notes and plots follow from its journal and its classes."""

import json
import shutil

import pytest

import topwork as tw
from topwork.draw import Pencil

from .conftest import make_folder
from .tiny import tiny


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A finished run on blue and red."""
    folder = make_folder(tmp_path_factory.mktemp("evaluate") / "colours", each=15, first=62_000)
    shutil.rmtree(folder / "green")
    data = tw.read(folder, split=(0.6, 0.2, 0.2), draw="stratified")
    phases = [tw.Phase("tiny@block_2_add..block_2_add", epochs=2, patience=0)]
    return tw.train(data, phases=phases, backbones=[tiny()], out=tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def easy(two, tmp_path):
    """The same run, its journal written anew: at its end validation is easier than training."""
    run = tw.Run(shutil.copytree(two.path, tmp_path / "run"))
    lines = [
        line | ({"loss": 0.9, "train_loss": 0.8, "val_loss": 0.1} if line["epoch"] else {}) for line in run.journal
    ]
    (run.path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


SAID = "In phase 1, epoch 1, the validation loss (0.100) lies below the training loss that the optimizer saw (0.900)"


def test_evaluate_explains_a_validation_loss_below_the_training_loss(two, easy):
    (note,) = easy.evaluate("test")["notes"]
    assert note.startswith(SAID)
    assert not any("validation loss (0.100)" in note for note in two.evaluate("test")["notes"])


def test_a_run_explains_it_in_its_results(easy):
    (easy.path / "results.json").unlink()  # as if it was killed while it was measured
    assert easy.resume().results["notes"][-1].startswith(SAID)


def test_curves_have_the_auc_where_there_are_two_classes(easy, monkeypatch):
    drawn = {}
    monkeypatch.setattr(Pencil, "draw", lambda self, what, path, *_, **how: drawn.update({what: how}))
    (easy.path / "results.json").unlink()
    easy.resume()
    assert drawn["curves"] == {"auc": True}
    assert set(drawn) == {"curves", "confusion", "predictions"}


def test_three_classes_have_none(pictures, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(Pencil, "draw", lambda self, what, path, *_, **how: drawn.update({what: how}))
    phases = [tw.Phase("tiny@pool", epochs=1)]
    tw.train(pictures, phases=phases, backbones=[tiny()], out=tmp_path / "run")
    assert drawn["curves"] == {"auc": False}
