"""What holds on every Keras backend: laws 1 to 3 and 7, a short training, its export, and a resumed run.

The other tests run on TensorFlow. These run on the backend that ``KERAS_BACKEND`` names: ``make test-backends`` takes
JAX and torch. On TensorFlow they belong to the full suite, because other tests check the same there.
"""

import csv
import json
from importlib.util import find_spec

import keras
import numpy as np
import pytest

import topwork as tw
from tests.conftest import make_folder
from tests.exports import write_onnx
from tests.inference import uncalibrated
from tests.tiny import NAME, tiny
from topwork.data.pictures import Fit, decode
from topwork.errors import ExportError, MissingExtra, RunError
from topwork.networks.halves import top, trunk
from topwork.networks.keras_graph import open_backbone
from topwork.networks.weights import pretrained
from topwork.runs.checkpoints import Checkpoints
from topwork.runs.folder import Folder
from topwork.runs.resume import repeats
from topwork.system import gpu, keras_backend

pytestmark = [pytest.mark.full] if keras.config.backend() == "tensorflow" else []
END = "block_2_add"
"""Where the backbone ends: at deeper layers, random networks are chaotic at 32 pixels."""
LAW_4 = "law 4 holds with TensorFlow on a CPU alone: with {} the weights may differ in some bits."


def pixels(count, side=32):
    draw = np.random.default_rng(1)
    patches = draw.integers(0, 200, (count, 4, 4, 3)).repeat(side // 4, 1).repeat(side // 4, 2)
    return (patches + draw.integers(0, 56, patches.shape)).astype("uint8")


def values(tensors):
    found = [keras.ops.convert_to_numpy(t) for t in (tensors if isinstance(tensors, list) else [tensors])]
    assert max(a.std(axis=0).max() / np.abs(a).max() for a in found) > 1e-2, "nothing differs between pictures"
    return found


def test_the_backend_is_the_one_that_was_asked_for():
    assert keras_backend.name() == keras.config.backend()


def test_exactly_computed_products_are_float32():
    draw = np.random.default_rng(0)
    x, kernel = (draw.normal(size=size).astype("float32") for size in ((8, 32, 32, 64), (3, 3, 64, 64)))
    with gpu.exact():
        found = values(keras.ops.conv(x, kernel, padding="same"))[0]
    expected = sum(
        np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))[:, i : i + 32, j : j + 32].astype(float) @ kernel[i, j]
        for i in range(3)
        for j in range(3)
    )
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_it_is_known_before_keras_is_imported(tmp_path, monkeypatch):
    monkeypatch.delitem(__import__("sys").modules, "keras")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert keras_backend.name() == "tensorflow"
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    assert keras_backend.name() == "torch"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert keras_backend.name() == "jax"


CUTS = {"mobilenet_v2_035": [END, "block_12_add", "input"], "mobilenet_v3_small": [59], "resnet50": [100]}


@pytest.mark.skipif(keras.config.backend() == "tensorflow", reason="on TensorFlow test_halves.py has every family")
@pytest.mark.parametrize(("name", "places"), CUTS.items())
def test_law_1_the_halves_are_the_network(name, places):
    one = tw.Backbone(name, weights="random", size=32)
    opened = open_backbone(one, pretrained.weights_file(one))
    x, end = pixels(4), opened.graph.pool
    (whole,) = values(keras.Model(opened.tensors[0][0], opened.tensors[end][0])(x, training=False))
    for place in places:
        frontier = opened.graph.resolve(place)
        assert len(frontier.tensors) == {59: 3, 100: 2}.get(place, 1)
        below = trunk(opened, frontier)(x, training=False)
        (halved,) = values(top(opened, frontier, end)(below, training=False))
        assert np.abs(halved - whole).max() <= 1e-5 * np.abs(whole).max(), f"{name}@{place}"


WITHOUT = pytest.mark.skipif(not find_spec("openvino"), reason="openvino is not installed")


@pytest.mark.parametrize("runtime", [pytest.param("openvino", marks=WITHOUT), "keras"])
def test_laws_2_and_3_what_the_trunk_gave_is_stored_once(runtime, tmp_path, own_home, capsys):
    data = tw.read(make_folder(tmp_path / "data", each=2))
    found = tw.activations(data, f"{NAME}@{END}", backbone=tiny(runtime=runtime))
    assert capsys.readouterr().err.startswith(f"{NAME}@{END}: 6 pictures to compute")
    x = np.stack([decode(f"{data.root}/{row.path}", Fit((32, 32))) for row in data.rows])
    below, _ = tw.halves(f"{NAME}@{END}", backbone=tiny())
    (expected,) = values(below(x, training=False))
    assert found.dtype == np.float16
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()
    again = tw.activations(data, f"{NAME}@{END}", backbone=tiny(runtime=runtime))
    assert capsys.readouterr().err == ""
    np.testing.assert_array_equal(again, found)


PHASES = (
    tw.Phase(f"{NAME}@{END}..{END}", epochs=30, learning_rate=0.03),
    tw.Phase(f"{NAME}@block_1_project_BN..{END}", epochs=2, learning_rate=1e-4, precision="bfloat16"),
    tw.Phase(f"{NAME}@block_1_project_BN..{END}", epochs=2, learning_rate=30.0, optimizer="sgd"),
)


def train(pictures, out, phases, **options):
    data = tw.read(pictures, split=(0.6, 0.2, 0.2), draw="stratified")
    return tw.train(data, phases=phases, backbones=[tiny()], out=out, **options)


@pytest.fixture(scope="module", autouse=True)
def journaled():
    """Losses are compared with those in journals."""
    with uncalibrated():
        yield


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    return train(pictures, tmp_path_factory.mktemp("runs") / "three", PHASES)


def scores(run, phase):
    return [line.val_loss for line in run.journal if line.phase == phase]


def test_it_learns_and_a_phase_begins_where_the_one_before_was_best(run):
    assert min(scores(run, 1)) < scores(run, 1)[0] / 2
    assert scores(run, 2)[0] == pytest.approx(min(scores(run, 1)), rel=0.02)  # computed from activations of another cut
    assert run.results.accuracy.value > 0.6
    assert run.folder.environment["backend"] == keras.config.backend()


def test_law_7_a_careless_rate_ends_no_worse_than_it_began(run):
    begun, *after = scores(run, 3)
    assert max(np.inf if loss is None else loss for loss in after) > 2 * begun, "the rate was not careless enough"
    best = min(loss for loss in (begun, *after) if loss is not None)
    assert run.evaluate("val").loss.value == pytest.approx(best, rel=0.05)


def answers(run, take):
    """Return the predictions that the run wrote for its test part, and those of *take* for the same files."""
    with (run.path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    written = np.array([[float(row[label]) for label in run.data.classes] for row in rows])
    assert written.std(0).max() > 1e-2, "nothing differs between pictures"
    return written, take([f"{run.data.root}/{row['path']}" for row in rows])


def test_the_model_says_what_the_results_say(run):
    def take(files):
        with gpu.exact():
            return run.model().predict(np.stack([decode(file, Fit((32, 32))) for file in files]), verbose=0)

    written, said = answers(run, take)
    np.testing.assert_allclose(said, written, atol=1e-4)


def test_law_5_the_exported_file_says_so_too_where_keras_exports(run, tmp_path):
    if keras.config.backend() == "jax" and not find_spec("jax2onnx"):
        with pytest.raises(MissingExtra) as error:
            run.export(tmp_path / "model.onnx")
        assert str(error.value) == (
            "an export on jax needs jax2onnx. Install it with: pip install jax2onnx. "
            "Or export with KERAS_BACKEND=tensorflow: any backend reads the run."
        )
        return
    file = run.export(tmp_path / "model.onnx")
    written, said = answers(run, lambda files: [list(guess.probabilities.values()) for guess in file(files)])
    np.testing.assert_allclose(said, written, atol=2e-4)


@pytest.mark.skipif(keras.config.backend() != "torch", reason="what Keras' exporter on torch alone lacks")
def test_what_torch_cannot_export_is_said(tmp_path, capsys):
    start = keras.Input((8, 8, 3), dtype="uint8", name="pixels")
    normed = keras.layers.LayerNormalization()(keras.layers.Rescaling(1.0)(start))
    with pytest.raises(ExportError) as error:
        write_onnx(keras.Model(start, normed), tmp_path / "model.onnx", {})
    assert str(error.value).startswith("the model cannot be written as ONNX on torch (Failed to export a node ")
    assert str(error.value).endswith("). Or export with KERAS_BACKEND=tensorflow: any backend reads the run.")
    assert capsys.readouterr().out == ""


class Stopped(Exception):
    """Is not one of topwork's exceptions: the run stays as a killed run does."""


def stop(epoch, logs=None):
    if epoch == 3:
        raise Stopped


def test_a_stopped_run_goes_on_and_says_whether_law_4_holds(pictures, tmp_path, capsys):
    phases, out = [tw.Phase(f"{NAME}@{END}..{END}", epochs=6, learning_rate=0.01, patience=0)], tmp_path / "stopped"
    whole = train(pictures, tmp_path / "whole", phases)
    with pytest.raises(Stopped):
        train(pictures, out, phases, callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=stop)])
    state = Checkpoints(out / "checkpoints").read()
    assert state is not None
    assert state.about["epoch"] in (1, 2, 3)
    refuse_another_backend(Folder(out))
    capsys.readouterr()
    resumed = tw.Run(out).resume()
    here, said = keras.config.backend(), capsys.readouterr().err
    where = f"{here} on a GPU" if gpu.at_hand() else here
    assert (LAW_4.format(where) in said) == (not repeats())
    assert [line.epoch for line in resumed.journal] == list(range(7))
    near = 0 if repeats() else 1e-4
    for name, arrays in whole.folder.weights().items():
        for a, b in zip(arrays, resumed.folder.weights()[name], strict=True):
            np.testing.assert_allclose(a, b, rtol=near, atol=near, err_msg=name)


def refuse_another_backend(folder):
    path = folder.path / "environment.json"
    kept = path.read_text()
    path.write_text(json.dumps(folder.environment | {"backend": "numpy"}))
    with pytest.raises(RunError) as error:
        tw.Run(folder.path).resume()
    path.write_text(kept)
    assert str(error.value) == (
        f"versions changed since {str(folder.path)!r} began: backend numpy then, {keras.config.backend()} now. Its "
        "weights may differ in some bits from those of a run that was never interrupted. To continue: "
        "other_versions=True."
    )
