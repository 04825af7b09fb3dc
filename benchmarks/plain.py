"""The plain Keras script that is usual today: the frozen network runs again in every epoch.

The script imports nothing from this project, as a user would write it. It reads the folders ``train``, ``val`` and
``test``, and prints one line of JSON.
"""

import time

START = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import resource  # noqa: E402
from pathlib import Path  # noqa: E402

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

IMPORTED = time.perf_counter()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", default="imagenet", help='"imagenet", or a file')
    parser.add_argument("--builder", default="MobileNetV2", help="a function of keras.applications")
    parser.add_argument("--module", default="mobilenet_v2", help="the module of its preprocess_input")
    parser.add_argument("--alpha", type=float, help="its width, where it has one")
    parser.add_argument("--network", help="a .keras file that takes pixels as they are, in place of the above")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--augment", action="store_true", help="new views of the training pictures in every epoch")
    parser.add_argument("--cache", action="store_true", help="keep the decoded pictures in memory")
    return parser.parse_args()


def dataset(options: argparse.Namespace, part: str) -> tf.data.Dataset:
    size, shuffled = (options.size, options.size), part == "train"
    found = keras.utils.image_dataset_from_directory(  # decodes in parallel and prefetches
        options.folder / part, image_size=size, shuffle=shuffled, seed=options.seed, verbose=False
    )
    if not options.cache or part == "test":
        return found
    kept = found.cache()
    return (kept.shuffle(1000, seed=options.seed) if shuffled else kept).prefetch(tf.data.AUTOTUNE)


def build(options: argparse.Namespace, classes: int) -> keras.Model:
    network = pretrained(options)
    network.trainable = False
    inputs = keras.Input((options.size, options.size, 3))
    x = augmentation()(inputs) if options.augment else inputs
    if not options.network:
        x = getattr(keras.applications, options.module).preprocess_input(x)
    x = network(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.2)(x)
    model = keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def pretrained(options: argparse.Namespace) -> keras.Model:
    if options.network:
        return keras.saving.load_model(options.network, compile=False)
    builder = getattr(keras.applications, options.builder)
    width = {} if options.alpha is None else {"alpha": options.alpha}
    size = (options.size, options.size, 3)
    official = options.weights == "imagenet"
    network = builder(include_top=False, weights="imagenet" if official else None, input_shape=size, **width)
    if not official:
        network.load_weights(options.weights)
    return network


def augmentation() -> keras.Sequential:
    """Return augmentation layers with the ranges of topwork's default views."""
    return keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomZoom(0.1, fill_mode="nearest"),
            keras.layers.RandomRotation(10 / 360, fill_mode="nearest"),
            keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
        ]
    )


def main() -> None:
    options = arguments()
    keras.utils.set_random_seed(options.seed)
    names = sorted(path.name for path in (options.folder / "train").iterdir())
    train, val, test = (dataset(options, part) for part in ("train", "val", "test"))
    model = build(options, len(names))
    built = time.perf_counter()
    model.fit(train, validation_data=val, epochs=options.epochs, verbose=0)
    fitted = time.perf_counter()
    scores = model.evaluate(test, verbose=0, return_dict=True)
    done = time.perf_counter()

    predicted = model.predict(test, verbose=0).argmax(1)  # only for the comparison: its time is subtracted
    files = [Path(path).relative_to(options.folder) for path in test.file_paths]
    right = {str(file): file.parent.name == names[i] for file, i in zip(files, predicted)}
    times = {"import": IMPORTED - START, "build": built - IMPORTED, "fit": fitted - built, "evaluate": done - fitted}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {**times, "total": done - START, "aside": time.perf_counter() - done}
    print(json.dumps({"seconds": told, "accuracy": scores["accuracy"], "right": right, "ru_maxrss": peak}))


if __name__ == "__main__":
    main()
