"""Late fusion end to end: two small runs joined by each rule, as a run folder, a model and a file like any other."""

import csv
import json
import shutil
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import keras
import numpy as np
import pytest

import topwork as tw
from tests.command import topwork
from tests.conftest import COLOURS, make_folder, picture
from tests.inference import outputs, uncalibrated
from tests.tiny import tiny
from topwork.data.pictures import Fit, decode
from topwork.errors import DatasetError, ExportError, RecipeError, RunError, UsageError
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Join
from topwork.shipping.checking.gate import BOUND
from topwork.shipping.metadata import Input
from topwork.training.fusion import joining

RULES = ("mean", "weighted", "stacked")
A = tiny(precision="auto")
B = tiny(48, precision="auto")
TWO = [
    tw.Phase("tiny@pool", epochs=6, learning_rate=1e-2),
    tw.Phase("tiny@block_14_add", epochs=1, learning_rate=1e-4),
]
ONE = [tw.Phase("tiny_48@block_3_expand_relu..block_3_expand_relu", epochs=5, learning_rate=1e-2)]


@pytest.fixture(scope="module")
def where(tmp_path_factory):
    return tmp_path_factory.mktemp("join")


@pytest.fixture(scope="module")
def data(where):
    """Read 72 pictures that no other test has stored."""
    return tw.read(make_folder(where / "colours", each=24, first=40_000), split=(0.5, 0.25, 0.25), draw="stratified")


@pytest.fixture(scope="module", autouse=True)
def journaled():
    """Losses are compared with those in journals."""
    with uncalibrated():
        yield


@pytest.fixture(scope="module")
def members(data, where):
    """Return two runs with different backbones, sizes and ends; one of them has two phases."""
    a = tw.train(data, phases=TWO, backbones=[A], out=where / "a")
    return a, tw.train(data, phases=ONE, backbones=[B], out=where / "b")


@pytest.fixture(scope="module")
def joins(members, where):
    """Return a join by each rule; its members are copies that are removed afterwards."""
    copies = [shutil.copytree(run.path, where / "gone" / run.path.name) for run in members]
    made = {rule: tw.join(copies, rule, out=where / rule) for rule in RULES}
    shutil.rmtree(where / "gone")
    return made


@pytest.fixture(params=RULES)
def run(joins, request):
    return joins[request.param]


def pixels(run, rows, side):
    return np.stack([decode(Path(run.data.root, row.path), Fit((side, side))) for row in rows])


@cache
def flat(path):
    """Return a run's model, which is built once."""
    return tw.Run(path).model()


def said(run, rows):
    """Return what a run's flat model answers for the rows."""
    model = flat(run.path)
    given = [pixels(run, rows, tensor.shape[1]) for tensor in model.inputs]
    return outputs(model, given if len(given) > 1 else given[0])


def written(run):
    with (run.path / "predictions.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    return np.array([[float(line[label]) for label in run.data.classes] for line in table])


def expected(run, each):
    """Apply the rule by its definition, with the values from `results.json` and ``weights/top.npz``."""
    if run.recipe.join.rule != "stacked":
        mean = np.tensordot(np.array(run.results.join.weights), np.array(each, float), 1)
        logits = np.log(mean) / run.results.temperature
    else:
        kernel, bias = run.folder.weights()["stack"]
        logits = np.concatenate([np.log(np.array(one, float)) for one in each], axis=1) @ kernel + bias
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_the_flat_model_is_the_rule_of_the_members_answers(run, members):
    rows = run.data.part("test")
    each = [said(member, rows) for member in members]
    assert np.abs(each[0] - each[1]).max() > 0.05, "the members do not differ"
    found = said(run, rows)
    assert found.std(0).max() > 1e-2, "the answers do not differ between pictures"
    np.testing.assert_allclose(found, expected(run, each), atol=1e-5)
    assert np.abs(found - each[0]).max() > 1e-3 or run.results.join.weights[0] > 0.99


def test_the_model_is_flat_plain_and_its_names_do_not_clash(run):
    model = flat(run.path)
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == len(names)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert [(one.name, one.dtype, one.shape) for one in model.inputs] == [
        ("pixels_1", "uint8", (None, 32, 32, 3)),
        ("pixels_2", "uint8", (None, 48, 48, 3)),
    ]
    assert {"member_1_block_14_add", "member_1_logits", "member_2_logits", "probabilities"} <= set(names)


def test_the_figures_are_those_of_the_shipped_model(run):
    np.testing.assert_allclose(written(run), said(run, run.data.part("test")), atol=1e-4)
    labels = np.array([run.data.classes.index(row.label) for row in run.data.part("test")])
    right = (written(run).argmax(1) == labels).mean()
    assert run.results.accuracy.value == pytest.approx(right)


def test_a_model_that_is_saved_is_the_same(joins, tmp_path):
    run = joins["weighted"]
    flat(run.path).save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    given = [pixels(run, run.data.part("test"), side) for side in (32, 48)]
    np.testing.assert_allclose(outputs(model, given), said(run, run.data.part("test")), atol=1e-6)


def test_the_folder_is_a_run_folder(run, members):
    assert {path.name for path in run.path.iterdir()} == {
        "recipe.toml", "pictures.csv", "environment.json", "weights", "members", "results.json", "predictions.csv",
        "wrong.csv", "confusion.png", "predictions.png",
    }  # fmt: skip
    assert run.journal == []
    for number, member in enumerate(members, 1):
        kept = tw.Run(run.path / "members" / str(number))
        assert kept.recipe == member.recipe
        assert kept.results == member.results


def test_each_members_score_stands_beside(run, members):
    found = run.results.test.members
    assert [Path(one.run).name for one in found] == ["a", "b"]
    assert [one.accuracy for one in found] == [member.results.accuracy for member in members]
    for one, member in zip(found, members, strict=True):
        assert one.loss.value == pytest.approx(member.results.test.loss.value, rel=1e-5)


def test_what_the_rule_learned_is_told(joins, members):
    for rule, run in joins.items():
        about = run.results.join
        assert (about.rule, about.val_pictures) == (rule, 18)
        assert about.val_loss["members"] == pytest.approx(
            [min(line.val_loss for line in member.journal) for member in members], rel=1e-3
        )
        assert {"mean", "members", rule} == set(about.val_loss)
    mean, weighted, stacked = (joins[rule].results.join for rule in RULES)
    assert mean.weights == [0.5, 0.5]
    assert sum(weighted.weights) == pytest.approx(1)
    losses = weighted.val_loss
    assert losses["weighted"] <= min(losses["mean"], *losses["members"]) + 1e-6
    assert mean.val_loss["mean"] == losses["mean"] == stacked.val_loss["mean"]


def test_few_validation_pictures_are_noted(joins):
    assert not [note for note in joins["mean"].results.notes if "fitted" in note]
    for rule, values in (("weighted", "1 value"), ("stacked", "21 values")):
        (note,) = (note for note in joins[rule].results.notes if "fitted" in note)
        assert note.startswith(f"The rule {rule!r} fitted {values} on 18 validation pictures, which is few")


def test_law_3_no_trunk_runs_for_what_is_stored(members, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("topwork.store.engines.local.Beside", lambda *_: pytest.fail("a trunk is to run"))
    tw.join(members, "weighted", out=tmp_path / "join")
    told = capsys.readouterr().err
    assert "trunk:" not in told
    assert "weighted: " in told and "validation loss on 18 pictures: weighted " in told
    assert "The rule 'weighted' fitted 1 value on 18 validation pictures, which is few" in told


@pytest.fixture(scope="module")
def files(joins, where):
    """Return a function that exports the join by a rule and returns the file."""

    @cache
    def file(rule):
        joins[rule].export(where / f"{rule}.onnx")
        return where / f"{rule}.onnx"

    return file


@pytest.mark.parametrize("rule", ["weighted", pytest.param("stacked", marks=pytest.mark.full)])
def test_the_file_passes_the_gate_and_is_predicted(joins, files, rule):
    run, predictor = joins[rule], tw.Predictor(files(rule))
    assert predictor.about["join"] == rule
    assert [one["cut"] for one in predictor.about["members"]] == [TWO[-1].cut, ONE[-1].cut]
    assert predictor.about["members"][1]["backbones"]["tiny_48"]["licence"] == "your own"
    assert predictor.inputs == (Input("pixels_1", None, Fit((32, 32))), Input("pixels_2", None, Fit((48, 48))))
    paths = [Path(run.data.root, row.path) for row in run.data.part("test")]
    answers = [json.loads(line) for line in topwork("predict", files(rule), *paths, "--json").out.splitlines()]
    np.testing.assert_allclose([list(a["probabilities"].values()) for a in answers], written(run), atol=2 * BOUND)


@pytest.mark.parametrize("fault", ["a weight", pytest.param("a member", marks=pytest.mark.full)])
def test_a_planted_fault_is_refused(joins, files, tmp_path, monkeypatch, fault):
    run = tw.Run(shutil.copytree(joins["weighted"].path, tmp_path / "run"))
    if fault == "a weight":
        weights, temperature = run.folder.weights()["mixture"]
        run.folder.keep_weights({"mixture": [weights + np.array([-0.1, 0.1]), temperature]})
    else:
        member = run.folder.members[int(np.argmax(run.results.join.weights))]
        values = member.weights()
        values["logits"][1] += np.array([0.5, 0, 0], np.float32)
        member.keep_weights(values)
    unchanged = files("weighted")
    monkeypatch.setattr("topwork.shipping.formats.onnx.write", lambda _, path, __: shutil.copy(unchanged, path))
    with pytest.raises(ExportError) as error:
        run.export(tmp_path / "run.onnx")
    assert str(error.value).startswith("the exported file does not answer as the model does and was not kept: on ")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_evaluate_shows_the_members(joins):
    ran = topwork("evaluate", joins["weighted"].path)
    assert (ran.status, ran.err) == (0, "")
    assert max(map(len, ran.out.splitlines())) <= 80
    assert [line.split()[:2] for line in ran.out.splitlines() if line.startswith("gone/")] == [
        [f"gone/{name}", f"{one.accuracy.value:.3f}"]
        for name, one in zip("ab", joins["weighted"].results.test.members, strict=True)
    ]
    assert topwork("evaluate", joins["weighted"].path, "--json").json["accuracy"] == (
        joins["weighted"].results.accuracy.as_json()
    )


@pytest.mark.full
def test_evaluate_on_other_pictures(joins, members, where):
    more = make_folder(where / "more", each=3, first=41_000)
    found = joins["mean"].evaluate(more)
    assert (found.part, found.pictures, found.trained_on) == ("data", 9, 0)
    for one, member in zip(found.members, members, strict=True):
        assert one.accuracy == member.evaluate(more).accuracy


def test_compare_takes_it_as_any_run(joins, members):
    found = tw.compare(members[0], joins["mean"])
    assert found.pictures == 18
    assert found.scores["second"]["accuracy"] == joins["mean"].results.accuracy.value


def test_the_command_without_data(members, tmp_path):
    words = ("--set", f"join.members={[str(run.path) for run in members]}", "--set", "join.rule=weighted")
    ran = topwork("train", "--recipe", "fusion_late", *words, "--out", tmp_path / "join", "--json")
    assert (ran.status, ran.json["join"]["rule"]) == (0, "weighted")


def test_a_recipe_with_data_keeps_the_parts(members, joins, data, tmp_path):
    (tmp_path / "join.toml").write_text(
        f"[data]\nseed = 9\n[join]\nmembers = {[str(run.path) for run in members]}\nrule = 'mean'\n"
    )
    ran = topwork("train", data.root, "--recipe", tmp_path / "join.toml", "--out", tmp_path / "join")
    assert ran.status == 0, ran.err
    run = tw.Run(tmp_path / "join")
    assert "pictures stay in the part that they had in the members." in ran.err
    had = {row.content: row.split for row in data.rows}
    assert {row.content: row.split for row in run.data.rows} == had
    assert run.results.accuracy == joins["mean"].results.accuracy
    own = [
        replace(one, run=str(tmp_path / "join" / "members" / str(number)))
        for number, one in enumerate(run.results.test.members, 1)
    ]
    again = tw.train(None, recipe=run.recipe, out=tmp_path / "again")
    assert again.results.test == replace(run.results.test, members=own)


def test_a_join_that_was_interrupted_is_done_by_resume(members, joins, tmp_path, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(joining, "examined", stop)
    with pytest.raises(KeyboardInterrupt):
        tw.join(members, "stacked", out=tmp_path / "join")
    assert f"To continue: topwork.Run('{tmp_path / 'join'}').resume()" in capsys.readouterr().err
    monkeypatch.undo()
    assert not tw.Run(tmp_path / "join").folder.is_finished
    ran = topwork("train", "--resume", tmp_path / "join")
    assert (ran.status, ran.out) == (0, f"{tmp_path / 'join'}\n")
    run = tw.Run(tmp_path / "join")
    assert run.results.accuracy == joins["stacked"].results.accuracy
    for a, b in zip(run.folder.weights()["stack"], joins["stacked"].folder.weights()["stack"], strict=True):
        np.testing.assert_array_equal(a, b)


def test_pictures_that_cannot_be_read_are_left_out(members, data, tmp_path, capsys):
    more = shutil.copytree(data.root, tmp_path / "more")
    tested = next(row for row in data.part("test"))
    drawn = tw.read(more, split=(0.5, 0.25, 0.25), draw="stratified")
    (more / "broken.png").write_bytes(b"no picture")
    rows = (*drawn.rows, tw.Row("broken.png", sha256(b"no picture").hexdigest(), tested.label, "test"))
    run = tw.join(members, data=tw.Dataset(str(more), rows), out=tmp_path / "join")
    assert "Skipped: broken.png: " in capsys.readouterr().err
    assert (run.results.left_out, run.results.test.pictures) == (1, 18)


def test_no_validation_pictures_to_fit_on(members, data, tmp_path):
    def without(*labels):
        rows = [row for row in data.rows if row.split != "val" or row.label not in labels]
        return tw.Dataset(data.root, tuple(rows))

    with pytest.raises(DatasetError) as error:
        tw.join(members, "weighted", data=without(*data.classes), out=tmp_path / "join")
    assert str(error.value) == (
        "the rule 'weighted' is fitted on validation pictures, and there are none: give some the split 'val', "
        "or use the rule 'mean'."
    )
    with pytest.raises(DatasetError) as error:
        tw.join(members, "stacked", data=without("red"), out=tmp_path / "join")
    assert str(error.value) == (
        "no validation picture of 'red': the rule 'stacked' needs some of each class. "
        "Add some, or use the rule 'weighted' or 'mean'."
    )
    assert not (tmp_path / "join").exists()
    run = tw.join(members, "mean", data=without(*data.classes), out=tmp_path / "join")
    assert (run.results.join.val_loss, run.results.join.weights) == (None, [0.5, 0.5])


def test_members_that_disagree_leave_no_folder(members, data, tmp_path):
    rows = tuple(tw.Row(row.path, row.digest, row.label, row.split) for row in data.rows)
    other = tw.read(data.root, split=(0.5, 0.25, 0.25), draw="stratified", seed=3)
    assert {row.path: row.split for row in other.rows} != {row.path: row.split for row in rows}
    second = tw.train(other, phases=[tw.Phase(ONE[0].cut, epochs=1)], backbones=[B], out=tmp_path / "second")
    with pytest.raises(DatasetError, match="had pictures in other parts"):
        tw.join([members[0], second], out=tmp_path / "join")
    assert not (tmp_path / "join").exists()


def test_what_a_join_cannot_be(members, joins, data, tmp_path):
    recipe = Recipe(join=Join(tuple(str(run.path) for run in members)))
    join = str(joins["mean"].path)
    with pytest.raises(UsageError) as error:
        tw.train(None, recipe=recipe, callbacks=[keras.callbacks.Callback()])
    assert str(error.value) == "a join trains nothing: omit the callbacks, or train a member with it."
    with pytest.raises(UsageError) as error:
        tw.train(None, recipe=recipe, parent=members[0])
    assert str(error.value) == "a join trains nothing: omit parent, or train a member with it."
    with pytest.raises(UsageError) as error:
        tw.cross_validate(data, 3, recipe=recipe)
    assert str(error.value) == (
        "a cross-validation deals the pictures anew, and a join keeps the parts of its members: omit one of the two."
    )
    with pytest.raises(RunError) as error:
        tw.train(data, parent=join, phases=ONE, backbones=[B])
    assert str(error.value) == (
        f"cannot start from {join!r}: it joins runs. Start from one of them, as in parent='{join}/members/1'"
    )
    with pytest.raises(RecipeError, match="the recipe has 'phase' beside 'join'"):
        tw.train(data, recipe=Recipe(tuple(ONE), join=recipe.join), out=tmp_path / "run")


@pytest.mark.full
def test_arrays_need_not_be_given_again(tmp_path, monkeypatch):
    draw = np.random.default_rng(3)
    x, y = draw.integers(0, 256, (40, 32, 32, 3)).astype("uint8"), ["cat", "dog"] * 20
    data = tw.read((x, y), split=(0.5, 0.25, 0.25), draw="stratified")
    cuts = {"a": "tiny@pool", "b": "tiny@block_2_add..block_2_add"}
    runs = [
        tw.train(data, phases=[tw.Phase(cut, epochs=1)], backbones=[A], out=tmp_path / name)
        for name, cut in cuts.items()
    ]
    run = tw.join(runs, "weighted", out=tmp_path / "join")
    assert run.results.test.pictures == 10
    assert run.folder.sample().keys() == runs[0].folder.sample().keys() != set()
    monkeypatch.setenv("TOPWORK_HOME", str(tmp_path / "empty"))
    with pytest.raises(DatasetError) as error:
        tw.join(runs, out=tmp_path / "again")
    assert str(error.value) == (
        "the run was trained on arrays, and these are not kept: give them, as in topwork.join(members, data=(X, y))."
    )
    assert not (tmp_path / "again").exists()
    again = tw.join(runs, "weighted", data=(x, y), out=tmp_path / "given")
    assert again.results.accuracy == run.results.accuracy


@pytest.fixture(scope="module")
def pairs(where):
    """Write a CSV file with 48 rows, in which the colours of ``front`` and ``side`` together are the class."""
    folder = where / "pairs"
    folder.mkdir()
    lines = ["front,side,label"]
    for i in range(48):
        front, side = ("blue", "red")[i // 2 % 2], ("blue", "red")[i % 2]
        picture(COLOURS[front], 50_000 + 2 * i).save(folder / f"{i}-front.png")
        picture(COLOURS[side], 50_001 + 2 * i).save(folder / f"{i}-side.png")
        lines.append(f"{i}-front.png,{i}-side.png,{front} {side}")
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")
    return folder / "pairs.csv"


@pytest.mark.full
def test_several_pictures_a_row(pairs, tmp_path):
    """One member reads a row's first picture without naming it, the other reads both: the join has two inputs."""
    early = "tiny@block_2_add..block_2_add"
    data = tw.read(pairs, split=(0.5, 0.25, 0.25), draw="stratified")
    cuts = {"a": f"{early}", "b": f"{early}[front] + {early}[side]"}
    runs = [
        tw.train(data, phases=[tw.Phase(cut, epochs=3, learning_rate=1e-2)], backbones=[A], out=tmp_path / name)
        for name, cut in cuts.items()
    ]
    run = tw.join(runs, "weighted", out=tmp_path / "join")
    predictor = run.export(tmp_path / "join.onnx")
    fit = Fit((32, 32))
    assert predictor.inputs == (Input("pixels_1", "front", fit), Input("pixels_2", "side", fit))
    ran = topwork("predict", tmp_path / "join.onnx", pairs, "--json")
    answered = [list(json.loads(line)["probabilities"].values()) for line in ran.out.splitlines()]
    front, side = (np.stack([decode(pairs.parent / f"{i}-{n}.png", fit) for i in range(48)]) for n in ("front", "side"))
    each = [outputs(runs[0].model(), front), outputs(runs[1].model(), [front, side])]
    assert np.abs(each[0] - each[1]).max() > 0.05
    np.testing.assert_allclose(answered, expected(run, each), atol=BOUND)
