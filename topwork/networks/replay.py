"""Call a functional model's operations again, one by one. Only this module and `keras_graph` read Keras' own graph.

``_nodes_by_depth`` has only the nodes of one model; a layer's ``_inbound_nodes`` also has nodes of other models.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

Call = Callable[[Any, Any, Any], Any]


def plain(operation: Any, args: Any, kwargs: Any) -> Any:
    """Call an operation as the model itself does."""
    return operation(*args, **kwargs)


def replay(model: Any, known: dict[int, Any], call: Call = plain) -> dict[int, Any]:
    """Call a model's operations again, starting from the tensors in *known*; nested models are entered.

    Args:
        model: a functional model.
        known: new values (symbolic tensors or arrays) by the ``id`` of the model's own tensors; results are added.
        call: takes an operation, its args and its kwargs, and returns its output.

    Returns:
        *known*, with every tensor that could be computed from it.
    """
    nodes_by_depth = functional(model)._nodes_by_depth
    for depth in sorted(nodes_by_depth, reverse=True):
        for node in nodes_by_depth[depth]:
            outputs = [id(t) for t in node.output_tensors]
            if node.is_input or all(o in known for o in outputs) or any(id(t) not in known for t in node.input_tensors):
                continue
            args, kwargs = node.arguments.fill_in(known)
            inner = functional(node.operation)
            if inner:
                given = args[0] if isinstance(args[0], list | tuple) else [args[0]]
                within = replay(inner, {id(t): v for t, v in zip(inner.inputs, given)}, call)
                values = [within[id(t)] for t in inner.outputs]
            else:
                values = call(node.operation, args, kwargs)
            known.update(zip(outputs, values if isinstance(values, list | tuple) else [values]))
    return known


def made_by(tensor: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return the operation that made a symbolic tensor, its arguments and its keyword arguments."""
    made = tensor._keras_history
    arguments = made.operation._inbound_nodes[made.node_index].arguments
    return made.operation, arguments.args, arguments.kwargs


def functional(operation: Any) -> Any:
    """Return an operation as a functional model, or ``None`` if it is not one."""
    import keras

    if isinstance(operation, keras.Sequential):
        return operation._functional
    return operation if isinstance(operation, keras.Model) and hasattr(operation, "_nodes_by_depth") else None


def flat_layers(network: Any) -> list[Any]:
    """List the layers of a model in Keras' order; nested models are replaced by their layers."""
    found: list[Any] = []
    for layer in network.layers:
        found += flat_layers(layer) if functional(layer) else [layer]
    return found


def is_idle(operation: Any, args: Any, kwargs: Any) -> bool:
    """Return whether a layer's output equals its input in inference.

    The layer is called on random values, because no list of such layers would be complete: a user may have written one,
    and similar layers such as `keras.layers.AutoContrast` do change their input.

    Args:
        operation: an operation of a model.
        args: its symbolic arguments; if there is not exactly one tensor, the result is False.
        kwargs: its keyword arguments.

    Example:
        >>> import keras
        >>> x = keras.Input((8, 8, 3))
        >>> [is_idle(layer, [x], {}) for layer in (keras.layers.RandomFlip(), keras.layers.AutoContrast())]
        [True, False]
    """
    import keras

    if not isinstance(operation, keras.Layer) or "training" not in inspect.signature(operation.call).parameters:
        return False
    others = {name: value for name, value in kwargs.items() if name != "training" and value is not None}
    if operation.weights or others or len(args) != 1:
        return False
    shape = getattr(args[0], "shape", (None, None))[1:]
    if None in shape or not keras.backend.is_float_dtype(args[0].dtype):
        return False
    values = np.random.default_rng(0).normal(0, 300, (2, *shape)).astype("float32")
    given = keras.ops.convert_to_tensor(values, args[0].dtype)
    found = operation(given, training=False)
    return np.array_equal(keras.ops.convert_to_numpy(given), keras.ops.convert_to_numpy(found))


def scaled(norm: Any, name: str) -> Any:
    """Return a batch-norm of the last axis, in inference, as a layer of one product and one sum."""
    import keras

    weights = dict(zip((weight.name for weight in norm.weights), norm.get_weights()))
    scale = weights.get("gamma", 1) / np.sqrt(weights["moving_variance"].astype(np.float64) + norm.epsilon)
    offset = weights.get("beta", 0) - weights["moving_mean"] * scale
    return keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=name)
