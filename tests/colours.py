"""Small exported files made by hand: networks that classify pictures by their mean colour."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from topwork.data.pictures import Fit
from topwork.shipping.metadata import Input

LABELS = ["red", "green", "blue"]
COLOURS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250)}
SIZES = [(12, 16), (8, 8)]


def about(*inputs: Input) -> dict[str, Any]:
    """Return the metadata for a file that takes *inputs*."""
    entries = [one.as_json() for one in inputs]
    return {"format": 1, "labels": LABELS, "inputs": entries, "cut": "x@pool", "scores": {"accuracy": 1.0}}


ABOUT = about(Input("pixels", None, Fit(SIZES[0])))
TWO = about(Input("pixels_1", "front", Fit(SIZES[0])), Input("pixels_2", "side", Fit(SIZES[1])))


def export(path: Path, metadata: str | dict | None) -> Path:
    """Write a network: softmax of one input's mean colour, or of 3/4 of the first input's and 1/4 of the second's."""
    inputs = metadata["inputs"] if isinstance(metadata, dict) and "inputs" in metadata else ABOUT["inputs"]
    names = [one["name"] for one in inputs]
    colours, nodes = zip(*(_colour(name, share) for name, share in zip(names, (0.75, 0.25) if names[1:] else (1.0,))))
    last = [
        helper.make_node("Sum", colours, ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    takes = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, ["batch", *size, 3]) for name, size in zip(names, SIZES)
    ]
    gives = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])]
    axes = [numpy_helper.from_array(np.array([1, 2]), "axes")]
    graph = helper.make_graph([*(node for some in nodes for node in some), *last], "colours", takes, gives, axes)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if metadata is not None:
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
        helper.set_model_props(model, {"topwork": text})
    onnx.save(model, path)
    return path


def _colour(name: str, share: float) -> tuple[str, list[onnx.NodeProto]]:
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [share / 50])
    return f"{name}_logits", [
        helper.make_node("Constant", [], [f"{name}_share"], value=scale),
        helper.make_node("Cast", [name], [f"{name}_floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", [f"{name}_floats", "axes"], [f"{name}_colour"], keepdims=0),
        helper.make_node("Mul", [f"{name}_colour", f"{name}_share"], [f"{name}_logits"]),
    ]


def picture(path: Path, label: str, size: tuple[int, int] = (40, 30)) -> str:
    """Write a picture of one colour and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, COLOURS[label]).save(path)
    return str(path)
