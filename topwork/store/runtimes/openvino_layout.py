"""Remove the transposes that Keras' OpenVINO backend puts around every convolution and batch-norm.

Keras' tensors are NHWC, but OpenVINO's convolutions take NCHW, so a converted network transposes its data several times
per layer. OpenVINO's TensorFlow frontend removes such transposes; for other models no public function does.

This module moves each transpose down through elementwise operations, ``Concat`` and ``Pad`` until it meets another
transpose. The two are merged into one transpose, or removed if they cancel each other. The values stay the same;
MobileNetV2 runs five times faster (docs/log.md, 2026-11-23).

The output ``y`` of a transpose with order P has ``y.shape[i] == x.shape[P[i]]``.
"""

from typing import Any

import numpy as np

ELEMENTWISE = {"Add", "Clamp", "Convert", "Divide", "Elu", "Erf", "Exp", "Gelu", "HSigmoid", "HSwish", "HardSigmoid"}
ELEMENTWISE |= {"Maximum", "Minimum", "Multiply", "Negative", "Power", "Relu", "Selu", "Sigmoid", "SoftPlus", "Sqrt"}
ELEMENTWISE |= {"Subtract", "Swish", "Tanh"}
"""Operations that treat each number in the same way, whatever its position."""

Order = tuple[int, ...]


def sink_transposes(model: Any) -> None:
    """Move every transpose of an ``openvino.Model`` as far down as possible; the model is changed in place."""
    from openvino._offline_transformations import apply_moc_transformations

    apply_moc_transformations(model, False)  # batch-norm becomes multiply and add, constants are folded
    for node in model.get_ordered_ops():
        if second := _order(node):
            above = node.input_value(0).get_node()
            if first := _order(above):  # merge two transposes into one, or none
                both = tuple(first[i] for i in second)
                source = above.input_value(0)
                node.output(0).replace(source if both == tuple(range(len(both))) else _transposed(source, both))
        elif node.get_type_name() in ELEMENTWISE | {"Concat", "Pad"}:
            values = _data(node)
            orders = [order for value in values if (order := _order(value.get_node()))]
            ranks = {value.get_partial_shape().rank.get_length() for value in values if not _constant(value)}
            if orders and ranks == {len(orders[0])}:
                _pass(node, orders[0])
    model.validate_nodes_and_infer_types()


def _order(node: Any) -> Order | None:
    """Return the order of a transpose; ``None`` for other nodes."""
    if node.get_type_name() != "Transpose" or not _constant(node.input_value(1)):
        return None
    return tuple(int(i) for i in node.input_value(1).get_node().data)


def _pass(node: Any, order: Order) -> None:
    """Move transposes from above a node to below it: it reads their inputs, and its output is transposed instead."""
    from openvino import opset13

    inverse = tuple(int(i) for i in np.argsort(order))
    for i, value in enumerate(_data(node)):
        if _order(value.get_node()) == order:
            before = value.get_node().input_value(0)
        elif not _constant(value):
            before = _transposed(value, inverse)
        else:
            data = value.get_node().data
            spread = (
                data.reshape((1,) * (len(order) - data.ndim) + data.shape).transpose(inverse) if data.ndim else data
            )
            before = opset13.constant(spread).output(0)
        node.input(i).replace_source_output(before)
    if node.get_type_name() == "Concat":
        node.set_attribute("axis", order[node.get_attributes()["axis"] % len(order)])
    if node.get_type_name() == "Pad":
        for i in (1, 2):
            pads = node.input_value(i).get_node().data[list(inverse)]
            node.input(i).replace_source_output(opset13.constant(pads).output(0))
    node.validate_and_infer_types()
    readers = node.output(0).get_target_inputs()
    turned = _transposed(node.output(0), order)
    for reader in readers:
        reader.replace_source_output(turned)


def _data(node: Any) -> list[Any]:
    """Return the inputs of a node that are data: all inputs, or for ``Pad`` only the first."""
    values = node.input_values()
    return values[:1] if node.get_type_name() == "Pad" else values


def _transposed(value: Any, order: Order) -> Any:
    from openvino import opset13

    return opset13.transpose(value, opset13.constant(np.array(order))).output(0)


def _constant(value: Any) -> bool:
    return value.get_node().get_type_name() == "Constant"
