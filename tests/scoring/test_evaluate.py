"""The evaluation of a run: its notes and plots follow from its journal and its classes."""

import csv
import json
import shutil
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import topwork as tw
from tests import plots
from tests.command import Ran, topwork
from tests.conftest import make_folder
from tests.tiny import tiny
from topwork.commands.evaluate import print_wrong
from topwork.data.dataset import Dataset, Row
from topwork.errors import DatasetError, UsageError
from topwork.scoring import drawing, metrics
from topwork.scoring.answers import Answers
from topwork.scoring.drawing import Pencil
from topwork.scoring.results import keep
from topwork.system.processes import Beside


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Train a run on two classes, blue and red."""
    folder = make_folder(tmp_path_factory.mktemp("evaluate") / "colours", each=15, first=62_000)
    shutil.rmtree(folder / "green")
    data = tw.read(folder, split=(0.6, 0.2, 0.2), draw="stratified")
    phases = [tw.Phase("tiny@block_2_add..block_2_add", epochs=2, patience=0)]
    return tw.train(data, phases=phases, backbones=[tiny()], out=tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def easy(two, tmp_path):
    """Copy the run, with a journal as older versions wrote it, in which validation is easier than training."""
    run = tw.Run(shutil.copytree(two.path, tmp_path / "run"))
    easier = {"loss": 0.9, "train_loss": 0.8, "val_loss": 0.1}
    lines = [replace(line, kept=None, **(easier if line.epoch else {})) for line in run.journal]
    (run.path / "journal.jsonl").write_text("".join(json.dumps(line.as_json()) + "\n" for line in lines))
    return run


SAID = "In phase 1, epoch 1, the validation loss (0.100) lies below the training loss that the optimizer saw (0.900)"


def test_evaluate_explains_a_validation_loss_below_the_training_loss(two, easy):
    assert easy.evaluate("test").notes[-1].startswith(SAID)
    assert not any("validation loss (0.100)" in note for note in two.evaluate("test").notes)


def test_a_run_explains_it_in_its_results(easy):
    (easy.path / "results.json").unlink()  # as if the run was killed during its evaluation
    assert easy.resume().results.notes[-1].startswith(SAID)


def test_curves_have_the_auc_where_there_are_two_classes(easy, monkeypatch):
    drawn = {}
    monkeypatch.setattr(Pencil, "draw", lambda self, what, path, *_, **how: drawn.update({what: how}))
    (easy.path / "results.json").unlink()
    easy.resume()
    assert drawn["charts.curves"] == {"auc": True}
    assert set(drawn) == {"charts.curves", "charts.confusion", "sheets.predictions"}


def test_three_classes_have_none(pictures, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(Pencil, "draw", lambda self, what, path, *_, **how: drawn.update({what: how}))
    phases = [tw.Phase("tiny@pool", epochs=1)]
    tw.train(pictures, phases=phases, backbones=[tiny()], out=tmp_path / "run")
    assert drawn["charts.curves"] == {"auc": False}


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Make other pictures: blue, green and red ones."""
    return make_folder(tmp_path_factory.mktemp("others") / "colours", each=4, first=63_000)


def only(others, path, *names):
    """Make a folder with some of the classes and return it."""
    for name in names:
        shutil.copytree(others / name, path / name)
    return path


def test_pictures_of_one_class_alone_are_measured(two, others, tmp_path):
    ran = topwork("evaluate", two.path, only(others, tmp_path / "one", "red"), "--json")
    found = two.evaluate(tmp_path / "one")
    assert ran.json == found.as_json()
    assert (found.pictures, found.part, found.unknown_classes) == (4, "data", {})
    assert found.classes["blue"].support == 0 and found.classes["blue"].recall is None
    assert found.auc is None
    assert found.accuracy == found.classes["red"].recall
    assert "AUC" in topwork("evaluate", two.path, tmp_path / "one").out
    arrays = np.stack([np.array(Image.open(path)) for path in sorted((others / "red").iterdir())])
    assert two.evaluate((arrays, ["red"] * 4)).accuracy == found.accuracy


def test_classes_that_the_run_does_not_know_are_named_counted_and_left_out(two, others, tmp_path):
    known = two.evaluate(only(others, tmp_path / "known", "blue", "red"))
    ran = topwork("evaluate", two.path, others, "--json")
    assert ran.json["unknown_classes"] == {"green": 4}
    assert ran.err.splitlines()[-1] == "Not measured: 4 pictures of classes that the run does not have: 'green' (4)."
    assert ran.json | {"unknown_classes": {}} == known.as_json()
    assert two.evaluate("test").unknown_classes == {}


def test_where_the_run_knows_no_class_both_lists_are_shown(two, others, tmp_path):
    folder = only(others, tmp_path / "none", "green")
    with pytest.raises(DatasetError) as error:
        two.evaluate(folder)
    assert str(error.value) == (
        f"no class of '{folder}' is a class of the run '{two.path}': the data has 'green', "
        "and the run has 'blue', 'red'. Give the pictures the labels that the run uses."
    )


def test_the_wrong_answers_are_printed_and_saved_the_surest_first(two, tmp_path):
    data = make_folder(tmp_path / "data", each=3, first=64_000)
    shutil.rmtree(data / "green")
    for old, new in (("blue", "other"), ("red", "blue"), ("other", "red")):
        (data / old).rename(data / new)
    out = tmp_path / "out"
    ran = topwork("evaluate", two.path, data, "--wrong", "--out", out, "--csv", tmp_path / "all.csv")
    rows = list(csv.DictReader((out / "wrong.csv").open(newline="")))
    names = [Path(row["path"]).name for row in rows]
    every = list(csv.DictReader((out / "predictions.csv").open(newline="")))
    assert sorted(row["path"] for row in rows) == sorted(r["path"] for r in every if r["label"] != r["predicted"])
    assert rows
    sure = [float(row["probability"]) for row in rows]
    assert sure == sorted(sure, reverse=True)
    *lines, _, last = ran.out.splitlines()[2:]
    assert [Path(line.split()[0]).name for line in lines] == names
    assert last == f"Wrong: {len(rows)} of the 6 answers on DATA."
    assert (out / "predictions.csv").read_bytes() == (tmp_path / "all.csv").read_bytes()
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 7
    for name in ("confusion.png", "predictions.png"):
        assert (out / name).is_file()


def test_class_names_in_any_script_have_a_key(two, others, tmp_path):
    data = only(others, tmp_path / "data", "blue", "red")
    two.evaluate(data, out=tmp_path / "plain")
    assert not (tmp_path / "plain" / "classes.txt").exists()
    answers = Answers((Row("a.png", "0", "花"),), np.array([0]), np.array([[0.75, 0.25]]))
    found = metrics.measure(answers.labels, answers.probabilities, ("花", "rose"))
    with Pencil() as pencil:
        keep(
            pencil,
            tmp_path,
            Dataset("/d", (*answers.rows, Row("b.png", "1", "rose")), order=("花", "rose")),
            answers,
            found,
        )
    assert (tmp_path / "classes.txt").read_text(encoding="utf-8") == "#1 花\n#2 rose\n"


def test_without_wrong_answers_that_is_said(two, others, tmp_path):
    scores = replace(two.evaluate(only(others, tmp_path / "one", "red")), wrong=[])
    with redirect_stdout(StringIO()) as told:
        print_wrong(scores, "DATA")
    assert told.getvalue() == "None of the 4 answers on DATA is wrong.\n"


def test_a_folder_that_exists_is_not_written_to(two, tmp_path):
    with pytest.raises(UsageError, match="exists already"):
        two.evaluate(out=tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        two.evaluate(out=tmp_path / "no" / "folder")


def test_parts_without_data_are_refused(two):
    assert topwork("evaluate", two.path, "--parts", "train=a,test=b") == Ran(
        2, "", "UsageError: --parts describes the folders of DATA, but no DATA is given: add DATA or omit --parts.\n"
    )


def test_no_picture_at_all_is_refused(two, tmp_path):
    (tmp_path / "empty" / "red").mkdir(parents=True)
    (tmp_path / "empty" / "red" / "a.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"no picture in .* can be used\. 1 picture cannot be used: 'red/a.png'"):
        two.evaluate(tmp_path / "empty")
    with pytest.raises(DatasetError, match=r"^the data has no pictures: nothing can be measured\.$"):
        two.evaluate(tw.Dataset("/d", ()))


@pytest.mark.parametrize("kind", ["folder", "table", "picture"])
def test_pictures_without_labels_get_the_advice_to_predict(two, others, tmp_path, kind):
    what = others / "red"
    if kind == "table":
        what = tmp_path / "paths.csv"
        what.write_text(f"path\n{others / 'red' / '000.png'}\n")
    if kind == "picture":
        what = others / "red" / "000.png"
    ran = topwork("evaluate", two.path, what)
    assert ran.status == 1
    assert ran.err.endswith(
        f"To predict the classes of pictures without labels: topwork export {two.path} FILE.onnx, "
        "then topwork predict FILE.onnx PICTURE|FOLDER.\n"
    )


def names(run):
    return sorted(path.name for path in run.path.glob("*.png"))


@pytest.fixture
def drawn():
    """Let this test draw its plots."""
    with plots.drawn():
        yield


@pytest.mark.full
@pytest.mark.usefixtures("drawn")
def test_a_run_whose_plots_cannot_be_drawn_is_finished_and_gets_them_later(pictures, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as broken:
        broken.setattr(drawing, "_idle", [])
        broken.setattr(drawing, "Beside", lambda *_, **__: Beside("topwork.none", quiet=True))
        run = tw.train(pictures, phases=[tw.Phase("tiny@pool", epochs=1)], backbones=[tiny()], out=tmp_path / "run")
    said = capsys.readouterr().err
    assert "could not draw curves.png, confusion.png, predictions.png (the drawing process ended with 1). " in said
    assert f"The run is complete. To draw them later: topwork.Run('{run.path}').evaluate()" in said
    assert run.results.accuracy and names(run) == []
    run.resume()
    assert capsys.readouterr().err == (
        f"{run.path} has finished, but its curves.png, confusion.png, predictions.png were not drawn. To draw them: "
        f"topwork.Run('{run.path}').evaluate()\n"
    )
    run.evaluate("val")
    assert names(run) == ["curves.png"]
    run.evaluate()
    assert names(run) == ["confusion.png", "curves.png", "predictions.png"]
    assert "Drawn, because the run lacked them: confusion.png, predictions.png" in capsys.readouterr().err
    run.evaluate()
    assert "Drawn" not in capsys.readouterr().err
