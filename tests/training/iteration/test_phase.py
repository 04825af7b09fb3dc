"""Phases: losses, live and stored views, precision, a head of your own."""

import json
import shutil

import keras
import numpy as np
import pytest

import topwork as tw
from tests.conftest import make_folder
from tests.inference import before, outputs
from tests.tiny import NAME, file
from topwork.data.pictures import Fit, decode
from topwork.errors import RecipeError
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone, Views
from topwork.training.iteration import phase
from topwork.training.iteration.batches import Feed

END = f"{NAME}@block_2_add..block_2_add"
DEEP = f"{NAME}@block_1_project..block_2_add"
SMALL = {"model": file(), "size": 32, "precision": "float32"}


def train(data, out, *phases, callbacks=(), **parts):
    phases = [{"epochs": 3, "learning_rate": 0.03, **one} for one in phases]
    table = {"phase": phases, "backbones": {NAME: SMALL}, **parts}
    return tw.train(data, recipe=Recipe.from_mapping(table), out=out, callbacks=callbacks)


def read(path):
    return tw.read(path, split=(0.6, 0.2, 0.2), draw="stratified")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Make 45 pictures that no other test has stored."""
    return make_folder(tmp_path_factory.mktemp("phases") / "colours", each=15, first=60_000)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Make pictures of only two classes, blue and red."""
    path = make_folder(tmp_path_factory.mktemp("two") / "colours", each=15, first=61_000)
    shutil.rmtree(path / "green")
    return path


@pytest.fixture(scope="module")
def binary(two, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "binary"
    return train(read(two), out, {"cut": END, "epochs": 8}, training={"loss": "binary"})


def answers(run, part):
    rows = run.data.part(part)
    pixels = np.stack([decode(f"{run.data.root}/{row.path}", Fit((32, 32))) for row in rows])
    labels = np.array([run.data.classes.index(row.label) for row in rows])
    return outputs(run.model(), pixels), labels


def test_a_binary_loss_trains_one_logit(binary):
    assert binary.folder.weights()["logits"][0].shape[1] == 1
    assert min(line.val_loss for line in binary.journal) < 0.9 * binary.journal[0].val_loss
    assert binary.journal[0].val_loss == pytest.approx(np.log(2))


def test_the_whole_model_of_a_binary_loss_gives_two_probabilities_that_agree_with_training(binary):
    probabilities, labels = answers(binary, "val")
    assert probabilities.shape == (len(labels), 2)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    best = min(binary.journal, key=lambda line: line.val_loss)
    loss = -np.log(before(probabilities, binary.results.temperature)[np.arange(len(labels)), labels]).mean()
    assert loss == pytest.approx(best.val_loss, rel=0.02)  # training saw float16 activations
    assert (probabilities.argmax(1) == labels).mean() == best.val_accuracy


def test_a_binary_model_is_exported(binary, tmp_path):
    predictor = binary.export(tmp_path / "two.onnx")
    row = binary.data.part("test")[0]
    (guess,) = predictor([f"{binary.data.root}/{row.path}"])
    assert list(guess.probabilities) == ["blue", "red"]
    assert sum(guess.probabilities.values()) == pytest.approx(1)


def test_a_binary_loss_of_three_classes(pictures, tmp_path):
    with pytest.raises(RecipeError) as error:
        train(pictures, tmp_path / "run", {"cut": END}, training={"loss": "binary"})
    assert str(error.value) == ("training.loss = 'binary' is for two classes, and the data has 3: use 'categorical'.")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("loss", "targets", "logits"), [("categorical", [[1, 0]], [[3, 0]]), ("binary", [[0]], [[-3]])]
)
def test_label_smoothing_is_keras_own(loss, targets, logits):
    def value(smoothing):
        table = {"phase": [{"cut": END}], "training": {"loss": loss, "label_smoothing": smoothing}}
        found = phase._loss(Recipe.from_mapping(table))
        return float(found(np.array(targets, "float32"), np.array(logits, "float32")))

    right, wrong = np.log1p(np.exp(-3)), np.log1p(np.exp(3))
    assert value(0.0) == pytest.approx(right, rel=1e-5)
    assert value(0.2) == pytest.approx(0.9 * right + 0.1 * wrong, rel=1e-5)


def test_a_rate_that_makes_nothing_better_is_named(pictures, tmp_path, capsys):
    train(read(pictures), tmp_path / "run", {"cut": END, "epochs": 2, "learning_rate": 1e-30})
    said = capsys.readouterr().err.splitlines()
    assert "phase 1 did not improve in 2 epochs: try a lower learning rate than 1e-30." in said


def test_a_loss_that_is_no_number_in_a_later_phase(pictures, tmp_path, capsys):
    bad = {"cut": DEEP, "learning_rate": 1e30, "epochs": 9, "optimizer": "sgd", "schedule": "constant"}
    run = train(read(pictures), tmp_path / "run", {"cut": END}, bad)
    said = "phase 2 stopped: its loss was not finite at learning rate 1e+30; the best weights are kept."
    assert said in capsys.readouterr().err.splitlines()
    second = [line for line in run.journal if line.phase == 2]
    assert len(second) == 2 and not second[1].is_finite
    probabilities, labels = answers(run, "val")
    loss = -np.log(before(probabilities, run.results.temperature)[np.arange(len(labels)), labels]).mean()
    assert loss == pytest.approx(second[0].val_loss, rel=0.02)


@pytest.fixture(scope="module")
def live(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "live"
    views = {"count": 2, "mode": "live", "rotation": 90.0, "brightness": 0.4}
    first = {"cut": END, "epochs": 3, "batch_size": 8}
    return train(read(pictures), out, first, {**first, "cut": DEEP, "learning_rate": 1e-3, "epochs": 1}, views=views)


def test_live_phases_train_on_pixels(live):
    assert [(line.phase, line.epoch) for line in live.journal] == [(1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1)]
    assert live.journal[3].loss < live.journal[0].val_loss
    assert live.results.phases[0].cut == END


def test_live_validation_is_not_augmented(live):
    probabilities, labels = answers(live, "val")
    loss = -np.log(before(probabilities, live.results.temperature)[np.arange(len(labels)), labels]).mean()
    assert loss == pytest.approx(min(line.val_loss for line in live.journal), rel=1e-3)
    ended = min(line.val_loss for line in live.journal if line.phase == 1)
    assert live.journal[4].val_loss == pytest.approx(ended, rel=1e-4)


def test_the_whole_model_of_a_live_run_draws_nothing(live):
    model = live.model()
    assert not [layer.name for layer in model.layers if layer.name.startswith("views_")]
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(model(pixels), model(pixels))


class Shows(keras.callbacks.Callback):
    """Records the learning rate of each epoch, and the dtypes of the computation and of the weights."""

    def __init__(self):
        super().__init__()
        self.rates, self.computes, self.weights = [], set(), set()

    def on_epoch_end(self, epoch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))
        self.computes |= {layer.compute_dtype for layer in self.model.layers if layer.weights}
        self.weights |= {str(weight.dtype) for weight in self.model.weights if "seed" not in weight.path}


def test_stored_views_are_all_used_and_an_epoch_mixes_them(pictures, tmp_path, monkeypatch):
    taken, order_of = [], Feed.order_of

    def noted(self, epoch):
        rows, places = order_of(self, epoch)
        taken.append((places - rows) // len(self.part))
        return rows, places

    monkeypatch.setattr(Feed, "order_of", noted)
    run = train(read(pictures), tmp_path / "run", {"cut": END, "patience": 0, "batch_size": 9}, views={"count": 3})
    assert len(run.journal) == 4
    epochs = np.concatenate(taken)[: 3 * 27].reshape(3, 27)
    assert all(set(epoch) == {0, 1, 2} for epoch in epochs)
    assert (epochs[0] != epochs[1]).any()


def test_a_plateau_lowers_the_rate(pictures, tmp_path):
    shows = Shows()
    stuck = {"cut": END, "epochs": 5, "learning_rate": 30.0, "schedule": "plateau", "patience": 4}
    run = train(read(pictures), tmp_path / "run", stuck, callbacks=[shows])
    rates, rate, best, waited = [], 30.0, np.inf, 0
    for line in run.journal[1:]:
        best, waited = (line.val_loss, 0) if line.val_loss < best else (best, waited + 1)
        if waited == 2:
            rate, waited = rate / 10, 0
        rates.append(rate)
    assert rates[-1] < 30
    assert shows.rates == pytest.approx(rates)


def test_bfloat16_is_of_the_training_alone(pictures, tmp_path):
    shows = Shows()
    first = {"cut": END, "epochs": 1, "precision": "float32"}
    run = train(
        read(pictures), tmp_path / "run", first, {**first, "cut": DEEP, "precision": "bfloat16"}, callbacks=[shows]
    )
    assert [line.precision for line in run.journal] == ["float32"] * 2 + ["bfloat16"] * 2
    assert shows.computes == {"float32", "bfloat16"}
    assert shows.weights == {"float32"}
    assert {array.dtype.name for arrays in run.folder.weights().values() for array in arrays} == {"float32"}
    model = run.model()
    assert {layer.compute_dtype for layer in model.layers if layer.weights} == {"float32"}
    assert {layer.dtype_policy.name for layer in model.layers} <= {"float32", "uint8"}


def test_a_phase_in_float16_scales_its_loss(pictures, tmp_path):
    kinds = []
    shows = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: kinds.append(type(shows.model.optimizer)))
    words = {"cut": END, "precision": "float16", "schedule": "plateau", "epochs": 2}
    run = train(read(pictures), tmp_path / "run", words, callbacks=[shows])
    assert kinds == [keras.optimizers.LossScaleOptimizer] * 2
    assert run.journal[-1].precision == "float16"
    assert min(line.val_loss for line in run.journal[1:]) < run.journal[0].val_loss


def test_a_head_of_your_own(pictures, tmp_path):
    start = keras.Input((16, 16, 8))
    x = keras.layers.GlobalMaxPooling2D(name="most")(start)
    x = keras.layers.Dense(6, "relu", name="few")(x)
    file = tmp_path / "mine.keras"
    keras.Model(start, keras.layers.Dense(3, name="classes")(x)).save(file)
    run = train(read(pictures), tmp_path / "run", {"cut": END, "patience": 0}, head={"file": str(file)})
    before = keras.saving.load_model(file).get_layer("few").get_weights()[0]
    file.unlink()
    assert (run.path / "head.keras").is_file()
    assert run.recipe.head.file == str(run.path / "head.keras")
    kept = tw.Run(run.path)
    trained = kept.folder.weights()["head_few"][0]
    assert (trained != before).any()
    model = kept.model()
    np.testing.assert_array_equal(model.get_layer("head_few").get_weights()[0], trained)
    assert {"head_most", "head_few", "head_classes"} <= {layer.name for layer in model.layers}
    probabilities, _ = answers(kept, "test")
    assert probabilities.std(0).max() > 1e-3


@pytest.mark.full
def test_a_head_given_as_a_model(pictures, tmp_path):
    head = keras.Sequential([keras.Input((16, 16, 8)), keras.layers.Flatten(), keras.layers.Dense(3)])
    phases, backbones = [tw.Phase(END, epochs=1)], [Backbone(NAME, **SMALL)]
    run = tw.train(read(pictures), phases=phases, backbones=backbones, head=head, views=Views(), out=tmp_path / "run")
    assert json.loads(json.dumps(run.recipe.as_mapping()["head"]))["file"] == str(run.path / "head.keras")
    assert run.model().output_shape == (None, 3)
