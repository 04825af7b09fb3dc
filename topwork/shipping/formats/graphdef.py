"""Write a flat model as TensorFlow's frozen graph: one file in which the weights are constants."""

from pathlib import Path
from typing import TYPE_CHECKING

from topwork.shipping.formats.how import How
from topwork.shipping.formats.savedmodel import function

if TYPE_CHECKING:
    import keras


def write(model: "keras.Model", path: Path, how: How) -> None:  # noqa: ARG001
    """Write a GraphDef with a placeholder for each input, and the outputs by name.

    Raises:
        ExportError: Keras runs on another backend.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    call, signature = function(model)
    frozen = convert_variables_to_constants_v2(tf.function(call, input_signature=signature).get_concrete_function())
    path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
