"""The script of a careful user: ``predict`` once into an array, then ``fit`` only the head on this array.

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
import numpy as np  # noqa: E402

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
    return parser.parse_args()


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


def build_trunk(options: argparse.Namespace) -> keras.Model:
    network = pretrained(options)
    inputs = keras.Input((options.size, options.size, 3))
    x = inputs if options.network else getattr(keras.applications, options.module).preprocess_input(inputs)
    x = network(x, training=False)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


def build_head(features: int, classes: int) -> keras.Model:
    layers = keras.layers
    dense = layers.Dense(classes, activation="softmax")
    head = keras.Sequential([keras.Input((features,)), layers.BatchNormalization(), layers.Dropout(0.2), dense])
    head.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return head


def features(
    trunk: keras.Model, folder: Path, size: int, names: list[str]
) -> tuple[np.ndarray, np.ndarray, list[Path]]:
    """Return the trunk's outputs for all pictures of a part, their classes, and their files."""
    found = keras.utils.image_dataset_from_directory(folder, image_size=(size, size), shuffle=False, verbose=False)
    files = [Path(path) for path in found.file_paths]
    return trunk.predict(found, verbose=0), np.array([names.index(file.parent.name) for file in files]), files


def main() -> None:
    options = arguments()
    keras.utils.set_random_seed(options.seed)
    names = sorted(path.name for path in (options.folder / "train").iterdir())
    trunk = build_trunk(options)
    head = build_head(trunk.output_shape[-1], len(names))
    built = time.perf_counter()
    parts = [features(trunk, options.folder / part, options.size, names) for part in ("train", "val", "test")]
    (*train, _), (*val, _), (*test, files) = parts
    predicted = time.perf_counter()
    head.fit(*train, batch_size=32, validation_data=val, epochs=options.epochs, verbose=0)
    fitted = time.perf_counter()
    scores = head.evaluate(*test, verbose=0, return_dict=True)
    done = time.perf_counter()

    answers = head.predict(test[0], verbose=0).argmax(1)  # only for the comparison: its time is subtracted
    right = {str(file.relative_to(options.folder)): file.parent.name == names[i] for file, i in zip(files, answers)}
    times = {"import": IMPORTED - START, "build": built - IMPORTED, "predict": predicted - built}
    times |= {"fit": fitted - predicted, "evaluate": done - fitted}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {**times, "total": done - START, "aside": time.perf_counter() - done}
    print(json.dumps({"seconds": told, "accuracy": scores["accuracy"], "right": right, "ru_maxrss": peak}))


if __name__ == "__main__":
    main()
