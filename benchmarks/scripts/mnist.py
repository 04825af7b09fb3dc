"""The fifth article: the model repeats the digits to 84 x 84 x 3; the first layers of its network are frozen.

https://blog.csdn.net/hgnuxc_1993/article/details/116020911 (CC BY-SA 4.0): the settings are from there, not the code.
"""

import time
from typing import Any

import keras
import numpy as np

from benchmarks.scripts.common import PARTS, Clock, arguments, frozen, network, tell


def main() -> None:
    options = arguments(__doc__)
    with np.load(options.data) as file:
        train, val, test = (_prepared(file[f"x_{part}"], file[f"y_{part}"]) for part in PARTS)
        first = len(file["x_train"]) + len(file["x_val"])
    base = network(options)
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.UpSampling2D(options.sizes[0] // 28)(inputs)
    x = base(keras.layers.Concatenate()([x, x, x]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(1024, activation="relu")(x)
    x = keras.layers.Dropout(0.5)(x)
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))
    for layer in base.layers[: frozen(options, base)]:
        layer.trainable = False
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    built, clock = time.perf_counter(), Clock()
    fitting = {"batch_size": options.batch, "epochs": options.epochs[0], "validation_data": val, "verbose": 0}
    model.fit(*train, **fitting, callbacks=[clock])
    tell(model, test, [f"X[{first + i}]" for i in range(len(test[0]))], built, [clock])


def _prepared(pixels: np.ndarray, labels: np.ndarray) -> tuple[Any, Any]:
    return pixels.reshape(-1, 28, 28, 1).astype("float32") / 255, keras.utils.to_categorical(labels, 10)


if __name__ == "__main__":
    main()
