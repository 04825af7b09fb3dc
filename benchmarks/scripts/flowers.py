"""The fourth article: a frozen ResNet50, its map flattened, then three blocks of batch-norm and dense; augmented.

As in the article, the pixels are BGR divided by 255, although the weights were trained on another scale. The article's
shear of 0.2 degrees moves no picture by a whole pixel and is left out. ``--end pool`` averages the map instead.
"""

import time

import keras

from benchmarks.scripts.common import Clock, arguments, classes, folders, names, network, tell


def main() -> None:
    options = arguments(__doc__)
    train, val, test = folders(options, lambda x: x[..., ::-1] / 255.0)
    base = network(options)
    for layer in base.layers:
        layer.trainable = False
    inputs = keras.Input(base.input_shape[1:])
    x = base(augmentation()(inputs), training=False)
    x = keras.layers.GlobalAveragePooling2D()(x) if options.end == "pool" else keras.layers.Flatten()(x)
    for units in (2048, 1024):
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Dense(units, "relu", kernel_initializer=keras.initializers.HeNormal(seed=42))(x)
    x = keras.layers.BatchNormalization()(x)
    model = keras.Model(inputs, keras.layers.Dense(classes(options), activation="softmax")(x))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    built, clock = time.perf_counter(), Clock()
    model.fit(train, validation_data=val, epochs=options.epochs[0], verbose=0, callbacks=[clock])
    tell(model, test, names(options), built, [clock])


def augmentation() -> keras.Sequential:
    """Return augmentation layers with the article's ``ImageDataGenerator`` ranges: fractions of a turn or a side."""
    return keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(40 / 360, fill_mode="nearest"),
            keras.layers.RandomTranslation(0.4, 0.4, fill_mode="nearest"),
            keras.layers.RandomZoom(0.3, 0.3, fill_mode="nearest"),
        ]
    )


if __name__ == "__main__":
    main()
