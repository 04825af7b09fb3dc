"""Law 5 for each family and format: every network passes the parity gate, with what ONNX lacks rewritten."""

import keras
import numpy as np
import onnx
import pytest

from tests.exports import parity, write_as, write_onnx
from tests.networks.test_keras_graph import FAMILIES, pixels
from tests.pages import fake_runtime
from topwork.cut import Cut
from topwork.data.pictures import Fit
from topwork.networks import heads
from topwork.networks.keras_graph import open_backbone, open_model
from topwork.networks.model import Network
from topwork.networks.weights import pretrained
from topwork.recipes.settings import Backbone, Head
from topwork.shipping.formats.known import FORMATS, named
from topwork.shipping.metadata import Input
from topwork.store import request

LABELS = ["a", "b", "c"]
SIDES = {name: max(side, 96) if side < 70 else 128 for name, side in FAMILIES.items()}
"""Larger than law 1 needs: if the last maps have one pixel, random networks amplify rounding until Keras' own
``predict`` and call differ by 1e-3."""


def classifier(name, end="pool"):
    """Return a flat model of that backbone up to its end, with a seeded head, and the model's metadata."""
    backbone = Backbone(name, weights="random", size=SIDES[name])
    opened = open_backbone(backbone, pretrained.weights_file(backbone))
    term = Cut.parse(f"{name}@{end}..{end}").only
    below = request.resolve(term, backbone, opened.graph)
    head = heads.build(Head(), [opened.graph.nodes[below.end].shapes[0]], len(LABELS), 0)
    network = Network(head, [term], [below])
    network.branches[0].opened = opened
    about = {"format": 1, "labels": LABELS, "inputs": [Input("pixels", None, below.fit).as_json()]}
    return calibrated(network.flat(), SIDES[name]), about


def calibrated(model, side):
    """Draw the last layer's kernel, which starts at zero, and scale its input, so that answers differ by picture."""
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


def problems(name, kinds, folder, end="pool"):
    """Write a network in some formats, and return what is wrong with each file."""
    model, about = classifier(name, end)
    x = pixels(SIDES[name], 8)
    expected = model.predict(x, verbose=0)
    assert expected.std(0).max() > 1e-2, "the answers do not differ between pictures"
    found = {}
    for kind in kinds:
        path = folder / f"{kind}{named(kind).suffix}"
        write_as(kind, model, path, about | {"kind": kind, "precision": "float32"})
        found[kind] = parity(expected, path, list(x)).problem
    return found


def test_what_onnx_lacks_is_rewritten_exactly(tmp_path):
    """Trap (h) in one small network: Normalization, a convolution with as many groups as channels, gelu."""
    draw, layers = np.random.default_rng(0), keras.layers
    start = keras.Input((16, 16, 3), dtype="uint8", name="pixels")
    x = layers.Normalization(mean=[120.0, 110.0, 100.0], variance=[3000.0, 4000.0, 5000.0])(
        layers.Rescaling(1.0)(start)
    )
    x = layers.Activation("gelu")(layers.Conv2D(8, 3)(x))
    x = layers.Conv2D(8, 3, groups=8, padding="same", bias_initializer="normal")(x)
    x = layers.Dense(3, name="logits")(layers.GlobalMaxPooling2D()(x))
    model = keras.Model(start, layers.Softmax(name="probabilities")(x))
    pictures = draw.integers(0, 256, (8, 16, 16, 3)).astype("uint8")
    expected = model.predict(pictures, verbose=0)
    assert expected.std(0).max() > 1e-2
    inputs = [Input("pixels", None, Fit((16, 16))).as_json()]
    write_onnx(model, tmp_path / "model.onnx", {"format": 1, "labels": LABELS, "inputs": inputs})
    assert parity(expected, tmp_path / "model.onnx", list(pictures)).largest_difference <= 1e-6
    kinds = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert "Erf" in kinds


def test_a_family_passes_the_gate_in_two_formats(tmp_path):
    """The formats are tested on a tiny network as well; here, a complete one is written."""
    kinds = ["openvino", "litert"]
    assert problems("mobilenet", kinds, tmp_path) == dict.fromkeys(kinds, "")


@pytest.mark.full
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_passes_the_gate_in_every_format(name, tmp_path):
    kinds = [one.name for one in FORMATS]
    with fake_runtime():
        assert problems(name, kinds, tmp_path) == dict.fromkeys(kinds, "")
