"""A phase that is solved: when it is, what it leaves, the laws, and what it refuses."""

import csv
import json
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest

import topwork as tw
from tests.command import POOL as POOL_WORDS
from tests.conftest import make_folder
from tests.tiny import NAME, SIDE, tiny
from topwork.data.pictures import Fit, decode
from topwork.errors import RecipeError, RunError
from topwork.networks.heads import LinearHead
from topwork.recipes.settings import Training
from topwork.runs.restore import network_of
from topwork.scoring.solver import STRENGTHS
from topwork.training import solved_phase
from topwork.training.prepare import chosen, completed
from topwork.training.solved_phase import row_weights, smoothed

POOL, OPEN = f"{NAME}@pool", f"{NAME}@block_14_add"
MAP = f"{NAME}@block_7_project..block_7_project"
SPLIT = {"draw": "stratified", "split": (0.6, 0.2, 0.2)}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tw.read(make_folder(tmp_path_factory.mktemp("solved") / "colours", each=20, first=71_000), **SPLIT)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return tw.train(data, phases=[tw.Phase(POOL)], backbones=[tiny()], out=tmp_path_factory.mktemp("runs") / "run")


def plan(*phases, head="linear", callbacks=(), head_first=False, **options):
    """Return the phases that a run saves."""
    recipe = chosen(list(phases), [tiny()], head, **options)
    return completed(recipe, head_first, callbacks).phases


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 3),
        ("learning_rate", 0.1),
        ("schedule", "constant"),
        ("warmup_epochs", 0.0),
        ("global_clipnorm", 1.0),
        ("weight_decay", 0.0),
        ("patience", 0),
        ("batch_size", 32),
        ("momentum", 0.0),
    ],
)
def test_each_setting_of_an_iteration_decides_for_epochs(key, value):
    (phase,) = plan(tw.Phase(POOL, **{key: value}))
    assert (phase.optimizer, getattr(phase, key)) == ("adam", value)
    assert (phase.epochs, phase.batch_size) == (3 if key == "epochs" else 25, 32)
    with pytest.raises(RecipeError, match=rf"^optimizer = 'lbfgs' solves the head at once, without {key} = {value!r}"):
        plan(tw.Phase(POOL, optimizer="lbfgs", **{key: value}))


def test_what_is_solved_and_what_is_not():
    assert [phase.optimizer for phase in plan(tw.Phase(POOL), tw.Phase(OPEN))] == ["lbfgs", "adam"]
    assert [phase.optimizer for phase in plan(tw.Phase(OPEN), head_first=True)] == ["lbfgs", "adam"]
    assert plan(tw.Phase(MAP))[0].optimizer == "lbfgs"
    assert plan(tw.Phase(f"{POOL} + {POOL}"))[0].optimizer == "lbfgs"
    assert plan(tw.Phase(POOL), head="mlp")[0].optimizer == "adam"
    assert plan(tw.Phase(POOL), views=tw.Views(4, "live"))[0].optimizer == "adam"
    assert plan(tw.Phase(POOL), views=4)[0].optimizer == "lbfgs"
    assert plan(tw.Phase(POOL), callbacks=[object()])[0].optimizer == "adam"
    assert plan(tw.Phase(POOL, optimizer="lbfgs"), callbacks=[object()])[0].optimizer == "lbfgs"
    assert plan(tw.Phase(POOL, optimizer="sgd"))[0].optimizer == "sgd"


@pytest.mark.parametrize(
    ("phase", "options", "words"),
    [
        (tw.Phase(OPEN, optimizer="lbfgs"), {}, "this phase trains layers of a backbone"),
        (tw.Phase(POOL, optimizer="lbfgs"), {"head": "mlp"}, "this phase trains a head that is not linear"),
        (tw.Phase(POOL, optimizer="lbfgs"), {"views": tw.Views(2, "live")}, "this phase trains with live views"),
        (tw.Phase(POOL, precision="bfloat16"), {}, "precision = 'bfloat16' is for a phase in epochs"),
        (tw.Phase(POOL, epochs=2, l2=0.1), {}, "l2 = 0.1 is for a phase that is solved, and this one has epochs = 2"),
        (tw.Phase(POOL, optimizer="adam", l2=0.1), {}, "and this one has optimizer = 'adam'"),
        (tw.Phase(POOL, l2=0.1), {"callbacks": [None]}, "and this one has callbacks of your own"),
        (tw.Phase(POOL, l2=0.1), {"head": "mlp"}, "and this one trains a head that is not linear"),
        (tw.Phase(POOL, refit=True), {"head": "mlp"}, "this one trains a head that is not linear: omit refit"),
        (tw.Phase(OPEN, refit=True), {}, "this one trains layers of a backbone: omit refit"),
        (tw.Phase(POOL, l2=-1.0), {}, "phase.1.l2 = -1.0: expected at least 0"),
        (tw.Phase(POOL, l2="automatic"), {}, "phase.1.l2 = 'automatic': expected a number or 'auto'"),
    ],
)
def test_what_is_refused(phase, options, words):
    with pytest.raises(RecipeError, match=words):
        plan(phase, **options)


def test_a_run_records_what_was_chosen(run):
    (phase,) = run.recipe.phases
    assert phase == tw.Phase(POOL, optimizer="lbfgs")
    text = (run.path / "recipe.toml").read_text()
    assert 'optimizer = "lbfgs"' in text
    assert "epochs" not in text.partition("[[phase]]")[2]
    lines = [json.loads(line) for line in (run.path / "journal.jsonl").read_text().splitlines()]
    assert ("l2" not in lines[0], lines[0]["kept"]) == (True, True)
    strengths = [line["l2"] for line in lines[1:-1]]
    assert strengths == sorted(strengths, reverse=True)
    best = min(lines[1:-1], key=lambda line: line["fold_loss"])
    assert lines[-1]["l2"] == best["l2"] == run.results.phases[-1].l2
    assert lines[-1]["kept"]
    assert run.results.accuracy.value > 0.8


def test_the_same_bits_each_time(run, data, tmp_path):
    again = tw.train(data, recipe=run.recipe, out=tmp_path / "again")
    for name, arrays in run.folder.weights().items():
        assert [a.tobytes() for a in arrays] == [a.tobytes() for a in again.folder.weights()[name]]


@pytest.mark.parametrize("cut", [POOL, MAP, f"{POOL} + {NAME}@pool"])
@pytest.mark.parametrize("kind", [tw.Head(), tw.Head(batch_norm=False, pooling="max")])
def test_the_keras_model_gives_the_answers_that_were_tested(cut, kind, data, tmp_path):
    """Law 7 and the parity gate stand on this: what was measured in NumPy is what the Keras model answers."""
    if kind.pooling == "max" and cut != MAP:
        kind = replace(kind, pooling="avg")
    run = tw.train(data, phases=[tw.Phase(cut)], backbones=[tiny()], head=kind, out=tmp_path / "run")
    with (run.path / "predictions.csv").open() as file:
        tested = {row["path"]: [float(row[label]) for label in run.data.classes] for row in csv.DictReader(file)}
    pixels = np.stack([decode(f"{data.root}/{path}", Fit((SIDE, SIDE))) for path in tested])
    found = run.model().predict(pixels, verbose=0)
    assert np.ptp(found, 0).min() > 0.1
    np.testing.assert_allclose(found, list(tested.values()), atol=1e-4)
    guesses = run.export(tmp_path / "model.onnx")([f"{data.root}/{path}" for path in tested])
    assert [guess.label for guess in guesses] == [run.data.classes[i] for i in found.argmax(1)]


def test_enough_validation_pictures_choose_the_strength(data, tmp_path, monkeypatch):
    monkeypatch.setattr(solved_phase, "ENOUGH", 12)
    run = tw.train(data, phases=[tw.Phase(POOL)], backbones=[tiny()], out=tmp_path / "run")
    lines = run.journal
    assert all(line.fold_loss is None and line.val_loss is not None for line in lines)
    kept = [line for line in lines if line.kept][-1]
    assert kept.val_loss == min(line.val_loss for line in lines)
    assert kept.l2 == run.results.phases[-1].l2


def test_a_given_strength_is_used_and_nothing_else(data, tmp_path):
    run = tw.train(data, phases=[tw.Phase(POOL, l2=0.01)], backbones=[tiny()], out=tmp_path / "run")
    assert [line.l2 for line in run.journal] == [None, 0.01]


def test_law_7_a_phase_that_makes_things_worse_keeps_what_was_there(run, data, tmp_path):
    """A strength of a million leaves only the bias: worse than the parent's weights, which are kept."""
    child = tw.train(data, phases=[tw.Phase(POOL, l2=1e6)], backbones=[tiny()], parent=run, out=tmp_path / "child")
    first, second = child.journal
    assert (first.kept, second.kept) == (True, False)
    assert second.val_loss > first.val_loss
    for name, arrays in run.folder.weights().items():
        for mine, parents in zip(child.folder.weights()[name], arrays):
            np.testing.assert_array_equal(mine, parents)


def test_an_opened_phase_follows(data, tmp_path):
    """Its epoch 0 has the loss of the solution: the Keras network took the solved weights over."""
    phases = [tw.Phase(POOL), tw.Phase(OPEN, epochs=1, learning_rate=1e-6)]
    run = tw.train(data, phases=phases, backbones=[tiny()], out=tmp_path / "run")
    solved = [line for line in run.journal if line.phase == 1 and line.kept][-1]
    opened = next(line for line in run.journal if line.phase == 2)
    assert opened.val_loss == pytest.approx(solved.val_loss, abs=1e-3)
    assert solved.val_loss < run.journal[0].val_loss - 0.1


def test_a_head_is_solved_after_epochs(data, tmp_path):
    run = tw.train(data, phases=[tw.Phase(POOL, epochs=1), tw.Phase(POOL)], backbones=[tiny()], out=tmp_path / "run")
    before = [line for line in run.journal if line.phase == 1][-1]
    begun = next(line for line in run.journal if line.phase == 2)
    assert begun.val_loss == pytest.approx(before.val_loss, abs=1e-4)
    kept = LinearHead.of(network_of(run.folder).values())
    assert kept.values()["logits"][0].tobytes() == run.folder.weights()["logits"][0].tobytes()


def test_without_a_validation_part_folds_choose_and_the_solution_is_kept(data, tmp_path):
    rows = tuple(replace(row, split="train" if row.split == "val" else row.split) for row in data.rows)
    recipe = chosen([tw.Phase(POOL)], [tiny()])
    recipe = replace(recipe, training=replace(recipe.training, hold_out=False))
    run = tw.train(replace(data, rows=rows), recipe=recipe, out=tmp_path / "run")
    assert run.journal[-1].kept
    assert run.journal[-1].val_loss is None
    assert run.results.phases[-1].l2 == run.journal[-1].l2


def test_a_refit_without_a_validation_part_says_that_it_has_no_effect(data, tmp_path, capfd):
    rows = tuple(row for row in data.rows if row.split != "val")
    recipe = chosen([tw.Phase(POOL, refit=True)], [tiny()])
    recipe = replace(recipe, training=replace(recipe.training, hold_out=False))
    tw.train(replace(data, rows=rows), recipe=recipe, out=tmp_path / "run")
    assert "phase 1: refit = true has no effect, because there is no validation part." in capfd.readouterr().err


def test_a_head_that_validation_refuses_is_called_untrained(data, tmp_path, capfd):
    """Validation pictures with wrong labels: every solution is worse than equal probabilities."""
    labels = dict(zip(data.classes, data.classes[1:] + data.classes[:1]))
    rows = [replace(row, label=labels[row.label]) if row.split == "val" else row for row in data.rows]
    run = tw.train(replace(data, rows=tuple(rows)), phases=[tw.Phase(POOL)], backbones=[tiny()], out=tmp_path / "run")
    assert run.results.phases[-1].l2 is None
    assert "phase 1: the head is not trained: on the 12 validation pictures, no solution had" in capfd.readouterr().err


@pytest.mark.parametrize(("limit", "bars"), [(0, ["phase 1"]), (solved_phase.LONG, [])])
def test_a_bar_counts_the_strengths_of_a_large_problem(limit, bars, data, tmp_path, monkeypatch):
    shown, counted = [], []
    monkeypatch.setattr(solved_phase.Bar, "start", lambda bar, note="": shown.append(bar._what))
    monkeypatch.setattr(solved_phase, "LONG", limit)
    monkeypatch.setattr(solved_phase.Bar, "update", lambda _, done, total, note="": counted.append((done, total)))
    run = tw.train(data, phases=[tw.Phase(POOL)], backbones=[tiny()], out=tmp_path / "run")
    assert [what for what in shown if what.startswith("phase")] == bars
    assert counted == [(done, len(STRENGTHS) + 1) for done in range(len(run.journal))]


@pytest.mark.parametrize("with_validation", [True, False])
def test_training_pictures_that_all_belong_together_cannot_be_folded(with_validation, data, tmp_path):
    """One group: no fold could be left out, so validation chooses, or without validation the usual strength."""
    rows = [replace(row, group="all") if row.split == "train" else row for row in data.rows]
    if not with_validation:
        rows = [row for row in rows if row.split != "val"]
    recipe = chosen([tw.Phase(POOL)], [tiny()])
    recipe = replace(recipe, training=replace(recipe.training, hold_out=False))
    run = tw.train(replace(data, rows=tuple(rows)), recipe=recipe, out=tmp_path / "run")
    assert all(line.fold_loss is None for line in run.journal)
    assert run.results.accuracy.value > 0.8
    if not with_validation:
        assert [line.l2 for line in run.journal] == [None, solved_phase.USUAL]


def test_a_strength_of_zero_is_a_strength(data, tmp_path, capfd):
    run = tw.train(data, phases=[tw.Phase(POOL, l2=0.0)], backbones=[tiny()], out=tmp_path / "run")
    assert run.results.phases[-1].l2 == 0
    assert "kept the solution with l2 = 0 " in capfd.readouterr().err


def test_the_training_sample_has_pictures_of_every_class(data, tmp_path, monkeypatch):
    """Rows come class by class: the first of them would all be of one class."""
    monkeypatch.setattr(solved_phase, "SAMPLE", 6)
    seen = []
    monkeypatch.setattr(solved_phase, "scores", lambda labels, _: seen.append(labels) or {"loss": 0.0})
    tw.train(data, phases=[tw.Phase(POOL, l2=0.1)], backbones=[tiny()], out=tmp_path / "run")
    assert len(seen[0]) == 6 and len(set(seen[0])) > 1


def test_label_smoothing_binary_loss_and_views(data, tmp_path):
    two = data.without({row.content: "third class" for row in data.rows if row.label == "red"})
    recipe = chosen([tw.Phase(POOL)], [tiny()], views=2)
    recipe = replace(recipe, training=Training(loss="binary", label_smoothing=0.2, class_weight="balanced"))
    run = tw.train(two, recipe=recipe, out=tmp_path / "run")
    kernel, _ = run.folder.weights()["logits"]
    assert kernel.shape[1] == 1
    assert run.results.accuracy.value > 0.8
    said = run.model().predict(np.zeros((1, 32, 32, 3), np.uint8), verbose=0)
    assert said.shape == (1, 2)


def test_balanced_weights_give_each_class_the_same_total():
    labels = np.array([0, 0, 0, 2])
    for training in (Training(class_weight="balanced"), Training(sampling="balanced")):
        weights = row_weights(labels, training)
        assert weights[:3].sum() == pytest.approx(weights[3])
        assert weights.sum() == pytest.approx(4)
    assert row_weights(labels, Training()).tolist() == [1, 1, 1, 1]


def test_targets_are_those_of_keras():
    import keras

    labels, logits = np.array([0, 2]), np.array([[1.0, 0.0, 3.0], [0.0, 2.0, 1.0]], np.float32)
    usual = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3)
    smooth = smoothed(labels, 3, Training(label_smoothing=0.3))
    shares = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert float(usual(np.eye(3)[labels], logits)) == pytest.approx(-(smooth * shares).sum(1).mean(), abs=1e-5)


@pytest.mark.parametrize("views", [1, 3])
def test_refit_learns_from_the_validation_part_too(views, data, tmp_path):
    """The strength and law 7 are decided before; the validation score of the last line comes from folds."""
    usual = tw.train(data, phases=[tw.Phase(POOL)], backbones=[tiny()], views=views, out=tmp_path / "usual")
    again = tw.train(data, phases=[tw.Phase(POOL, refit=True)], backbones=[tiny()], views=views, out=tmp_path / "again")
    same = [(line.l2, line.fold_loss, line.val_loss) for line in usual.journal]
    assert [(line.l2, line.fold_loss, line.val_loss) for line in again.journal[:-1]] == same
    last = again.results.phases[-1]
    assert (last.l2, last.val_loss) == (usual.results.phases[-1].l2, None)
    assert last.fold_loss > 0
    assert any("(refit)" in note for note in again.results.notes)
    assert not any("(refit)" in note for note in usual.results.notes)
    before, after = (run.folder.weights()["logits"][0] for run in (usual, again))
    assert np.abs(before - after).max() > 1e-3
    own = again.evaluate("val").loss.value
    assert own < usual.evaluate("val").loss.value


def test_what_a_refit_learned_counts_as_learned(data, tmp_path):
    run = tw.train(data, phases=[tw.Phase(POOL, refit=True)], backbones=[tiny()], out=tmp_path / "run")
    val = replace(data, rows=tuple(replace(row, split="test") for row in data.part("val")))
    assert run.evaluate(val).trained_on == len(val.rows)
    plain = tw.train(data, phases=[tw.Phase(POOL)], backbones=[tiny()], out=tmp_path / "plain")
    assert plain.evaluate(val).trained_on == 0
    with pytest.raises(RunError, match="it learned its validation part as well"):
        tw.train(data, parent=run, phases=[tw.Phase(OPEN, epochs=1)], backbones=[tiny()], out=tmp_path / "child")


def test_refit_is_for_the_last_phase_and_only_where_the_head_is_solved():
    with pytest.raises(RecipeError, match="refit = true is for the last phase"):
        plan(tw.Phase(POOL, refit=True), tw.Phase(OPEN))
    with pytest.raises(RecipeError, match="refit = true is for a phase that is solved"):
        plan(tw.Phase(POOL, epochs=3, refit=True))


def test_a_phase_that_is_too_large_to_be_solved_is_iterated_and_the_recipe_says_so(data, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(solved_phase, "LARGEST", 1000)
    recipe = replace(chosen([tw.Phase(POOL)], [tiny()]), training=Training(seed=3))
    run = tw.train(data, recipe=recipe, out=tmp_path / "run")
    assert "phase 1: 36 x 64 activations (9.2 KB) are too many to be solved at once" in capfd.readouterr().err
    (phase,) = run.recipe.phases
    assert (phase.optimizer, phase.batch_size) == ("adam", 32)
    assert phase.iterated_by
    assert all(line.l2 is None for line in run.journal)


IMPORTS = """
import sys
from topwork.__main__ import run
status = run(sys.argv[1:])
heavy = {"keras", "tensorflow", "sklearn", "matplotlib", "openvino", "onnx", "onnxruntime", "jax", "torch"}
print(status, sorted(heavy & set(sys.modules)))
"""


def test_a_run_of_solved_heads_imports_neither_keras_nor_tensorflow(data, tmp_path):
    """The trunk runs in a process of its own; the head is solved and measured in NumPy."""
    words = ("train", data.root, *POOL_WORDS, "--set", 'data.draw="stratified"', "--out", tmp_path / "run")
    ran = subprocess.run([sys.executable, "-c", IMPORTS, *map(str, words)], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "0 []"
    assert (tmp_path / "run" / "predictions.csv").is_file()
    words = "evaluate", str(tmp_path / "run"), "--json"
    ran = subprocess.run([sys.executable, "-c", IMPORTS, *words], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "0 []"
    assert json.loads(ran.stdout.splitlines()[0])["pictures"] == 6


@pytest.mark.parametrize("moment", ["while the head is solved", "in the opened phase"])
def test_law_4_an_interrupted_run_ends_with_the_same_bits(moment, data, tmp_path, monkeypatch):
    rows = [replace(row, near=(data.rows[i - i % 3].content,)) for i, row in enumerate(data.rows)]
    data = replace(data, rows=tuple(rows))  # near-copies, of which three each stay in one fold
    phases = [tw.Phase(POOL, optimizer="lbfgs"), tw.Phase(OPEN, epochs=3, learning_rate=1e-3)]
    whole = tw.train(data, phases=phases, backbones=[tiny()], out=tmp_path / "whole")
    callbacks = []
    with monkeypatch.context() as patch:
        if moment == "in the opened phase":
            callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: interrupt() if epoch else None)]
        else:
            patch.setattr(solved_phase, "answers_by_folds", lambda *_: interrupt())
        with pytest.raises(KeyboardInterrupt):
            tw.train(data, phases=phases, backbones=[tiny()], out=tmp_path / "run", callbacks=callbacks)
    run = tw.Run(tmp_path / "run")
    assert not run.folder.is_finished
    run.resume()
    assert [replace(line, seconds=0) for line in run.journal] == [replace(line, seconds=0) for line in whole.journal]
    for name, arrays in whole.folder.weights().items():
        assert [a.tobytes() for a in arrays] == [a.tobytes() for a in run.folder.weights()[name]]


def interrupt():
    raise KeyboardInterrupt
