"""Keras' Adam in one operation of TensorFlow per variable, where Keras uses about ten.

Above ``block4c_add`` of EfficientNet-Lite0, at 64 pixels, Keras' own takes 16 of 88 ms of a step (docs/log.md,
2026-11-29).
"""

from typing import Any

import keras
import tensorflow as tf


class Adam(keras.optimizers.Adam):
    """Adam (Kingma and Ba 2014, arXiv:1412.6980), as `keras.optimizers.Adam` without ``amsgrad``.

    Its state has the same variables, and its results differ only by float rounding.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable."""
        number = self._get_variable_index(variable)
        own = variable.value if isinstance(variable, keras.Variable) else variable
        step = keras.ops.cast(self.iterations + 1, "float32")
        tf.raw_ops.ResourceApplyAdam(
            var=own.handle,
            m=self._momentums[number].value.handle,
            v=self._velocities[number].value.handle,
            beta1_power=keras.ops.power(self.beta_1, step),
            beta2_power=keras.ops.power(self.beta_2, step),
            lr=keras.ops.cast(learning_rate, "float32"),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
