"""A run that starts from a finished run: what it takes over, what it computes again, and what it refuses."""

import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

import topwork as tw
from tests.command import topwork
from tests.conftest import make_folder
from tests.inference import uncalibrated
from tests.tiny import NAME, tiny
from topwork.errors import CutError, RunError
from topwork.networks.model import create
from topwork.networks.places import graph_of
from topwork.recipes.settings import Head, Options, Training
from topwork.runs.folder import Folder
from topwork.store.plan import steps
from topwork.training import warm_start
from topwork.training.prepare import prepared

SMALL = tiny()
END = "block_2_add..block_2_add"
CUT, DEEPER = f"{NAME}@{END}", f"{NAME}@block_1_project..block_2_add"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Make 45 pictures that no other test has stored."""
    return make_folder(tmp_path_factory.mktemp("inherit") / "colours", each=15, first=30_000)


@pytest.fixture(scope="module", autouse=True)
def journaled():
    """Losses are compared with those in journals."""
    with uncalibrated():
        yield


@pytest.fixture(scope="module")
def parent(pictures, tmp_path_factory):
    data = tw.read(pictures, split=(0.6, 0.2, 0.2), draw="stratified")
    phases = [tw.Phase(CUT, epochs=6, learning_rate=0.03)]
    run = tw.train(data, phases=phases, backbones=[SMALL], out=tmp_path_factory.mktemp("runs") / "parent")
    assert run.journal[0].val_loss > min(line.val_loss for line in run.journal) + 0.1
    return run


def best(run):
    return min(run.journal, key=lambda line: line.val_loss)


@pytest.fixture(scope="module")
def more(pictures, tmp_path_factory):
    """Copy the pictures, and add 4 of each colour and a class that the parent does not know."""
    path = tmp_path_factory.mktemp("more") / "colours"
    shutil.copytree(pictures, path)
    make_folder(path.parent / "others", each=4, first=31_000)
    for picture in (path.parent / "others").glob("*/*.png"):
        shutil.copy(picture, path / picture.parent.name / f"new-{picture.name}")
    make_folder(path.parent / "violet", each=7, first=32_000)
    (path.parent / "violet" / "red").rename(path / "violet")
    return path


@pytest.fixture(scope="module")
def child(more, parent, tmp_path_factory):
    """Train a run on these pictures, with parts from another seed; return the run and what the command printed."""
    out = tmp_path_factory.mktemp("runs") / "child"
    words = ("--epochs", 1, "--set", "data.seed=5", "--set", 'data.draw="stratified"')
    ran = topwork("train", more, "--from", parent.path, *words, "--out", out)
    assert ran.status == 0, ran.err
    return tw.Run(out), ran


def test_it_names_its_parent(child, parent):
    assert child[0].folder.environment["parent"] == str(parent.path.resolve())
    assert child[0].folder.parent.path == parent.path.resolve()
    assert parent.folder.environment["parent"] is None


def test_it_says_what_it_starts_from_and_which_classes_are_new(child, parent):
    told = f"Started from the weights of {str(parent.path)!r}; new: 'violet'."
    assert told in child[1].err.splitlines()


def test_it_has_the_parents_last_phase(child, parent):
    assert [phase.cut for phase in child[0].recipe.phases] == [CUT]
    assert child[0].recipe.phases == (replace(parent.recipe.phases[-1], epochs=1),)


def test_the_trunk_is_paid_for_new_pictures_alone(child):
    paid = [line for line in child[1].err.splitlines() if " to compute" in line]
    assert paid[0].startswith(f"{CUT}: 19 of 64 pictures to compute")


def test_pictures_that_the_parent_knew_keep_their_parts(child, parent):
    had = {row.content: row.split for row in parent.data.rows}
    have = {row.content: row.split for row in child[0].data.rows}
    assert len(had) == 45 and len(have) == 64
    assert {content: have[content] for content in had} == had
    assert "64 pictures stay in the part that they had in the parent run." in child[1].err


def test_another_seed_alone_would_have_moved_them(more, parent):
    had = {row.content: row.split for row in parent.data.rows}
    drawn = tw.read(more, draw="stratified", seed=5)
    assert any(had.get(row.content, row.split) != row.split for row in drawn.rows)


def test_a_copy_that_comes_later_takes_the_part_of_its_original(pictures, parent, tmp_path):
    had = {row.path: row.split for row in parent.data.rows}
    for path in had:
        again = tmp_path / "again" / path
        again.parent.mkdir(parents=True, exist_ok=True)
        Image.open(pictures / path).resize((96, 96)).save(again)
    for word, is_kept in (("together", True), ("ignore", False)):
        drawn = tw.read(tmp_path / "again", draw="stratified", seed=5, near_copies=word)
        recipe = warm_start.recipe(parent.folder)
        course = prepared(drawn, recipe, parent.folder, Options(tmp_path / word))
        assert ({row.path: row.split for row in course.data.rows} == had) is is_kept
        assert course.recipe.data.near_copies == word


def start(parent, classes):
    """Return the weights with which a child on these classes starts: the logits' layer by class, and the rest."""
    recipe = warm_start.recipe(parent.folder)
    graph_of(recipe.backbones[NAME])
    network = create(recipe, steps(recipe)[-1].trunks(), len(classes))
    warm_start.load(network, parent.folder, classes)
    kernel, bias = network.values()["logits"]
    assert kernel.shape[1] == len(classes)
    rest = {name: arrays for name, arrays in network.values().items() if name != "logits"}
    return {label: (*kernel[:, i], bias[i]) for i, label in enumerate(classes)}, rest


@pytest.mark.parametrize(
    "classes",
    [("blue", "green", "red"), ("amber", "blue", "green", "red", "violet"), ("green", "red"), ("amber", "red")],
)
def test_logits_of_classes_that_stay_are_the_parents(parent, classes):
    found, rest = start(parent, classes)
    had, rest_had = start(parent, parent.data.classes)
    assert {label: value for label, value in found.items() if label in had} == {
        label: value for label, value in had.items() if label in found
    }
    assert all(np.count_nonzero(had[label]) for label in had)
    assert not any(np.count_nonzero(value) for label, value in found.items() if label not in had)
    for name, arrays in rest_had.items():
        for a, b in zip(arrays, rest[name], strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_further_phase_begins_where_the_parent_ended(pictures, parent, tmp_path):
    phases = [tw.Phase(DEEPER, epochs=1, learning_rate=1e-4)]
    run = tw.train(pictures, parent=parent.path, phases=phases, backbones=[SMALL], out=tmp_path / "run")
    first, ended = run.journal[0], best(parent)
    assert (first.phase, first.epoch, first.cut) == (1, 0, DEEPER)
    assert first.val_accuracy == ended.val_accuracy
    assert first.val_loss == pytest.approx(ended.val_loss, rel=0.02)  # on activations from another cut
    assert best(run).val_loss <= first.val_loss
    trained = run.folder.weights().keys() - parent.folder.weights().keys()
    assert "block_2_project" in trained


def test_a_class_may_go(pictures, parent, tmp_path, capsys):
    shutil.copytree(pictures, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "green")
    run = tw.train(tmp_path / "data", parent=parent, recipe=brief(parent), out=tmp_path / "run")
    assert run.data.classes == ("blue", "red")
    assert run.journal[0].val_accuracy >= best(parent).val_accuracy
    assert "trunk:" not in capsys.readouterr().err


def brief(parent, **changes):
    recipe = warm_start.recipe(parent.folder)
    return replace(recipe, phases=(replace(recipe.phases[0], epochs=1),), **changes)


def refused(kind, pictures, out, **options):
    with pytest.raises(kind) as error:
        tw.train(pictures, out=out, **options)
    assert not out.exists()
    return str(error.value)


def test_a_parent_that_has_not_finished(pictures, parent, tmp_path):
    shutil.copytree(parent.path, tmp_path / "cut")
    (tmp_path / "cut" / "results.json").unlink()
    assert refused(RunError, pictures, tmp_path / "run", parent=tmp_path / "cut") == (
        f"the run {str(tmp_path / 'cut')!r} has not finished: resume it first."
    )
    assert topwork("train", pictures, "--from", tmp_path / "cut", "--out", tmp_path / "run").status == 1


def test_a_parent_that_is_no_run(pictures, tmp_path):
    assert refused(RunError, pictures, tmp_path / "run", parent=pictures) == (
        f"{str(pictures)!r} is not a run folder: expected recipe.toml and environment.json in it."
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"head": Head("mlp", units=(4,))},
            "head.kind ('linear' there, 'mlp' here), head.units ((256,) there, (4,) here)",
        ),
        ({"training": Training(loss="binary")}, "training.loss ('categorical' there, 'binary' here)"),
        ({"backbones": {NAME: replace(SMALL, fit="crop")}}, f"backbones.{NAME}.fit ('squash' there, 'crop' here)"),
        (
            {"phases": (tw.Phase(f"{NAME}@block_1_project..block_1_project"),)},
            f"where the cut ends ({NAME}..block_2_add there, {NAME}..block_1_project here)",
        ),
    ],
    ids=["head", "loss", "backbone", "end"],
)
def test_what_must_be_the_parents(pictures, parent, tmp_path, changes, told):
    recipe = replace(warm_start.recipe(parent.folder), **changes)
    assert refused(RunError, pictures, tmp_path / "run", parent=parent, recipe=recipe) == (
        f"cannot start from {str(parent.path)!r}, which differs in {told}. "
        "Set it as in that run, or train without parent."
    )


def test_a_cut_that_freezes_what_the_parent_trained(pictures, parent, tmp_path):
    out = tmp_path / "deep"
    run = tw.train(pictures, parent=parent, phases=[tw.Phase(DEEPER, epochs=1)], backbones=[SMALL], out=out)
    assert refused(CutError, pictures, tmp_path / "run", parent=run, phases=[tw.Phase(CUT)], backbones=[SMALL]) == (
        f"'{CUT}' freezes what the parent run trained ('{DEEPER}'): cut there, or nearer to the input."
    )


def test_a_parent_beside_resume(parent):
    ran = topwork("train", "--resume", parent.path, "--from", parent.path)
    assert (ran.status, ran.err.splitlines()[-1]) == (
        2,
        "UsageError: --resume uses the recipe and the data of that run: omit the other arguments.",
    )


def test_the_parent_stays_as_it_is(child, parent):
    assert Folder(parent.path).journal.epochs() == parent.journal
    assert len(parent.journal) == 7


@pytest.mark.full
def test_a_child_goes_on_without_its_parent(pictures, parent, tmp_path):
    """A child's checkpoint holds all weights from the parent, also those that only the second phase opens."""

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    def train(out, start, phases, **options):
        return tw.train(parent.data, phases=phases, backbones=[SMALL], parent=start, out=out, **options)

    opened = tw.Phase(DEEPER, epochs=2, learning_rate=0.01, patience=0)
    first = train(tmp_path / "first", parent, [opened])
    assert best(first).epoch > 0, "nothing of the network was trained"
    phases = [tw.Phase(CUT, epochs=4, learning_rate=1e-3, patience=0), opened]
    whole = train(tmp_path / "whole", first, phases)
    shutil.copytree(first.path, tmp_path / "parent")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", tmp_path / "parent", phases, callbacks=[Stop()])
    shutil.rmtree(tmp_path / "parent")
    stopped = tw.Run(tmp_path / "stopped").resume()
    for name, arrays in whole.folder.weights().items():
        for a, b in zip(arrays, stopped.folder.weights()[name], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def test_a_head_that_is_solved_starts_from_the_parents_head_without_keras(pictures, parent, tmp_path, monkeypatch):
    monkeypatch.setattr("topwork.training.trainer.begun", lambda *_: pytest.fail("a network was built"))
    phases, backbones = [tw.Phase(CUT, l2=1e9)], [*parent.recipe.backbones.values()]
    run = tw.train(pictures, parent=parent, phases=phases, backbones=backbones, out=tmp_path / "run")
    kept = [line for line in run.journal if line.kept]
    assert [line.l2 for line in kept] == [None], "the solution is better than the parent's head"
    assert kept[0].val_loss == pytest.approx(best(parent).val_loss, rel=1e-5)
    for a, b in zip(run.folder.weights()["logits"], parent.folder.weights()["logits"], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "phase",
    [tw.Phase(CUT, l2=1e6), tw.Phase(CUT, epochs=2, learning_rate=300.0, optimizer="sgd", schedule="constant")],
    ids=["solved", "iterated"],
)
def test_the_parents_weights_are_not_kept_if_a_class_is_new(more, parent, tmp_path, phase):
    """They can never answer the class, but a validation part without it cannot show that."""
    drawn = tw.read(more, draw="stratified")
    rows = [replace(row, split="train") if row.split == "val" and row.label == "violet" else row for row in drawn.rows]
    data = tw.Dataset(drawn.root, tuple(rows))
    backbones = [*parent.recipe.backbones.values()]
    run = tw.train(data, parent=parent, phases=[phase], backbones=backbones, out=tmp_path / "run")
    start, *later = run.journal
    kept = [line for line in later if line.kept]
    assert kept and min(line.val_loss for line in kept) > start.val_loss
    assert np.count_nonzero(run.folder.weights()["logits"][0][:, run.data.classes.index("violet")])
