"""A model's outputs in tests: for a single call, tracing a graph with Keras' `predict` is not worth the time."""

from contextlib import contextmanager

import keras
import numpy as np
import pytest


@contextmanager
def uncalibrated():
    """Inside the ``with``, runs are not calibrated, so that their losses are those in their journals."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("topwork.training.calibrating.fitted", lambda *_: 1.0)
        yield


def before(probabilities, temperature):
    """Return the probabilities of a model before it was calibrated."""
    powers = np.asarray(probabilities, float) ** temperature
    return powers / powers.sum(1, keepdims=True)


def outputs(model, inputs):
    """Return the model's output in inference mode as a NumPy array; *inputs* is one array or a list of arrays."""
    return keras.ops.convert_to_numpy(model(inputs, training=False))
