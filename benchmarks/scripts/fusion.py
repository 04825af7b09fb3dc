"""The first article's fusion, which the article names but does not show: one picture through two frozen networks."""

import time

import keras

from benchmarks.scripts.common import Clock, arguments, classes, folders, names, network, preprocessing, tell


def main() -> None:
    options = arguments(__doc__)
    train, val, test = folders(options, lambda x: x)
    inputs = keras.Input((options.sizes[0], options.sizes[0], 3))
    ends = []
    for number, side in enumerate(options.sizes):
        base = network(options, number, name=f"network_{number}")
        base.trainable = False
        x = keras.layers.Resizing(side, side)(inputs)
        ends.append(keras.layers.GlobalAveragePooling2D()(base(preprocessing(options, number)(x), training=False)))
    x = keras.layers.Dense(1024, activation="relu")(keras.layers.Concatenate()(ends))
    model = keras.Model(inputs, keras.layers.Dense(classes(options), activation="softmax")(x))
    model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
    built, clock = time.perf_counter(), Clock()
    model.fit(train, validation_data=val, epochs=options.epochs[0], verbose=0, callbacks=[clock])
    tell(model, test, names(options), built, [clock])


if __name__ == "__main__":
    main()
