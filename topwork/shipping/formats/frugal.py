"""Keras' ONNX export on TensorFlow (tf2onnx), with half the memory and half the time."""

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from topwork.system import keras_backend
from topwork.system.replaced import replaced


def frugally(write: Callable[[], None]) -> None:
    """Write an ONNX file with few copies of the weights (docs/log.md, 2026-11-25 and 2026-11-30).

    - To freeze a graph, TensorFlow builds it twice with all weights. tf2onnx has another way for networks above 2 GB,
      in which TensorFlow sees the graph without weights; it is used for all.
    - tf2onnx repeats a dozen optimisations. After each one, it writes all weights again into messages that never free
      their memory; here, it writes them only once, at the end.
    - Before each one, it copies the graph, in order to continue if the optimisation fails; here, it makes these copies
      only in a second try, after a failure.

    Args:
        write: calls ``keras.Model.export``. On another backend than TensorFlow, nothing else is done.
    """
    if keras_backend.name() != "tensorflow":
        return write()
    from tf2onnx import convert, optimizer
    from tf2onnx.graph import Graph

    _teach()
    convert_function, optimize, update = convert.from_function, optimizer.optimize_graph, Graph.update_proto

    def without_weights(function: Any, signature: Any, opset: Any, output_path: Any) -> None:
        found, weights = convert_function(function, signature, opset=opset, large_model=True)
        _save(found, weights.name_to_tensor_data, output_path)

    def at_the_end(graph: Any, *storage: Any) -> None:
        if storage:  # only the last call passes *storage*
            update(graph, *storage)

    def without_copies(graph: Any, *_: Any, **options: Any) -> Any:
        return optimize(graph, False, **options)

    def with_copies(graph: Any, *_: Any, **options: Any) -> Any:
        return optimize(graph, True, **options)

    with replaced(convert, "from_function", without_weights), replaced(Graph, "update_proto", at_the_end):
        try:
            with replaced(optimizer, "optimize_graph", without_copies):
                return write()
        except (OSError, MemoryError):  # a second try with copies would not help
            raise
        except Exception:
            with replaced(optimizer, "optimize_graph", with_copies):
                return write()


def _save(file: Any, weights: dict[str, bytes], path: str | os.PathLike[str]) -> None:
    """Put the weights, which tf2onnx returns apart, into the file, and save it."""
    import onnx

    for each in file.graph.initializer:
        if each.data_location == onnx.TensorProto.EXTERNAL:
            each.raw_data = weights.pop(each.external_data[0].value)
            del each.external_data[:]
            each.data_location = onnx.TensorProto.DEFAULT
    onnx.save(file, path)


@cache
def _teach() -> None:
    """Add to tf2onnx two operations that it lacks; Keras uses them in gelu and celu."""
    from tf2onnx.handler import tf_op

    @tf_op(["Erfc", "Expm1"])
    class Handler:
        @classmethod
        def version_9(cls, ctx: Any, node: Any, **_: Any) -> None:
            shapes, types, (x,) = node.output_shapes, node.output_dtypes, node.input
            is_erfc = node.type == "Erfc"
            ctx.remove_node(node.name)
            one = ctx.make_const(f"{node.name}_one", np.ones((), np.float32)).output[0]
            made = ctx.make_node("Erf" if is_erfc else "Exp", [x]).output[0]
            parts = [one, made] if is_erfc else [made, one]
            ctx.make_node("Sub", parts, name=node.name, outputs=node.output, shapes=shapes, dtypes=types)
