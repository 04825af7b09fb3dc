"""The first article: an InceptionV3 that ends at a layer in its middle, first frozen, then with two blocks trained.

This script uses a new input layer. The article's code makes one as well, but builds its model from the old one.
"""

import time

import keras

from benchmarks.scripts.common import Clock, arguments, classes, folders, frozen, names, network, preprocessing, tell


def main() -> None:
    options = arguments(__doc__)
    train, val, test = folders(options, preprocessing(options))
    base = network(options)
    partial = keras.Model(base.input, base.get_layer(options.end).output)
    inputs = keras.Input(base.input_shape[1:])
    x = keras.layers.GlobalAveragePooling2D()(partial(inputs))
    x = keras.layers.Dense(1024, activation="relu")(x)
    model = keras.Model(inputs, keras.layers.Dense(classes(options), activation="softmax")(x))
    built, clocks = time.perf_counter(), [Clock(), Clock()]

    partial.trainable = False
    model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
    model.fit(train, validation_data=val, epochs=options.epochs[0], verbose=0, callbacks=[clocks[0]])

    partial.trainable = True
    for layer in partial.layers[: frozen(options, partial)]:
        layer.trainable = False
    model.compile(keras.optimizers.SGD(1e-4, momentum=0.9), "categorical_crossentropy", metrics=["accuracy"])
    model.fit(train, validation_data=val, epochs=options.epochs[1], verbose=0, callbacks=[clocks[1]])
    tell(model, test, names(options), built, clocks)


if __name__ == "__main__":
    main()
