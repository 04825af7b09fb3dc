"""Take out the transposes that Keras' OpenVINO backend puts around every convolution and batch-norm.

Keras' tensors are NHWC, OpenVINO's convolutions NCHW, so a converted network turns its data several times a layer.
OpenVINO's TensorFlow frontend sinks such turns before it hands a model over; for other models nothing public does.
Here a transpose moves down through whatever treats each number alone, until it meets another, and both become one or
none. The values stay the same; MobileNetV2 runs five times faster (docs/log.md, 2026-11-23).

A transpose of order P gives ``y`` with ``y.shape[i] == x.shape[P[i]]``.
"""

from typing import Any

import numpy as np

ELEMENTWISE = {"Add", "Clamp", "Convert", "Divide", "Elu", "Erf", "Exp", "Gelu", "HSigmoid", "HSwish", "HardSigmoid"}
ELEMENTWISE |= {"Maximum", "Minimum", "Multiply", "Negative", "Power", "Relu", "Selu", "Sigmoid", "SoftPlus", "Sqrt"}
ELEMENTWISE |= {"Subtract", "Swish", "Tanh"}
"""Operations that do the same to each number wherever it stands."""

Order = tuple[int, ...]


def sink_transposes(model: Any) -> None:
    """Move every transpose of an ``openvino.Model`` as far down as it goes; in place."""
    from openvino._offline_transformations import apply_moc_transformations

    apply_moc_transformations(model, False)  # batch-norm becomes multiply and add, constants are folded
    for node in model.get_ordered_ops():
        if _order(node):
            _merge(node)
        elif node.get_type_name() in ELEMENTWISE | {"Concat", "Pad"}:
            order = _shared_order(node)
            if order:
                _pass(node, order)
    model.validate_nodes_and_infer_types()


def _order(node: Any) -> Order | None:
    """The order of a transpose; ``None`` for other nodes."""
    if node.get_type_name() != "Transpose" or not _constant(node.input_value(1)):
        return None
    return tuple(int(i) for i in node.input_value(1).get_node().data)


def _merge(node: Any) -> None:
    """A transpose of a transpose becomes one, or none."""
    above = node.input_value(0).get_node()
    first, second = _order(above), _order(node)
    if not first or not second:
        return
    both, source = tuple(first[i] for i in second), above.input_value(0)
    node.output(0).replace(source if both == tuple(range(len(both))) else _transposed(source, both))


def _shared_order(node: Any) -> Order | None:
    """The order of the first transpose among a node's inputs, where all of them have that rank (or are constants)."""
    values = _data(node)
    orders = [order for value in values if (order := _order(value.get_node()))]
    ranks = {value.get_partial_shape().rank.get_length() for value in values if not _constant(value)}
    return orders[0] if orders and ranks == {len(orders[0])} else None


def _pass(node: Any, order: Order) -> None:
    """Let a node work on what the transposes above it read, and transpose what it gives."""
    from openvino import opset13

    inverse = _inverse(order)
    for i, value in enumerate(_data(node)):
        node.input(i).replace_source_output(_before(value, order, inverse))
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
    """A node's inputs that are data: all, but for the amounts of padding."""
    values = node.input_values()
    return values[:1] if node.get_type_name() == "Pad" else values


def _before(value: Any, order: Order, inverse: Order) -> Any:
    """What *value* is before a transpose of that order."""
    from openvino import opset13

    if _order(value.get_node()) == order:
        return value.get_node().input_value(0)
    if not _constant(value):
        return _transposed(value, inverse)
    data = value.get_node().data
    spread = data.reshape((1,) * (len(order) - data.ndim) + data.shape).transpose(inverse) if data.ndim else data
    return opset13.constant(spread).output(0)


def _transposed(value: Any, order: Order) -> Any:
    from openvino import opset13

    return opset13.transpose(value, opset13.constant(np.array(order))).output(0)


def _inverse(order: Order) -> Order:
    return tuple(int(i) for i in np.argsort(order))


def _constant(value: Any) -> bool:
    return value.get_node().get_type_name() == "Constant"
