"""Transposes are removed, and the values stay the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topwork.store.runtimes import base
from topwork.store.runtimes.openvino_layout import sink_transposes

assert base  # importing `base` disables OpenVINO's telemetry before OpenVINO is imported
import openvino  # noqa: E402
from openvino import opset13  # noqa: E402

SHAPE = (2, 5, 4, 3)
X = np.random.default_rng(0).normal(size=SHAPE).astype("float32")


def value(*shape):
    return opset13.constant(np.random.default_rng(len(shape)).normal(size=shape).astype("float32"))


def turned(x, order):
    return opset13.transpose(x, opset13.constant(np.array(order)))


def convolved(x):
    """Return a convolution as Keras' OpenVINO backend writes it: with transposes to NCHW and back."""
    channels = x.output(0).get_partial_shape()[3].get_length()
    same, none = [1, 1], [0, 0]
    inner = opset13.convolution(turned(x, (0, 3, 1, 2)), value(3, channels, 1, 1), same, none, none, same)
    return turned(inner, (0, 2, 3, 1))


def padded(x):
    return opset13.pad(x, opset13.constant([0, 1, 0, 0]), opset13.constant([0, 0, 2, 1]), "constant", np.float32(0.5))


STEPS = {
    "convolve": lambda x: convolved(x),
    "relu": lambda x: opset13.relu(x),
    "scale": lambda x: opset13.multiply(x, value()),
    "shift": lambda x: opset13.add(convolved(x), value(3)),
    "weigh": lambda x: opset13.multiply(convolved(x), value(1, 1, 1, 3)),
    "skip": lambda x: opset13.add(x, x),
    "branch": lambda x: opset13.maximum(convolved(x), opset13.tanh(convolved(opset13.relu(x)))),
    "gate": lambda x: opset13.multiply(x, opset13.reduce_mean(x, opset13.constant([1, 2]), True)),
    "beside": lambda x: opset13.concat([x, opset13.relu(x)], 3),
    "below": lambda x: opset13.concat([x, opset13.relu(x)], -3),
    "pad": padded,
    "turn": lambda x: turned(x, (0, 2, 1, 3)),
}


def network(steps):
    pixels = opset13.parameter(list(SHAPE), openvino.Type.f32)
    x = pixels
    for step in steps:
        x = STEPS[step](x)
    return openvino.Model([x.output(0)], [pixels], "network")


def result(model):
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    return np.array(openvino.Core().compile_model(model, "CPU", exact)([X])[0])


def transposes(model):
    return sum(node.get_type_name() == "Transpose" for node in model.get_ops())


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=6))
def test_values_stay(steps):
    model, sunk = network(steps), network(steps)
    sink_transposes(sunk)
    expected = result(model)
    assert np.abs(result(sunk) - expected).max() <= 1e-5 * np.abs(expected).max()  # the bound of law 1


@pytest.mark.parametrize("step", ["relu", "scale", "shift", "weigh", "branch", "beside", "below", "pad"])
def test_one_is_left_at_each_end(step):
    model = network(["convolve", step, "convolve", step, "convolve"])
    assert transposes(model) >= 6
    sink_transposes(model)
    assert transposes(model) == 2
