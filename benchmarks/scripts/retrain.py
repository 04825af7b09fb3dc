"""The third article: a new last layer on InceptionV3; an optional second phase trains the whole network.

The article keeps the inputs of the last layer on disk. This script does not: it calls ``fit`` on the whole model.
"""

import time

import keras

from benchmarks.scripts.common import Clock, arguments, classes, folders, names, network, preprocessing, tell


def main() -> None:
    options = arguments(__doc__)
    train, val, test = folders(options, preprocessing(options))
    base = network(options, pooling="avg")
    base.trainable = False
    model = keras.Model(base.input, keras.layers.Dense(classes(options), activation="softmax")(base.output))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    built, clocks = time.perf_counter(), [Clock() for _ in options.epochs]
    model.fit(train, validation_data=val, epochs=options.epochs[0], verbose=0, callbacks=[clocks[0]])
    if clocks[1:]:
        base.trainable = True
        model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), "categorical_crossentropy", metrics=["accuracy"])
        model.fit(train, validation_data=val, epochs=options.epochs[1], verbose=0, callbacks=[clocks[1]])
    tell(model, test, names(options), built, clocks)


if __name__ == "__main__":
    main()
