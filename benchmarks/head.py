"""How a head's accuracy depends on its initial values and on the choice of the epoch, over folds of several seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.draw import draw
from benchmarks.folds import parts
from benchmarks.frozen import Plan
from topwork.data.readers import read
from topwork.networks import heads
from topwork.recipes.settings import Backbone, Head
from topwork.scoring.metrics import cross_entropy
from topwork.store.activations import activations

INITIAL = {"zeros": "zeros (topwork)", "glorot_uniform": "Glorot's uniform values (Keras)"}


@dataclass(frozen=True)
class Accuracy:
    """Means over all runs with one way to set the initial values.

    Args:
        initial: the name of the initial values.
        best: test accuracy with the weights of the epoch that has the lowest validation loss.
        last: test accuracy with the weights of the last epoch.
        epoch: the number of the epoch that has the lowest validation loss, from 1.
    """

    initial: str
    best: float
    last: float
    epoch: float


def measure(plan: Plan, scratch: Path) -> list[Accuracy]:
    """Train every head. All files are written below *scratch*."""
    data = read(plan.data or draw(scratch / "drawn", plan.pictures), decode=True)
    backbone = Backbone(plan.backbone, plan.weights, plan.size)
    x = np.asarray(activations(data, f"{plan.backbone}@pool", backbone=backbone), np.float32)
    y = np.array([data.classes.index(row.label) for row in data.rows])
    found = []
    for initial, name in INITIAL.items():
        runs = [
            _run(initial, seed, plan.epochs, x, y, np.array(parts(data, seed, fold, plan.folds)))
            for seed in range(plan.seeds)
            for fold in range(plan.folds)
        ]
        found.append(Accuracy(name, *np.mean(runs, axis=0).tolist()))
    return found


def _run(
    initial: str, seed: int, epochs: int, x: np.ndarray, y: np.ndarray, part: np.ndarray
) -> tuple[float, float, int]:
    """Train one head, and return `Accuracy.best`, `Accuracy.last` and `Accuracy.epoch` for it."""
    import keras

    model = heads.build(Head(), [x.shape[1:]], int(y.max()) + 1, seed)
    last = model.get_layer("logits")
    last.kernel.assign(keras.initializers.get({"class_name": initial, "config": {}})(last.kernel.shape))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    lines: list[tuple[float, float]] = []

    class Scores(keras.callbacks.Callback):
        """Record the validation loss and the test accuracy of each epoch."""

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            val, test = (model.predict_on_batch(x[part == name]) for name in ("val", "test"))
            lines.append((cross_entropy(y[part == "val"], val), (test.argmax(1) == y[part == "test"]).mean()))

    keras.utils.set_random_seed(seed)
    train = part == "train"
    model.fit(x[train], y[train], batch_size=32, epochs=epochs, verbose=0, callbacks=[Scores()])
    best = int(np.argmin([loss for loss, _ in lines]))
    return lines[best][1], lines[-1][1], best + 1
