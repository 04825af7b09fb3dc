"""Cross-validation: one fill, one run per fold, and each picture is tested once."""

import csv
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import topwork as tw
from tests.command import SMALL, topwork
from tests.conftest import make_folder
from tests.tiny import file
from topwork.errors import DatasetError, RunError, UsageError

CUT = "mobilenet_v2_035@block_2_add..block_2_add"
WORDS = ("--cut", CUT, *SMALL, "--epochs", 3, "--learning-rate", 0.02)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Make 36 pictures that no other test has stored."""
    return make_folder(tmp_path_factory.mktemp("folds") / "colours", each=12, first=50_000)


@pytest.fixture(scope="module")
def ran(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "folds"
    return out, topwork("train", pictures, *WORDS, "--folds", 3, "--out", out, "--json")


@pytest.fixture(scope="module")
def tested(ran):
    """Return each fold's predictions: path, label and predicted label."""
    found = []
    for number in (1, 2, 3):
        with (ran[0] / f"fold-{number}" / "predictions.csv").open(newline="") as file:
            found.append([row[:3] for row in list(csv.reader(file))[1:]])
    return found


def test_a_run_for_each_fold(ran):
    out, said = ran
    assert sorted(path.name for path in out.iterdir()) == [
        "confusion.png", "curves.png", "final", "fold-1", "fold-2", "fold-3", "predictions.csv", "predictions.png",
        "report.html", "report.json", "results.json", "wrong.csv",
    ]  # fmt: skip
    assert all(tw.Run(out / f"fold-{number}").folder.is_finished for number in (1, 2, 3))
    assert said.json == {"run": str(out), **json.loads((out / "results.json").read_text())}


def test_an_interrupted_one_goes_on(ran, tmp_path):
    """The test resets fold 2 and removes the overall results, as if the process was killed after fold 1."""
    out = tmp_path / "folds"
    shutil.copytree(ran[0], out)
    (out / "results.json").unlink()
    for name in ("results.json", "journal.jsonl", "checkpoints", "weights"):
        path = out / "fold-2" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(RunError) as error:
        _ = tw.Folds(out).results
    assert str(error.value) == (
        f"the cross-validation {str(out)!r} has not finished. Continue it: topwork.Folds({str(out)!r}).resume()"
    )
    again = topwork("train", "--resume", out, "--json")
    assert again.json == {"run": str(out), **json.loads((ran[0] / "results.json").read_text())}
    assert f"{out / 'fold-2'} continues from the beginning." in again.err
    assert again.err.count("has finished: nothing is left to do.") == 3
    assert len(tw.Folds(out).runs) == 3


def test_the_final_model_learns_from_all_pictures_and_has_the_score_of_the_folds(ran, pictures):
    out, said = ran
    final = tw.Run(out)
    assert final.path == out / "final"
    assert len(final.data.part("train")) + len(final.data.part("val")) == 36
    assert 0 < len(final.data.part("val")) < 8
    results = json.loads((out / "final" / "results.json").read_text())
    assert (results["accuracy"], results["test"], results["folds"]) == (said.json["accuracy"], said.json["test"], 3)
    assert len(final.predict(pictures)) == 36
    assert "<td>accuracy</td>" in final._repr_html_()
    assert "<td>accuracy</td>" in tw.Folds(out)._repr_html_() and "<img" in tw.Folds(out)._repr_html_()
    assert "No test part" not in said.err


def test_the_folder_stands_for_its_model(ran, pictures, tmp_path):
    out, said = ran
    shutil.copytree(out, tmp_path / "folds")
    out = tmp_path / "folds"
    predictor = tw.Run(out).export(tmp_path / "colours.onnx")
    accuracy = said.json["accuracy"]
    assert predictor.about["scores"] == {"accuracy": accuracy, "folds": 3}
    shown = topwork("evaluate", out, "--wrong").out
    assert "of the 36 answers on all folds together" in shown and "The model for use" in shown
    picture = next(pictures.rglob("*.png"))
    assert topwork("predict", out, picture).out == topwork("predict", tmp_path / "colours.onnx", picture).out
    found = topwork("evaluate", out, pictures, "--json").json
    assert (found["part"], found["trained_on"]) == ("data", len(tw.Run(out).data.part("train")))
    own = tw.Backbone("mobilenet_v2_035", "random", 32)
    child = tw.train(pictures, parent=out, phases=[tw.Phase(CUT, epochs=1)], backbones=[own], out=tmp_path / "child")
    assert child.folder.parent.path == out / "final"


def test_evaluate_and_compare_use_the_answers_of_the_folds(ran, tested, tmp_path):
    out, said = ran
    found = topwork("evaluate", out, "--json").json
    assert (found["accuracy"], found["pictures"]) == (said.json["accuracy"], 36)
    wrong = {row[0] for fold in tested for row in fold if row[1] != row[2]}
    assert {one["path"] for one in found["wrong"]} == wrong
    assert found["notes"][0] == "3 folds: each picture was answered by a model that had not learned from it."
    compared = topwork("compare", out, out / "final", "--json").json
    assert (compared["pictures"], compared["differences"]["accuracy"]["value"]) == (36, 0.0)
    tw.Run(out).evaluate(csv=tmp_path / "all.csv", out=tmp_path / "kept")
    assert (tmp_path / "all.csv").read_bytes() == (tmp_path / "kept" / "predictions.csv").read_bytes()


def test_a_final_model_can_be_left_out_and_made_later(pictures, tmp_path):
    out = tmp_path / "folds"
    topwork("train", pictures, *WORDS, "--folds", 2, "--out", out, "--no-final")
    with pytest.raises(RunError) as error:
        tw.Run(out)
    assert str(error.value) == (
        f"the cross-validation {str(out)!r} has no model that learned from all pictures. To train it: "
        f"topwork.Folds({str(out)!r}).resume(final=True)"
    )
    assert f"topwork train --resume {out} --final" in topwork("export", out, tmp_path / "x.onnx").err
    assert topwork("evaluate", out, "--json").json["pictures"] == 36
    topwork("train", "--resume", out, "--final")
    assert tw.Run(out).results.folds == 2
    assert len(tw.Run(out).data.part("train")) > 30


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--resume", "RUN", "--final"), "--final is for a folder that --folds made, and "),
        (("DATA", "--final"), "--final can only be used with --resume RUN."),
        (("DATA", "--no-final"), "--no-final can only be used with --folds K."),
    ],
)
def test_where_the_options_of_the_final_model_make_no_sense(ran, pictures, words, message):
    known = {"RUN": ran[0] / "fold-1", "DATA": pictures}
    assert message in topwork("train", *(known.get(word, word) for word in words)).err


def test_what_is_no_cross_validation(tmp_path):
    with pytest.raises(RunError) as error:
        tw.Folds(tmp_path)
    assert str(error.value) == f"{str(tmp_path)!r} is not a cross-validation: expected fold-1, fold-2 and so on in it."


def test_every_picture_is_tested_once(tested, pictures):
    paths = [row[0] for fold in tested for row in fold]
    assert sorted(paths) == sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png"))
    assert [len(fold) for fold in tested] == [12, 12, 12]


def test_no_fold_trains_on_what_it_tests(ran, tested):
    for number, fold in enumerate(tested, 1):
        data = tw.Run(ran[0] / f"fold-{number}").data
        assert {row.path for row in data.part("test")} == {row[0] for row in fold}
        assert data.part("train") and data.part("val")


def test_the_accuracy_is_the_mean_of_all_hits(ran, tested):
    hits = [[label == said for _, label, said in fold] for fold in tested]
    results = ran[1].json
    assert np.mean(hits) > 0.4
    assert results["accuracy"]["value"] == pytest.approx(np.mean(hits))
    assert results["accuracy"]["low"] < results["accuracy"]["value"] <= results["accuracy"]["high"]
    assert results["folds"] == pytest.approx(np.mean(hits, axis=1).tolist())
    assert results["test"]["pictures"] == 36


def test_the_store_is_filled_once(ran):
    lines = ran[1].err.splitlines()
    paid = [number for number, line in enumerate(lines) if ": 36 pictures to compute, " in line]
    assert len(paid) == 1
    assert lines.index("fold 1 of 3") < paid[0] < lines.index("fold 2 of 3") < lines.index("fold 3 of 3")
    later = [line for line in lines[lines.index("fold 2 of 3") :] if "to compute" in line]
    assert all("in float32, for the test scores" in line for line in later)


MIXED = "The data's own parts are mixed: each of the 2 folds tests a share of all pictures."


@pytest.mark.parametrize("given", [True, False])
def test_it_says_that_parts_which_come_with_the_data_are_mixed(pictures, tmp_path, given, monkeypatch, capsys):
    (tmp_path / "list.csv").write_text("path,label,split\n" + "".join(_lines(pictures, given)))
    monkeypatch.setattr("topwork.training.cross_validate._prepared", _stop)
    recipe = tw.Recipe((tw.Phase(CUT),), backbones={"mobilenet_v2_035": tw.Backbone("mobilenet_v2_035", "random", 32)})
    with pytest.raises(RunError):
        tw.cross_validate(tmp_path / "list.csv", 2, recipe=recipe, out=tmp_path / "folds")
    assert capsys.readouterr().err.splitlines().count(MIXED) == int(given)


def _lines(pictures, given):
    for number, path in enumerate(sorted(pictures.rglob("*.png"))):
        yield f"{path},{path.parent.name},{('train', 'test')[number % 2] if given else ''}\n"


def _stop(*_):
    raise RunError("enough")


def test_it_says_what_came_out(ran):
    rate, each = ran[1].json["accuracy"], ran[1].json["folds"]
    assert (
        f"Accuracy {rate['value']:.3f} over all 3 folds, 36 pictures "
        f"(95 % interval {rate['low']:.3f} to {rate['high']:.3f}); single folds {min(each):.3f} to {max(each):.3f}."
    ) in ran[1].err.splitlines()
    assert ran[1].err.count("Use: topwork export ") == 1


def test_more_folds_than_a_class_has_pictures(pictures, tmp_path):
    ran = topwork("train", pictures, *WORDS, "--folds", 13, "--out", tmp_path / "folds")
    assert (ran.status, ran.out, ran.err) == (
        1,
        "",
        "DatasetError: 13 folds, but the class 'blue' has 12 pictures: expected at least one per fold. "
        "Use fewer folds, add pictures, or leave out the class.\n",
    )
    assert not (tmp_path / "folds").exists()


def test_nothing_is_overwritten(ran, pictures):
    with pytest.raises(RunError) as error:
        tw.cross_validate(pictures, 3, out=ran[0])
    assert str(error.value) == (
        f"{str(ran[0])!r} exists already, and a run is never overwritten. Choose another out, or remove it."
    )


def test_a_parent_would_keep_its_test_part(ran, pictures, tmp_path):
    with pytest.raises(UsageError) as error:
        tw.cross_validate(pictures, 3, parent=ran[0] / "fold-1", out=tmp_path / "folds")
    assert str(error.value) == (
        "a cross-validation tests every picture once, and parent keeps the test part of its run: omit one of them."
    )
    assert not (tmp_path / "folds").exists()


def test_folds_beside_resume(ran):
    again = topwork("train", "--resume", ran[0] / "fold-1", "--folds", 3)
    assert (again.status, again.err) == (
        2,
        "UsageError: --resume uses the recipe and the data of that run: omit the other arguments.\n",
    )


def test_data_that_cannot_be_read(tmp_path):
    with pytest.raises(DatasetError):
        tw.cross_validate(tmp_path, 3, out=tmp_path / "folds")


def test_the_seed_of_the_data_deals_the_folds(pictures, monkeypatch):
    """The test looks only at how the folds are dealt and trains nothing."""
    dealt = []
    monkeypatch.setattr("topwork.training.cross_validate._prepared", lambda path, folds, *_: dealt.append(folds) or [])
    monkeypatch.setattr("topwork.training.cross_validate.Folds", lambda path: SimpleNamespace(_concluded=lambda: None))
    recipe = tw.Recipe((tw.Phase(CUT),), backbones={"mobilenet_v2_035": tw.Backbone("mobilenet_v2_035", "random", 32)})
    for seed in (0, 1):
        tw.cross_validate(pictures, 3, recipe=recipe.with_settings({"data.seed": seed}))
    tw.cross_validate(pictures, 3, recipe=recipe, seed=1)
    tested = [[{row.path for row in fold.part("test")} for fold in folds] for folds in dealt]
    assert tested[0] != tested[1] == tested[2]


@pytest.mark.full
def test_the_head_goes_first_in_every_fold_which_is_said_once(pictures, tmp_path):
    network = ("--cut", "tiny@block_7_expand", "--set", f"backbones.tiny.model={file()}", "--epochs", 1)
    words = (*network, "--set", "backbones.tiny.size=32", "--set", "phase.1.batch_size=8")
    ran = topwork("train", pictures, *words, "--folds", 2, "--out", tmp_path / "folds")
    assert ran.status == 0, ran.err
    assert ran.err.count("trains the head alone (tiny@pool)") == 1
    for run in tw.Folds(tmp_path / "folds").runs:
        phases = [(phase.cut, phase.epochs, phase.batch_size) for phase in run.recipe.phases]
        assert phases == [("tiny@pool", None, None), ("tiny@block_7_expand", 1, 8)]


@pytest.mark.full
def test_folds_at_chance_are_named(pictures, tmp_path):
    words = ("--cut", CUT, *SMALL, "--epochs", 1, "--learning-rate", 1e-30)
    ran = topwork("train", pictures, *words, "--folds", 2, "--out", tmp_path / "folds")
    told = [line for line in ran.err.splitlines() if "no better than always answering" in line]
    assert told[-1].startswith("As far as 36 pictures tell")
    assert tw.Folds(tmp_path / "folds").results.notes == told[-1:]
