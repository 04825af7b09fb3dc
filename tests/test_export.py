"""Law 5: the exported file answers as the model does, from the picture's bytes on; one that does not is not written."""

import json
import random
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest

import topwork as tw
from topwork import heads, pretrained, trunk
from topwork.cut import Cut
from topwork.errors import ExportError
from topwork.export import BOUND, check, write_onnx
from topwork.halves import open_backbone, open_model
from topwork.network import Network
from topwork.recipe import Backbone, Head

from .test_halves import FAMILIES, SEED, pixels

LABELS = ["a", "b", "c"]


def classifier(name):
    """A flat model of that backbone with a seeded head, and its metadata."""
    backbone = Backbone(name, weights="random", size=FAMILIES[name])
    opened = open_backbone(backbone, pretrained.weights_file(backbone))
    below = trunk.resolve(Cut.parse(f"{name}@pool").only, backbone, opened.graph)
    head = heads.build(Head(), opened.graph.nodes[below.end].shapes[0], len(LABELS), 0)
    network = Network(head, below)
    network.opened = opened
    side = FAMILIES[name]
    about = {"format": 1, "labels": LABELS, "size": [side, side], "fit": "squash", "resample": "bilinear"}
    return calibrated(network.flat(), side), about | {"rule": below.fit.id}


def calibrated(model, side):
    """Draw the last layer, which starts at zero, and scale what it reads, so that answers differ between pictures."""
    last = model.get_layer("logits")
    kernel, bias = last.get_weights()
    last.set_weights([np.random.default_rng(0).normal(0, len(kernel) ** -0.5, kernel.shape), bias])
    norm, opened = model.get_layer("head_batch_norm"), open_model(model)
    read = opened.graph.nodes[opened.graph.index("head_batch_norm")].inputs
    probe = keras.Model(opened.tensors[0][0], opened.at(read)[0])
    values = probe.predict(pixels(side, 8), verbose=0)
    gamma, beta, _, _ = norm.get_weights()
    norm.set_weights([gamma, beta, values.mean(0), values.var(0)])
    return model


def gate(name, path):
    model, about = classifier(name)
    x = pixels(FAMILIES[name], 8)
    expected = model.predict(x, verbose=0)
    assert expected.std(0).max() > 1e-2, "the answers do not differ between pictures"
    write_onnx(model, path, about)
    return check(expected, path, list(x))


@pytest.mark.parametrize(
    "name", ["convnext_tiny", "efficientnet_b0", *random.Random(SEED).sample(["resnet50", "vgg16"], 1)]
)
def test_rewritten_layers_pass_the_gate(name, tmp_path):
    found = gate(name, tmp_path / "model.onnx")
    assert found["largest_difference"] <= BOUND
    assert found["disagreements"] == 0


@pytest.mark.full
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_passes_the_gate(name, tmp_path):
    assert gate(name, tmp_path / "model.onnx")["largest_difference"] <= BOUND


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    return tw.train(
        pictures,
        phases=[tw.Phase("mobilenet_v2_035@pool", epochs=5)],
        backbones=[Backbone("mobilenet_v2_035", "random", 32)],
        out=tmp_path_factory.mktemp("runs") / "run",
    )


@pytest.fixture(scope="module")
def file(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "colours.onnx"
    run.export(path)
    return path


def test_the_file_is_as_the_design_describes_it(run, file):
    model = onnx.load(file)
    onnx.checker.check_model(model)
    (given,), (made,) = model.graph.input, model.graph.output
    assert (given.name, given.type.tensor_type.elem_type) == ("pixels", onnx.TensorProto.UINT8)
    assert (made.name, made.type.tensor_type.elem_type) == ("probabilities", onnx.TensorProto.FLOAT)
    (entry,) = model.metadata_props
    about = json.loads(entry.value)
    assert entry.key == "topwork"
    assert about["labels"] == ["blue", "green", "red"]
    assert about["rule"] == "pillow-1/32x32/squash/bilinear"
    assert about["cut"] == "mobilenet_v2_035@pool"
    assert about["backbones"]["mobilenet_v2_035"]["licence"] == "Apache-2.0"
    assert about["scores"]["accuracy"] == run.results["accuracy"]


def test_it_answers_as_the_run_does(run, file):
    rows = run.data.part("test")
    guesses = list(tw.Predictor(file)([Path(run.data.root, row.path) for row in rows]))
    right = np.mean([guess.label == row.label for guess, row in zip(guesses, rows, strict=True)])
    assert right == pytest.approx(run.results["accuracy"]["value"])


def test_a_file_is_never_overwritten(run, file):
    before = file.read_bytes()
    with pytest.raises(ExportError) as error:
        run.export(file)
    assert (
        str(error.value) == f"{str(file)!r} exists already and is not overwritten. Choose another name, or remove it."
    )
    assert file.read_bytes() == before


def planted(model, fault):
    """The same model with a fault in front: another scale, or channels turned."""
    from topwork.halves import rebuild

    def call(operation, args, kwargs):
        if operation.name != "scale":
            return operation(*args, **kwargs)
        turned = keras.ops.flip(args[0], axis=-1) if fault == "channels" else args[0]
        scale = keras.layers.Rescaling(1 / 128 if fault == "scale" else 1 / 127.5, -1.0, name="scale")
        return scale(turned)

    return rebuild(model, call)


@pytest.mark.parametrize("fault", ["scale", "channels", "resize"])
def test_a_planted_fault_is_refused(run, tmp_path, fault):
    model = run.model()
    about = json.loads(onnx.load(exported(run, tmp_path)).metadata_props[0].value)
    if fault == "resize":
        about |= {"resample": "nearest", "rule": about["rule"].replace("bilinear", "nearest")}
    write_onnx(model if fault == "resize" else planted(model, fault), tmp_path / "faulty.onnx", about)
    rows = run.data.part("test")
    sources = [Path(run.data.root, row.path) for row in rows]
    from topwork.pictures import Fit, decode

    expected = model.predict(np.stack([decode(s, Fit((32, 32))) for s in sources]), verbose=0)
    with pytest.raises(ExportError) as error:
        check(expected, tmp_path / "faulty.onnx", sources)
    assert str(error.value).startswith("the exported file answers otherwise than the model and was not kept: on ")


def exported(run, folder):
    path = folder / "honest.onnx"
    run.export(path)
    return path


def test_a_refused_file_leaves_nothing_behind(run, tmp_path, monkeypatch):
    monkeypatch.setattr("topwork.export.BOUND", -1.0)
    with pytest.raises(ExportError):
        run.export(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_pictures_must_be_where_they_were(tmp_path, pictures):
    import shutil

    data = shutil.copytree(pictures, tmp_path / "data")
    run = tw.train(
        data,
        phases=[tw.Phase("mobilenet_v2_035@pool", epochs=1)],
        backbones=[Backbone("mobilenet_v2_035", "random", 32)],
        out=tmp_path / "run",
    )
    shutil.rmtree(data)
    with pytest.raises(tw.TopworkError) as error:
        run.export(tmp_path / "model.onnx")
    assert str(error.value) == (
        f"no picture of the run is where it was ({data}): the file is checked on real pictures before it is written. "
        "Put them back, and export again."
    )
