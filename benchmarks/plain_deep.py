"""The plain Keras script that fine-tunes: ``fit`` on the complete network, in which the first layers are frozen.

The script imports nothing from this project, as a user would write it. It reads the folders ``train`` and ``val``, and
prints one line of JSON.
"""

import argparse
import json
import time
from pathlib import Path

import keras


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", default="imagenet", help='"imagenet", or a file')
    parser.add_argument("--builder", default="InceptionV3", help="a function of keras.applications")
    parser.add_argument("--module", default="inception_v3", help="the module of its preprocess_input")
    parser.add_argument("--size", type=int, default=299)
    parser.add_argument("--frozen", type=int, default=249, help="how many of its layers are frozen")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--precision", default="float32", help="a Keras dtype policy")
    parser.add_argument("--freeze-batch-norm", action="store_true", help="of the layers that train, too")
    return parser.parse_args()


def build(options: argparse.Namespace, classes: int) -> keras.Model:
    keras.config.set_dtype_policy(options.precision)
    size = (options.size, options.size, 3)
    official = options.weights == "imagenet"
    builder = getattr(keras.applications, options.builder)
    network = builder(include_top=False, weights="imagenet" if official else None, input_shape=size)
    if not official:
        network.load_weights(options.weights)
    for number, layer in enumerate(network.layers):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = number >= options.frozen and not (is_norm and options.freeze_batch_norm)
    inputs = keras.Input(size)
    x = network(getattr(keras.applications, options.module).preprocess_input(inputs))
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.2)(x)
    outputs = keras.layers.Dense(classes, activation="softmax", dtype="float32")(x)
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.Adam(1e-5), "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    return model


class Clock(keras.callbacks.Callback):
    """Record the seconds of each epoch, including validation."""

    def on_train_begin(self, logs: object = None) -> None:
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.seconds.append(time.perf_counter() - self._start)


def main() -> None:
    options = arguments()
    size = (options.size, options.size)
    train, val = (
        keras.utils.image_dataset_from_directory(options.folder / part, image_size=size, seed=0, verbose=False)
        for part in ("train", "val")
    )
    clock = Clock()
    model = build(options, len(train.class_names))
    model.fit(train, validation_data=val, epochs=options.epochs, verbose=0, callbacks=[clock])
    print(json.dumps({"epochs": clock.seconds}))


if __name__ == "__main__":
    main()
