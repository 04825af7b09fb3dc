"""A model's outputs in tests: for a single call, tracing a graph with Keras' `predict` is not worth the time."""

import keras
import numpy as np


def before(probabilities, temperature):
    """Return the probabilities of a model before it was calibrated."""
    powers = np.asarray(probabilities, float) ** temperature
    return powers / powers.sum(1, keepdims=True)


def outputs(model, inputs):
    """Return the model's output in inference mode as a NumPy array; *inputs* is one array or a list of arrays."""
    return keras.ops.convert_to_numpy(model(inputs, training=False))
