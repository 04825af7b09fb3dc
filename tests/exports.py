"""Files of any Keras model in any format, and how their answers agree with the model's."""

from importlib import import_module
from math import inf

import keras

from topwork.shipping import metadata
from topwork.shipping.checking import gate
from topwork.shipping.export import answered
from topwork.shipping.formats import onnx
from topwork.shipping.formats.how import How
from topwork.shipping.formats.known import named
from topwork.shipping.predictor import Predictor
from topwork.system.text import as_json


def named_outputs(model):
    """Return a model with a mapping of outputs, as they are exported."""
    return keras.Model(model.inputs, {"probabilities": model.outputs[0]})


def write_onnx(model, path, about):
    """Write a model with its metadata."""
    onnx.write(named_outputs(model), path, How())
    onnx.describe(path, as_json(about))


def write_as(kind, model, path, about):
    """Write a model with its metadata in a format."""
    import_module(f"topwork.shipping.formats.{kind}").write(named_outputs(model), path, How())
    metadata.attach(named(kind), path, about)


def answers(file, sources):
    """Return the probabilities of a file for pictures, float ``[pictures, classes]``."""
    return answered(Predictor(file, inf), sources)["probabilities"]


def parity(expected, file, sources, precision="float32"):
    """Compare the answers of a file for pictures with those that were expected."""
    found = answered(Predictor(file, inf), sources)
    return gate.compared({"probabilities": expected}, found, [None] * len(expected), precision)
