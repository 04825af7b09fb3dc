"""Every runtime returns the same outputs as Keras, in order, whatever the batches and streams."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests import tiny
from topwork.errors import MissingExtra
from topwork.networks.halves import trunk as trunk_of
from topwork.networks.keras_graph import open_backbone
from topwork.networks.weights import pretrained
from topwork.recipes.settings import Backbone
from topwork.store.runtimes import base, openvino
from topwork.store.runtimes.base import BATCH, Pixels, resolved
from topwork.store.runtimes.keras import Keras
from topwork.store.runtimes.openvino import OpenVINO
from topwork.system import machine

TRUNKS = {"vgg16": "pool", "convnext_tiny": "pool", "mobilenet_v3_small": 59}
"""A place in each network: the end of one in Keras' caffe scale, another end, a number that leaves three tensors.

Random networks amplify rounding errors from layer to layer: at the end of this MobileNet, Keras and OpenVINO each
differ by 1.6e-5 from float64.
"""

CONVERT = """
import json, sys
from pathlib import Path
from topwork.system import keras_settings; from topwork.store.engines import worker
from topwork.recipes.settings import Backbone

keras_settings.own_process = True
keras_settings.import_keras()
import keras
from topwork.errors import BackboneError
from topwork.networks.halves import trunk
from topwork.store.runtimes.openvino import convert

for name, place in json.loads(sys.argv[2]).items():
    opened = worker._open(Backbone(name, "random", 32))
    convert(trunk(opened, opened.graph.resolve(place)), Path(sys.argv[1], name, "trunk.xml"))
worker._open(Backbone("own", model=sys.argv[3], size=32))
start = keras.Input((32, 32, 3), dtype="uint8")
edges = keras.Model(start, keras.ops.image.sobel_edges(keras.ops.cast(start, "float32")), name="trunk")
try:
    convert(edges, Path(sys.argv[1], "edges", "trunk.xml"))
except BackboneError as error:
    print(json.dumps([str(error), sorted({"tensorflow", "sklearn", "scipy.signal", "matplotlib"} & set(sys.modules))]))
"""


def pixels(count):
    draw = np.random.default_rng(1)
    patches = draw.integers(0, 200, (count, 4, 4, 3)).repeat(8, 1).repeat(8, 2)
    return (patches + draw.integers(0, 56, patches.shape)).astype("uint8")


@pytest.fixture(scope="module")
def trunks():
    """Return each trunk as a Keras model."""
    made = {}
    for name, place in TRUNKS.items():
        backbone = Backbone(name, "random", 32)
        opened = open_backbone(backbone, pretrained.weights_file(backbone))
        made[name] = trunk_of(opened, opened.graph.resolve(place))
    return made


@pytest.fixture(scope="module")
def converted(trunks, tmp_path_factory):
    """Convert the trunks as the worker does; return their folder and what the process printed at its end."""
    folder = tmp_path_factory.mktemp("converted")
    command = [sys.executable, "-c", CONVERT, str(folder), json.dumps(TRUNKS), tiny.file()]
    env = os.environ | {"KERAS_BACKEND": "openvino"}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return folder, json.loads(done.stdout)


def batched(rows, size):
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def streamed(runtime, batches):
    """Return all outputs, one array per tensor."""
    return [np.concatenate(tensor) for tensor in zip(*runtime.stream(iter(batches)))]


def kept(trunk, rows):
    outputs = trunk(rows, training=False)
    return [np.asarray(output) for output in (outputs if isinstance(outputs, list) else [outputs])]


def difference(found, expected):
    assert expected.std(axis=0).max() > 1e-2 * np.abs(expected).max(), "the outputs do not differ between pictures"
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("name", TRUNKS)
def test_openvino_gives_what_keras_gives(trunks, converted, name):
    rows = pixels(7)
    found = streamed(OpenVINO(converted[0] / name / "trunk.xml", "float32", 2), batched(rows, BATCH))
    expected = kept(trunks[name], rows)
    assert [a.shape for a in found] == [b.shape for b in expected]
    assert max(difference(a, b) for a, b in zip(found, expected)) <= 1e-5


def test_a_cut_with_three_tensors_gives_three(converted):
    found = streamed(OpenVINO(converted[0] / "mobilenet_v3_small" / "trunk.xml", "float32", 1), [pixels(3)])
    assert [a.shape for a in found] == [(3, 2, 2, 40), (3, 2, 2, 240), (3, 1, 1, 64)]


@pytest.mark.parametrize("name", ["vgg16", "mobilenet_v3_small"])
def test_float32_gives_the_same_bits_whatever_the_batch_and_the_streams(converted, monkeypatch, name):
    rows, found = pixels(7), {}
    for batch in (1, 4, 8):
        monkeypatch.setattr(openvino, "BATCH", batch)
        for jobs in (1, 2):
            runtime = OpenVINO(converted[0] / name / "trunk.xml", "float32", jobs)
            found[batch, jobs] = [a.tobytes() for a in streamed(runtime, batched(rows, batch))]
    assert len(set(map(tuple, found.values()))) == 1


def test_bfloat16_is_near(converted):
    rows = batched(pixels(8), BATCH)
    path = converted[0] / "convnext_tiny" / "trunk.xml"
    (near,), (exact,) = (streamed(OpenVINO(path, precision, 2), rows) for precision in ("bfloat16", "float32"))
    assert 0 <= difference(near, exact) < 0.03


SIZES = (4, 1, 4, 3, 2, 4, 4, 1, 4, 4, 4, 2)


def ragged(rows):
    return np.split(rows, np.cumsum(SIZES)[:-1])


def test_openvino_keeps_order_and_lengths(converted):
    rows = pixels(sum(SIZES))
    runtime = OpenVINO(converted[0] / "mobilenet_v3_small" / "trunk.xml", "float32", 1)
    outputs = list(runtime.stream(iter(ragged(rows))))
    assert tuple(len(output[0]) for output in outputs) == SIZES
    alone = [next(runtime.stream(iter([row[None]])))[0][0] for row in rows]
    np.testing.assert_array_equal(np.concatenate([output[0] for output in outputs]), alone)


def test_openvino_decodes_ahead_but_not_everything(converted):
    """At most two requests per job are in flight, so a fill keeps few pictures in memory."""
    taken = []

    def batches():
        for batch in ragged(pixels(sum(SIZES))):
            taken.append(len(batch))
            yield batch

    runtime = OpenVINO(converted[0] / "mobilenet_v3_small" / "trunk.xml", "float32", 1)
    next(runtime.stream(batches()))
    assert len(taken) == 3


@pytest.mark.parametrize("name", ["vgg16", "mobilenet_v3_small"])
def test_keras_keeps_order_and_gives_what_keras_gives(trunks, name):
    rows = pixels(sum(SIZES))
    found, expected = streamed(Keras(trunks[name]), ragged(rows)), kept(trunks[name], rows)
    assert [a.shape for a in found] == [b.shape for b in expected]
    assert max(difference(a, b) for a, b in zip(found, expected)) <= 1e-5


def test_pixels_are_what_they_are():
    rows = pixels(7)
    np.testing.assert_array_equal(streamed(Pixels(), batched(rows, BATCH))[0], rows)


def test_few_turns_of_the_data_are_left(converted):
    """Keras' OpenVINO backend transposes the data around each convolution; `openvino_layout` removes that."""
    from openvino import Core

    model = Core().read_model(converted[0] / "vgg16" / "trunk.xml")
    kinds = [operation.get_type_name() for operation in model.get_ops()]
    assert kinds.count("Convolution") == 13
    assert kinds.count("Transpose") < 4


def test_an_operation_that_openvino_lacks(converted):
    message, _ = converted[1]
    assert message == (
        "OpenVINO cannot run 'trunk' (`sobel_edges` is not supported with openvino backend); set runtime = \"keras\"."
    )


def test_the_worker_loads_nothing_heavy(converted):
    assert converted[1][1] == []


def test_importing_it_calls_nobody():
    code = """
import socket, sys
def refuse(*words):
    sys.exit(f"called {words}")
socket.socket.connect = socket.getaddrinfo = refuse
from topwork.system import keras_settings; from topwork.store.engines import worker
keras_settings.own_process = True
keras_settings.import_keras()
import keras, openvino, openvino.tools.ovc
assert keras.config.backend() == "openvino" and sys.modules["openvino_telemetry"] is None
"""
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"KERAS_BACKEND": "openvino"}, check=True)


def test_a_runtime_that_is_chosen_stays():
    assert resolved(Backbone("vgg16", runtime="keras")) == Backbone("vgg16", runtime="keras", precision="float32")
    wanted = Backbone("vgg16", runtime="openvino", precision="bfloat16")
    assert resolved(wanted) == wanted


def test_auto_is_openvino_on_a_processor(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    chosen = resolved(Backbone("vgg16"))
    assert (chosen.runtime, chosen.precision) == ("openvino", "float32")
    assert resolved(Backbone("vgg16", precision="float32")).precision == "float32"
    assert resolved(chosen) == chosen


def test_the_precision_is_left_open_where_the_processor_has_two(monkeypatch, bfloat16):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert resolved(Backbone("vgg16")).precision == "auto"
    assert resolved(Backbone("vgg16", precision="float32")).precision == "float32"
    assert resolved(Backbone("vgg16", runtime="keras")).precision == "float32"


def test_auto_is_keras_where_openvino_is_not_installed(monkeypatch):
    monkeypatch.setattr(base, "find_spec", lambda _: None)
    assert resolved(Backbone("vgg16")) == Backbone("vgg16", runtime="keras", precision="float32")
    with pytest.raises(MissingExtra) as error:
        resolved(Backbone("vgg16", runtime="openvino"))
    assert str(error.value) == (
        "the runtime 'openvino' needs the package openvino. Install it with: pip install openvino, "
        'or set runtime = "keras".'
    )


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system knows no affinity")
def test_jobs_are_those_that_the_process_may_use():
    allowed = os.sched_getaffinity(0)
    assert 1 <= machine.jobs() <= len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert machine.jobs() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_a_network_that_keras_alone_runs_says_so_in_keras():
    start = keras.Input((32, 32, 3), dtype="uint8")
    edges = keras.Model(start, keras.ops.image.sobel_edges(keras.ops.cast(start, "float32")))
    assert streamed(Keras(edges), [pixels(2)])[0].shape == (2, 32, 32, 3, 2)
