"""The first article: InceptionV3 under a dense layer of 1,024 units; first frozen, then its top two blocks trained."""

import time

import keras

from benchmarks.scripts.common import Clock, arguments, classes, folders, frozen, names, network, preprocessing, tell


def main() -> None:
    options = arguments(__doc__)
    train, val, test = folders(options, preprocessing(options))
    base = network(options)
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    x = keras.layers.Dense(1024, activation="relu")(x)
    model = keras.Model(base.input, keras.layers.Dense(classes(options), activation="softmax")(x))
    built, clocks = time.perf_counter(), [Clock(), Clock()]

    for layer in base.layers:
        layer.trainable = False
    model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
    model.fit(train, validation_data=val, epochs=options.epochs[0], verbose=0, callbacks=[clocks[0]])

    for layer in base.layers[frozen(options, base) :]:
        layer.trainable = True
    model.compile(keras.optimizers.SGD(1e-4, momentum=0.9), "categorical_crossentropy", metrics=["accuracy"])
    model.fit(train, validation_data=val, epochs=options.epochs[1], verbose=0, callbacks=[clocks[1]])
    tell(model, test, names(options), built, clocks)


if __name__ == "__main__":
    main()
