"""Writing ONNX: tf2onnx makes no copies of the graph, except for a network that it can only optimise with copies."""

from copy import deepcopy
from pathlib import Path

import keras
import numpy as np
import pytest
from tf2onnx.graph import Graph

from tests.exports import parity, write_onnx
from tests.inference import outputs
from tests.tiny import network
from topwork.data.pictures import Fit
from topwork.errors import ExportError
from topwork.shipping.metadata import Input


@pytest.fixture
def calls(monkeypatch):
    """Count how often the graph is copied, and how often its weights are written into messages."""
    counts, write = {"copies": 0, "writes": 0}, Graph.update_proto

    def update(graph, *storage):
        counts["writes"] += 1
        write(graph, *storage)

    def copied(graph, memo):
        counts["copies"] += 1
        made = object.__new__(Graph)
        memo[id(graph)] = made
        made.__dict__.update({key: deepcopy(value, memo) for key, value in graph.__dict__.items()})
        return made

    monkeypatch.setattr(Graph, "update_proto", update)
    monkeypatch.setattr(Graph, "__deepcopy__", copied, raising=False)
    return counts


def test_the_graph_is_never_copied_and_written_once(tmp_path, calls):
    write_onnx(network(), tmp_path / "tiny.onnx", {})
    assert calls == {"copies": 0, "writes": 1}


def test_a_network_on_which_an_optimisation_fails(tmp_path, calls):
    """If a number is added to a convolution without bias, as in MobileNetV3, tf2onnx continues with a copy."""
    layers = keras.layers
    start = keras.Input((8, 8, 3), dtype="uint8", name="pixels")
    x = layers.Conv2D(4, 3, use_bias=False, kernel_initializer="random_normal")(layers.Rescaling(1 / 255)(start)) + 3.0
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1)(layers.ReLU(6.0)(x)))
    model = keras.Model(start, layers.Softmax(name="probabilities")(x))
    inputs = [Input("pixels", None, Fit((8, 8))).as_json()]
    write_onnx(model, tmp_path / "model.onnx", {"format": 1, "labels": list("abcd"), "inputs": inputs})
    assert calls["copies"] > 1 and calls["writes"] == 1
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    assert not parity(outputs(model, pixels), tmp_path / "model.onnx", list(pixels)).problem


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_a_full_disk_or_memory_is_not_tried_again_with_copies(tmp_path, monkeypatch, error):
    tried = []

    def fail(*_, **__):
        tried.append(error)
        raise error

    monkeypatch.setattr(keras.Model, "export", fail)
    with pytest.raises(type(error)):
        write_onnx(network(), tmp_path / "tiny.onnx", {})
    assert tried == [error]


def test_an_exporter_that_fails_is_told(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ValueError("no such thing\nand more")

    monkeypatch.setattr(keras.Model, "export", fail)
    with pytest.raises(ExportError) as error:
        write_onnx(network(), Path(tmp_path, "tiny.onnx"), {})
    assert str(error.value) == "the model cannot be written as ONNX on tensorflow (no such thing)."
