"""Training from start to end on small generated pictures: law 7, phases, repeatability, the files in a run folder."""

import csv
import inspect
import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

import topwork as tw
from tests import plots
from tests.conftest import make_folder
from tests.inference import outputs, uncalibrated
from tests.tiny import NAME, file, tiny
from topwork.data.readers import read_by
from topwork.data.reading.listing import write_csv
from topwork.errors import BackboneError, CutError, DatasetError, RecipeError, RunError, UsageError
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Data, Options
from topwork.runs.folder import Folder
from topwork.training.prepare import ARGUMENTS, chosen, completed, prepared

SMALL = tiny()


def train(pictures, out, *cuts, epochs=3, rate=1e-3, **options):
    phases = [tw.Phase(f"{NAME}@{cut}", epochs=epochs, learning_rate=rate) for cut in cuts or ("pool",)]
    data = tw.read(pictures, split=(0.6, 0.2, 0.2), draw="stratified")
    return tw.train(data, phases=options.pop("phases", phases), backbones=[SMALL], out=out, **options)


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    with plots.drawn():
        return train(pictures, tmp_path_factory.mktemp("runs") / "a", "pool", "block_14_add", epochs=4)


def test_it_learns(pictures, tmp_path):
    run = train(pictures, tmp_path / "run", "block_2_add..block_2_add", epochs=30, rate=0.03)
    assert run.results.accuracy.value > 0.8
    assert run.journal[-1].train_loss < run.journal[0].train_loss / 2


def test_the_folder_holds_all_of_it(run, pictures):
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        "recipe.toml",
        "pictures.csv",
        "environment.json",
        "pretrained.json",
        "journal.jsonl",
        "checkpoints",
        "weights",
        "results.json",
        "predictions.csv",
        "wrong.csv",
        "curves.png",
        "confusion.png",
        "predictions.png",
    }
    assert run.recipe.phases[1].cut == f"{NAME}@block_14_add"
    assert Folder(run.path).environment["data"] == str(pictures)
    with (run.path / "pictures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    for name in ("curves.png", "confusion.png", "predictions.png"):
        with Image.open(run.path / name) as plot:
            assert min(plot.size) > 300


def test_its_recipe_draws_the_parts_that_the_dataset_had(run, pictures):
    assert run.recipe.data == Data((0.6, 0.2, 0.2), "stratified")
    again = tw.read(pictures, split=run.recipe.data.split, draw=run.recipe.data.draw, seed=run.recipe.data.seed)
    assert again.rows == run.data.rows


@pytest.mark.full
def test_words_of_the_draw_that_the_data_leave_idle_are_told(pictures, tmp_path, capsys):
    write_csv(tw.read(pictures).seen_from(str(tmp_path)), tmp_path / "table.csv")
    recipe = Recipe((tw.Phase(f"{NAME}@pool", epochs=1),), Data(seed=3), {NAME: SMALL})
    run = tw.train(tmp_path / "table.csv", recipe=recipe, out=tmp_path / "run")
    told = "The data come with their own parts: data.split, data.draw and data.seed are not used."
    assert told in capsys.readouterr().err.splitlines()
    assert run.recipe.data == Data()


def test_the_journal_has_a_line_an_epoch(run):
    assert [(line.phase, line.epoch) for line in run.journal] == [(p, e) for p in (1, 2) for e in range(5)]
    for line in run.journal:
        scores = {f"{part}_{what}" for part in ("train", "val") for what in ("loss", "accuracy", "auc")}
        assert scores | {"seconds", "cut"} <= set(line.as_json())
        assert 0 <= line.val_auc <= 1
        assert (line.loss is not None) == (line.epoch > 0)


def test_a_phase_begins_with_the_best_weights_so_far(run):
    best = min(line.val_loss for line in run.journal if line.phase == 1)
    begun = next(line.val_loss for line in run.journal if line.phase == 2)
    assert begun == pytest.approx(best, rel=0.02)  # the same weights, on activations from another cut


def test_law_7_a_careless_rate_ends_no_worse_than_it_began(pictures, tmp_path):
    phases = [
        tw.Phase(f"{NAME}@pool", epochs=6),
        tw.Phase(f"{NAME}@block_14_add", epochs=3, learning_rate=3.0, optimizer="sgd"),
    ]
    with uncalibrated():
        run = train(pictures, tmp_path / "run", phases=phases)
    second = [line.val_loss for line in run.journal if line.phase == 2]
    assert max(x for x in second[1:] if x is not None) > 2 * second[0], (
        "the rate was not careless enough to test anything"
    )
    kept = run.evaluate("val").loss.value
    assert kept == pytest.approx(min(x for x in second if x is not None), rel=0.05)


def test_a_loss_that_is_no_number_stops_the_phase_and_keeps_the_best(pictures, tmp_path, capsys):
    phases = [tw.Phase(f"{NAME}@pool", epochs=30, learning_rate=1e30, optimizer="sgd")]
    run = train(pictures, tmp_path / "run", phases=phases)
    assert len(run.journal) < 31
    assert (
        "phase 1 stopped: its loss was not finite at learning rate 1e+30; the best weights are kept."
        in capsys.readouterr().err
    )
    assert np.isfinite(run.evaluate("val").loss.value)
    json.loads((run.path / "journal.jsonl").read_text().splitlines()[-1], parse_constant=pytest.fail)


@pytest.mark.full
def test_a_seed_repeats_a_run(pictures, tmp_path):
    runs = [train(pictures, tmp_path / name, "pool", "block_14_add", epochs=2, seed=5) for name in "ab"]
    first, second = (run.folder.weights() for run in runs)
    assert first.keys() == second.keys()
    for layer in first:
        for a, b in zip(first[layer], second[layer], strict=True):
            np.testing.assert_array_equal(a, b)
    strip = [[replace(line, seconds=0) for line in run.journal] for run in runs]
    assert strip[0] == strip[1]


@pytest.mark.full
def test_another_seed_is_another_run(pictures, tmp_path):
    runs = [train(pictures, tmp_path / str(seed), epochs=1, seed=seed) for seed in (1, 2)]
    assert runs[0].journal[1].loss != runs[1].journal[1].loss


def test_patience_stops(pictures, tmp_path):
    phases = [tw.Phase(f"{NAME}@pool", epochs=50, learning_rate=0.3, patience=2)]
    run = train(pictures, tmp_path / "run", phases=phases)
    losses = [line.val_loss for line in run.journal]
    assert len(losses) < 51
    assert len(losses) - 1 - int(np.argmin(losses)) == 2


@pytest.mark.full
@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
def test_batch_norm_of_the_backbone_is_frozen_unless_asked(tmp_path, batch_norm):
    """The data have no validation pictures, so that the run keeps the last weights, good or bad."""
    make_folder(tmp_path / "data" / "train", each=8)
    make_folder(tmp_path / "data" / "test", each=4, first=500)
    recipe = tw.Recipe.from_mapping(
        {
            "training": {"hold_out": False},
            "backbones": {NAME: {"model": file(), "size": 32}},
            "phase": [{"cut": f"{NAME}@block_14_add", "epochs": 2, "batch_norm": batch_norm}],
        }
    )
    kept = tw.train(tmp_path / "data", recipe=recipe, out=tmp_path / "run").folder.weights()
    pretrained = tw.halves(f"{NAME}@block_14_add", backbone=SMALL)[1]
    norms = [layer for layer in pretrained.layers if isinstance(layer, keras.layers.BatchNormalization)]
    moved = {not np.array_equal(layer.get_weights()[2], kept[layer.name][2]) for layer in norms}
    assert moved == {batch_norm == "train"}
    assert not np.allclose(kept["head_batch_norm"][2], 0)


def test_validation_is_held_out_of_training_where_there_is_none(tmp_path, capsys):
    make_folder(tmp_path / "data" / "train", each=20)
    make_folder(tmp_path / "data" / "test", each=4, first=500)
    run = train(tmp_path / "data", tmp_path / "run", epochs=1)
    counts = {part: len(run.data.part(part)) for part in ("train", "val", "test")}
    assert counts["test"] == 12
    assert counts["train"] + counts["val"] == 60
    assert counts["val"] > 0
    said = f"No validation part: {counts['val']} of 60 training pictures are held out for it."
    assert said in capsys.readouterr().err
    assert said in run.results.notes


def test_holding_out_may_be_forbidden(tmp_path, capsys):
    make_folder(tmp_path / "data" / "train", each=8)
    make_folder(tmp_path / "data" / "test", each=4, first=500)
    recipe = tw.Recipe.from_mapping(
        {
            "training": {"hold_out": False},
            "backbones": {NAME: {"model": file(), "size": 32}},
            "phase": [{"cut": f"{NAME}@pool", "epochs": 2}],
        }
    )
    run = tw.train(tmp_path / "data", recipe=recipe, out=tmp_path / "run")
    assert "holding one out is turned off: the last weights are used" in capsys.readouterr().err
    assert run.results.phases[0].epoch == 2
    assert not any(line.val_loss is not None for line in run.journal)


def test_your_own_callbacks_find_the_scores(pictures, tmp_path):
    log = tmp_path / "log.csv"
    seen = []
    spy = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))
    train(pictures, tmp_path / "run", epochs=2, callbacks=[keras.callbacks.CSVLogger(log), spy])
    assert {"loss", "val_loss", "val_accuracy", "val_auc", "train_loss", "train_accuracy"} <= set(seen[0])
    with log.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2


def test_the_model_is_flat_and_plain(run):
    model = run.model()
    assert type(model) is keras.Model or type(model).__name__ == "Functional"
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert (model.inputs[0].dtype, model.inputs[0].shape) == ("uint8", (None, 32, 32, 3))
    answers = outputs(model, np.zeros((2, 32, 32, 3), "uint8"))
    np.testing.assert_allclose(answers.sum(1), 1, rtol=1e-5)


def test_the_model_says_what_the_results_say(run):
    """The results describe the flat float32 model, which starts from the pictures."""
    from topwork.data.pictures import Fit, decode

    with (run.path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    fit = Fit((32, 32))
    pixels = np.stack([decode(run.data.root + "/" + row["path"], fit) for row in rows])
    answers = outputs(run.model(), pixels)
    assert answers.std(0).max() > 1e-3
    written = np.array([[float(row[label]) for label in run.data.classes] for row in rows])
    np.testing.assert_allclose(answers, written, atol=1e-4)


@pytest.mark.full
def test_mlp_heads_ends_and_several_tensors(pictures, tmp_path):
    ended = train(pictures, tmp_path / "ended", "block_3_expand..block_6_expand", epochs=1, head="mlp")
    assert not any(layer.name.startswith("block_7") for layer in ended.model().layers)
    assert [layer.name for layer in ended.model().layers][-6:] == [
        "head_avg_pool",
        "head_dense_1",
        "head_batch_norm",
        "head_dropout",
        "logits",
        "probabilities",
    ]


@pytest.mark.full
@pytest.mark.parametrize("place", [9, 28])
def test_a_frontier_of_several_tensors_is_trained_and_exported(pictures, tmp_path, place):
    run = train(pictures, tmp_path / "run", place, epochs=4, rate=0.01, head_first=False)
    trunk, top = tw.halves(f"{NAME}@{place}", backbone=SMALL)
    assert len(trunk.outputs) == len(top.inputs) == 2
    assert min(line.val_loss for line in run.journal[1:] if line.val_loss) < run.journal[0].val_loss
    kept, before = run.folder.weights(), {layer.name: layer.get_weights() for layer in top.layers}
    assert any((kept[name][0] != before[name][0]).any() for name in kept if before.get(name))
    guesses = run.export(tmp_path / "several.onnx")([f"{run.data.root}/{row.path}" for row in run.data.part("test")])
    assert len({guess.probability for guess in guesses}) > 1


@pytest.mark.full
def test_everything_may_be_trained(pictures, tmp_path):
    run = train(pictures, tmp_path / "run", "input", epochs=1)
    assert run.results.as_stored.dtype == "uint8"
    assert run.results.as_stored.largest_difference < 1e-5


def test_phases_must_move_towards_the_input(pictures, tmp_path):
    with pytest.raises(CutError) as error:
        train(pictures, tmp_path / "run", "block_12_add", "pool")
    assert str(error.value) == (
        f"phase 2 ({NAME}@pool) freezes what phase 1 ({NAME}@block_12_add) may have trained: "
        "cuts must move towards the input. Swap the two phases."
    )


def test_unknown_words_leave_no_folder(pictures, tmp_path):
    with pytest.raises(CutError, match="no place 'block_99_add' in tiny"):
        train(pictures, tmp_path / "run", "block_99_add")
    with pytest.raises(RecipeError) as error:
        train(pictures, tmp_path / "run", phases=[tw.Phase(f"{NAME}@pool", optimizer="adamm")])
    assert "no optimizer 'adamm'; did you mean 'adam'?" in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_recipe_is_checked_and_names_its_backbones_itself(pictures, tmp_path):
    phases = (tw.Phase("mobilenet_025@pool", epochs=1),)
    with pytest.raises(RecipeError) as error:
        tw.train(pictures, recipe=tw.Recipe(phases, training=tw.Training(label_smoothing=3)), out=tmp_path / "run")
    assert str(error.value) == "training.label_smoothing = 3: expected between 0 and 1."
    recipe = chosen(recipe=tw.Recipe(phases, training=tw.Training(label_smoothing=0.1)))
    assert recipe.backbones == {"mobilenet_025": tw.Backbone("mobilenet_025")}


def test_what_a_recipe_holds_comes_with_it_alone(pictures, tmp_path):
    recipe = tw.Recipe((tw.Phase(f"{NAME}@pool"),), backbones={NAME: SMALL})
    with pytest.raises(UsageError) as error:
        tw.train(pictures, recipe=recipe, head=keras.Sequential(), views=3, seed=0, out=tmp_path / "run")
    assert str(error.value) == "a recipe came together with head and views: set these in the recipe."


@pytest.mark.parametrize("phases", [tw.Phase("x@pool"), ["x@pool"]])
def test_phases_are_a_list_of_phases(pictures, tmp_path, phases):
    with pytest.raises(UsageError) as error:
        tw.train(pictures, phases=phases, out=tmp_path / "run")
    assert str(error.value) == (
        f"phases = {phases!r}: expected a list of topwork.Phase, as in [tw.Phase('mobilenet_v2@pool')]."
    )


def test_a_head_that_is_not_built(pictures, tmp_path):
    head = keras.Sequential([keras.layers.Dense(3)], name="mine")
    with pytest.raises(BackboneError) as error:
        train(pictures, tmp_path / "run", head=head)
    assert str(error.value) == (
        "the model 'mine' is not built: it has no input shape. Start it with keras.Input(shape)."
    )
    assert not (tmp_path / "run").exists()


def test_a_run_is_never_overwritten(run, pictures):
    before = {path.name: path.stat().st_mtime_ns for path in run.path.iterdir()}
    with pytest.raises(RunError) as error:
        train(pictures, run.path)
    assert str(error.value) == (
        f"{str(run.path)!r} exists already, and a run is never overwritten. Choose another out, or remove it."
    )
    assert {path.name: path.stat().st_mtime_ns for path in run.path.iterdir()} == before


def head_file(path, classes=3, activation=None):
    start = keras.Input((64,))
    keras.Model(start, keras.layers.Dense(classes, activation=activation)(start)).save(path)
    return str(path)


def test_a_head_of_your_own_is_named_by_its_file(pictures, tmp_path):
    run = train(pictures, tmp_path / "run", head=head_file(tmp_path / "mine.keras"), epochs=1)
    assert run.recipe.head.file == str(tmp_path / "run" / "head.keras")


def test_a_head_that_does_not_fit_is_refused_before_a_folder_is_made(pictures, tmp_path):
    file = head_file(tmp_path / "mine.keras", activation="softmax")
    with pytest.raises(BackboneError) as error:
        train(pictures, tmp_path / "run", head=file)
    assert str(error.value) == (f"the head {file!r} ends in a softmax: expected logits. Remove it; topwork adds one.")
    assert not (tmp_path / "run").exists()


def test_a_head_of_your_own_whose_last_layer_has_no_weights_starts_from_a_parent(pictures, tmp_path):
    start = keras.Input((64,))
    scaled = keras.layers.Rescaling(2.0, dtype="float32")(keras.layers.Dense(3)(start))
    keras.Model(start, scaled).save(tmp_path / "mine.keras")
    parent = train(pictures, tmp_path / "parent", head=str(tmp_path / "mine.keras"), epochs=1)
    child = tw.train(pictures, parent=parent, out=tmp_path / "run")
    assert child.journal[0].val_loss == pytest.approx(min(line.val_loss for line in parent.journal), rel=1e-4)


def test_a_head_of_your_own_takes_no_new_classes(pictures, tmp_path):
    parent = train(pictures, tmp_path / "parent", head=head_file(tmp_path / "mine.keras"), epochs=1)
    make_folder(tmp_path / "more", each=8, first=70_000)
    (tmp_path / "more" / "red").rename(tmp_path / "more" / "pink")
    with pytest.raises(RunError) as error:
        tw.train(tmp_path / "more", parent=parent, out=tmp_path / "run")
    assert str(error.value) == (
        f"cannot start from {str(parent.path)!r}: its head is a file for other classes than those of the data. "
        "Only topwork's own heads take new classes: train without parent."
    )


def test_the_recipe_of_a_run_has_how_its_data_were_read(tmp_path):
    folder = make_folder(tmp_path / "data" / "fit", each=6)
    make_folder(tmp_path / "data" / "more", each=1, first=900)
    data = tw.read(folder.parent, parts={"train": "fit"}, near_copies="ignore", max_megapixels=12.0)
    recipe = completed(chosen([tw.Phase(f"{NAME}@pool")], [SMALL]), head_first=False)
    run = prepared(data, recipe, None, Options(tmp_path / "run")).folder
    assert run.recipe.data == Data(draw="stratified", parts={"train": "fit"}, near_copies="ignore", max_megapixels=12.0)
    again = read_by(folder.parent, run.recipe.data)
    assert [(row.path, row.split) for row in again.rows] == [(row.path, row.split) for row in run.data().rows]


def test_a_class_that_never_trains(tmp_path):
    make_folder(tmp_path / "data" / "train", each=6)
    make_folder(tmp_path / "data" / "test", each=6, first=500)
    for path in (tmp_path / "data" / "train" / "red").iterdir():
        path.unlink()
    (tmp_path / "data" / "train" / "red").rmdir()
    data = tw.read(tmp_path / "data", parts={"train": "train", "test": "test"})
    with pytest.raises(DatasetError, match="no training picture of 'red': a class must occur in the training part"):
        tw.train(data, phases=[tw.Phase(f"{NAME}@pool")], backbones=[SMALL], out=tmp_path / "run")


def test_evaluate_other_pictures(run, tmp_path):
    scores = run.evaluate(make_folder(tmp_path / "more", each=5))
    assert (scores.part, scores.pictures) == ("data", 15)
    assert scores.accuracy.low <= scores.accuracy.value <= scores.accuracy.high


def small_network():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Rescaling(1 / 127.5, -1.0),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="low"),
            keras.layers.Conv2D(12, 3, strides=2, activation="relu", name="high"),
        ]
    )


@pytest.mark.full
@pytest.mark.parametrize("form", ["model", "h5"])
def test_a_network_of_your_own(pictures, tmp_path, form):
    """All other tests in this file train on a ``.keras`` file."""
    network = small_network()
    path = tmp_path / f"mine.{form}"
    if form != "model":
        network.save(path)
    mine = tw.Backbone("mine", model=network if form == "model" else str(path), size=32)
    phases = [tw.Phase("mine@pool", epochs=2), tw.Phase("mine@low", epochs=20, learning_rate=1e-2, patience=0)]
    data = tw.read(pictures, split=(0.6, 0.2, 0.2), draw="stratified")
    run = tw.train(data, phases=phases, backbones=[mine], out=tmp_path / "run")
    assert run.journal[-1].train_loss < run.journal[0].train_loss / 2
    assert {layer.name for layer in run.model().layers} >= {"low", "high", "logits"}
    if form == "model":
        run.export(tmp_path / "mine.onnx")


@pytest.mark.full
def test_a_cut_that_opens_the_network_has_the_head_trained_first(pictures, tmp_path, capsys):
    """This applies to phases that the user gives, but not to the recipe that a run keeps, which runs unchanged."""
    phases = [tw.Phase("tiny@block_7_expand", epochs=1, batch_size=8)]
    run = tw.train(pictures, phases=phases, backbones=[tiny()], out=tmp_path / "run")
    first, second = run.recipe.phases
    assert first == tw.Phase("tiny@pool", optimizer="lbfgs")
    assert (second.cut, second.epochs, second.learning_rate, second.batch_size) == ("tiny@block_7_expand", 1, 3e-4, 8)
    assert [line.phase for line in run.results.phases] == [1, 2]
    capsys.readouterr()
    alone = tw.train(pictures, phases=phases, backbones=[tiny()], head_first=False, out=tmp_path / "alone")
    again = tw.train(pictures, recipe=alone.recipe, out=tmp_path / "again")
    child = tw.train(pictures, parent=alone, phases=phases, backbones=[tiny()], out=tmp_path / "child")
    assert [one.recipe.phases for one in (alone, again, child)] == [(second,)] * 3
    assert "trains the head alone" not in capsys.readouterr().err


@pytest.mark.full
def test_a_result_at_chance_is_named(pictures, tmp_path, capsys):
    phases = [tw.Phase("tiny@pool", epochs=1, learning_rate=1e-30)]
    run = tw.train(pictures, phases=phases, backbones=[tiny()], out=tmp_path / "run")
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "no better than always answering" in line]
    assert told in run.results.notes
    assert told in run.evaluate("test").notes


@pytest.mark.parametrize("call", [tw.train, lambda data, *args, **named: tw.cross_validate(data, 5, *args, **named)])
@pytest.mark.parametrize(
    ("named", "where"),
    [
        ({"cut": "vgg16@pool", "epochs": 5}, "a phase: phases=[tw.Phase(cut='vgg16@pool', epochs=5)]"),
        ({"l2": 1.0}, "a phase: phases=[tw.Phase(cut='efficientnet_lite0@pool', l2=1.0)]"),
        ({"size": 64}, "a backbone: backbones=[tw.Backbone(name='efficientnet_lite0', size=64)]"),
        ({"draw": "hash"}, "the data: tw.read(data, draw='hash')"),
    ],
)
def test_an_argument_that_train_lacks_gets_its_place(call, named, where):
    name, value = next(iter(named.items()))
    with pytest.raises(UsageError) as error:
        call("flowers/", **named)
    assert str(error.value) == f"there is no argument {name!r} (= {value!r}). It belongs in {where}."


def test_an_argument_without_a_name_gets_one():
    with pytest.raises(UsageError) as error:
        tw.train("flowers/", "vgg16@pool")
    assert str(error.value) == (
        "an argument has no name: 'vgg16@pool'. It belongs in a phase: phases=[tw.Phase(cut='vgg16@pool')]."
    )
    with pytest.raises(UsageError, match="an argument has no name: 3"):
        tw.train("flowers/", 3)


def test_a_slip_in_a_name_gets_the_name():
    with pytest.raises(UsageError, match=r"there is no argument 'sed' \(= 1\).* did you mean 'seed'\?"):
        tw.train("flowers/", sed=1)


def test_the_names_that_the_error_lists_are_those_of_train():
    known = inspect.signature(tw.train).parameters
    assert set(ARGUMENTS) == known.keys() - {"data", "unnamed", "others"}
