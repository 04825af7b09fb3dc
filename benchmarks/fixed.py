"""Two fixed recipes that train until a stated time is over, with a network from a ``.keras`` file or by its name.

``two-phases`` is what the articles do, by topwork: the head, then the layers above a place at 1e-5. ``all-opened`` is
plain Keras: ``fit`` on the complete network at 1e-4. Both keep their best epoch. The script reads the folders
``train``, ``val`` and ``test``, and prints one line of JSON.
"""

import time

START = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import keras  # noqa: E402

CLOSING = 8.0
"""The seconds that are left for the test at the end."""

EPOCHS = 1000
"""More epochs than fit into the time."""


class Until(keras.callbacks.Callback):
    """Stop when so many seconds have passed since the start of this process."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._end = START + seconds

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if time.perf_counter() > self._end:
            self.model.stop_training = True


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("way", choices=("two-phases", "all-opened"))
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", help="two-phases: the network")
    parser.add_argument("--weights", help="two-phases: its weights")
    parser.add_argument("--place", help="two-phases: the place above which layers are opened")
    parser.add_argument("--out", type=Path, help="two-phases: the folder of the run")
    parser.add_argument("--network", help="all-opened: a .keras file that takes pixels as they are")
    return parser.parse_args()


def two_phases(options: argparse.Namespace) -> dict[str, bool]:
    import topwork as tw
    from benchmarks.stats import answered

    size = options.size
    phases = [
        tw.Phase(f"{options.name}@pool"),
        tw.Phase(f"{options.name}@{options.place}", epochs=EPOCHS, learning_rate=1e-5, schedule="constant", patience=0),
    ]
    run = tw.train(
        options.folder / "pictures.csv",
        recipe=tw.Recipe(
            tuple(phases),
            backbones={options.name: tw.Backbone(options.name, options.weights, size)},
            training=tw.Training(options.seed),
        ),
        callbacks=[Until(options.seconds - CLOSING)],
        out=options.out,
        progress=False,
    )
    return answered(run.path)


def all_opened(options: argparse.Namespace) -> dict[str, bool]:
    keras.utils.set_random_seed(options.seed)
    side = (options.size, options.size)
    train, val, test = (
        keras.utils.image_dataset_from_directory(
            options.folder / part, image_size=side, shuffle=part == "train", seed=options.seed, verbose=False
        )
        for part in ("train", "val", "test")
    )
    names = train.class_names
    files = [Path(path).relative_to(options.folder) for path in test.file_paths]
    network = keras.saving.load_model(options.network, compile=False)
    inputs = keras.Input((*side, 3))
    x = network(inputs, training=False)  # as Keras' guide to fine-tuning has it: batch-norm stays frozen
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    model = keras.Model(inputs, keras.layers.Dense(len(names), activation="softmax")(x))
    model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
    best = keras.callbacks.EarlyStopping(patience=EPOCHS, restore_best_weights=True)
    model.fit(
        train.cache(),
        validation_data=val.cache(),
        epochs=EPOCHS,
        verbose=0,
        callbacks=[best, Until(options.seconds - CLOSING)],
    )
    predicted = model.predict(test, verbose=0).argmax(1)
    return {str(file): file.parent.name == names[i] for file, i in zip(files, predicted)}


def main() -> None:
    options = arguments()
    right = two_phases(options) if options.way == "two-phases" else all_opened(options)
    print(json.dumps({"right": right}))


if __name__ == "__main__":
    main()
