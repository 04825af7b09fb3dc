"""The code that the articles' scripts share: arguments, pictures from folders, networks, a clock, the printed line."""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

IMPORTED = time.perf_counter()
PARTS = ("train", "val", "test")


def arguments(about: str | None) -> argparse.Namespace:
    """Parse the arguments of a script: its data, and the article's choices for each network or phase."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("data", type=Path, help="folders train, val and test with a folder a class; MNIST: a .npz file")
    parser.add_argument("--builders", nargs="+", help="functions of keras.applications")
    parser.add_argument("--modules", nargs="+", help="the modules of their preprocess_input")
    parser.add_argument("--alphas", nargs="+", type=float, default=[], help="their widths, where they have one")
    parser.add_argument("--weights", nargs="+", help='"imagenet", or files')
    parser.add_argument("--sizes", nargs="+", type=int)
    parser.add_argument("--epochs", nargs="+", type=int, help="of each phase")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--frozen", default="0", help="how many layers, or up to which, are frozen in the end")
    parser.add_argument("--end", help="the layer that the network ends at")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    return options


def network(options: argparse.Namespace, number: int = 0, **more: Any) -> keras.Model:
    """Return a network without its classifier."""
    weights, side = options.weights[number], options.sizes[number]
    builder = getattr(keras.applications, options.builders[number])
    width = {"alpha": options.alphas[number]} if options.alphas else {}
    official = "imagenet" if weights == "imagenet" else None
    found = builder(include_top=False, weights=official, input_shape=(side, side, 3), **width, **more)
    if not official:
        found.load_weights(weights)
    return found


def frozen(options: argparse.Namespace, model: keras.Model) -> int:
    """Return how many of a network's layers are frozen in the last phase."""
    if options.frozen.isdecimal():
        return int(options.frozen)
    return 1 + [layer.name for layer in model.layers].index(options.frozen)


def preprocessing(options: argparse.Namespace, number: int = 0) -> Callable[[Any], Any]:
    """Return the function that converts pixels from 0 to 255 to a network's own scale."""
    return getattr(keras.applications, options.modules[number]).preprocess_input


def folders(options: argparse.Namespace, prepare: Callable[[Any], Any]) -> list[tf.data.Dataset]:
    """Return the three parts: prepared pictures and one-hot labels. Keras decodes the pictures in parallel."""
    found = []
    for part in PARTS:
        read = keras.utils.image_dataset_from_directory(
            options.data / part,
            label_mode="categorical",
            batch_size=options.batch,
            image_size=(options.sizes[0], options.sizes[0]),
            shuffle=part == "train",
            seed=options.seed,
            verbose=False,
        )
        found.append(read.map(lambda x, y: (prepare(x), y), tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE))
    return found


class Clock(keras.callbacks.Callback):
    """Record the milliseconds per step in each epoch, without validation, and the seconds of the complete ``fit``."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.steps: list[float] = []
        self._begun = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._last, self._count = time.perf_counter(), batch + 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.steps.append(1000 * (self._last - self._start) / self._count)

    def on_train_end(self, logs: Any = None) -> None:
        self.seconds = time.perf_counter() - self._begun


def classes(options: argparse.Namespace) -> int:
    """Return the number of classes."""
    return len(list((options.data / "train").iterdir()))


def names(options: argparse.Namespace) -> list[str]:
    """Return the paths of the test part's pictures, relative to the data folder, in the order of `folders`."""
    test = options.data / "test"
    labels = sorted(path.name for path in test.iterdir())
    return [
        str(Path("test", label, name)) for label in labels for name in sorted(p.name for p in (test / label).iterdir())
    ]


def tell(model: keras.Model, test: Any, pictures: Sequence[str], built: float, clocks: Sequence[Clock]) -> None:
    """Evaluate as the article does, then print the times; and, only for the comparison, which answers were right.

    Args:
        model: the trained model.
        test: a dataset of pictures and one-hot labels, or two arrays.
        pictures: the names of the test pictures.
        built: the time at which the model was built.
        clocks: the clock of each phase.
    """
    fitted = time.perf_counter()
    inputs = test if isinstance(test, tuple) else (test,)
    model.evaluate(*inputs, verbose=0)
    done = time.perf_counter()
    labels = test[1] if isinstance(test, tuple) else np.concatenate([y for _, y in test.as_numpy_iterator()])
    found = model.predict(inputs[0], verbose=0).argmax(1) == labels.argmax(1)
    seconds = {"build": built - IMPORTED, "fit": sum(clock.seconds for clock in clocks), "evaluate": done - fitted}
    seconds["aside"] = time.perf_counter() - done
    right = dict(zip(pictures, map(bool, found), strict=True))
    steps = [clock.steps for clock in clocks]
    print(json.dumps({"seconds": seconds, "steps": steps, "accuracy": float(found.mean()), "right": right}))
