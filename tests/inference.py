"""What a model answers, in tests: one call is not worth the graph that Keras' `predict` traces for it."""

import keras


def outputs(model, inputs):
    """The model's output in inference mode as a NumPy array; *inputs* is one array or a list of them."""
    return keras.ops.convert_to_numpy(model(inputs, training=False))
