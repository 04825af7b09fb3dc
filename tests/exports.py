"""ONNX files of any Keras model, and how their answers agree with the model's."""

from math import inf

from topwork.shipping import gate
from topwork.shipping.export import answered
from topwork.shipping.formats import onnx
from topwork.shipping.formats.how import How
from topwork.shipping.predictor import Predictor


def write_onnx(model, path, about):
    """Write a model with its metadata."""
    onnx.write(model, path, How())
    onnx.describe(path, about)


def parity(expected, file, sources, precision="float32"):
    """Compare the answers of a file for pictures with those that were expected."""
    return gate.compared(expected, answered(Predictor(file, inf), sources), [None] * len(expected), precision)
