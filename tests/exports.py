"""Files of any Keras model in any format, and how their answers agree with the model's."""

from importlib import import_module
from math import inf

from topwork.shipping import gate, metadata
from topwork.shipping.export import answered
from topwork.shipping.formats import onnx
from topwork.shipping.formats.how import How
from topwork.shipping.formats.known import named
from topwork.shipping.predictor import Predictor
from topwork.system.text import as_json


def write_onnx(model, path, about):
    """Write a model with its metadata."""
    onnx.write(model, path, How())
    onnx.describe(path, as_json(about))


def write_as(kind, model, path, about):
    """Write a model with its metadata in a format."""
    import_module(f"topwork.shipping.formats.{kind}").write(model, path, How())
    metadata.attach(named(kind), path, about)


def parity(expected, file, sources, precision="float32"):
    """Compare the answers of a file for pictures with those that were expected."""
    return gate.compared(expected, answered(Predictor(file, inf), sources), [None] * len(expected), precision)
