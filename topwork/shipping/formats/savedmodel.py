"""Write a flat model as TensorFlow's SavedModel: a folder that TensorFlow reads without Keras."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from topwork.errors import ExportError
from topwork.shipping.formats.how import How
from topwork.system import keras_backend

if TYPE_CHECKING:
    import keras


def write(model: "keras.Model", path: Path, how: How) -> None:  # noqa: ARG001
    """Write a folder whose signature ``serving_default`` takes the pixels by name and returns the outputs by name.

    Raises:
        ExportError: Keras runs on another backend.
    """
    import tensorflow as tf

    call, signature = function(model)
    module = tf.Module()
    module.variables_of_model = [one.value for one in model.variables]  # Keras' ExportArchive would save each twice
    module.serve = tf.function(call, input_signature=signature)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})


def function(model: "keras.Model") -> tuple[Any, list[Any]]:
    """Return a model in inference as a function that returns its outputs by name, and its input signature.

    Raises:
        ExportError: Keras runs on another backend.
    """
    import tensorflow as tf

    if keras_backend.name() != keras_backend.DEFAULT:
        raise ExportError(
            f"this format is written by TensorFlow, and Keras runs on {keras_backend.name()}: export with "
            f"KERAS_BACKEND={keras_backend.DEFAULT}. Any backend reads the run."
        )

    def call(*pixels: Any) -> dict[str, Any]:
        found = model(list(pixels) if len(pixels) > 1 else pixels[0], training=False)
        return {name: tf.identity(one, name=name) for name, one in found.items()}

    return call, [tf.TensorSpec((None, *one.shape[1:]), tf.uint8, name=one.name) for one in model.inputs]
