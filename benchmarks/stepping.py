"""Measure two times per training step: in a run, and with only its trained layers on one batch in memory.

``python -m benchmarks.stepping DATA RUN OUT EPOCHS`` trains with the recipe of RUN again, for EPOCHS in each phase, or
ten times as many if the backbone is frozen. It prints one line of JSON: for each phase, the cut, the precision and the
two times in milliseconds.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from topwork.cut import Cut
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Phase
from topwork.runs.journal import Epoch
from topwork.runs.restore import network_of
from topwork.scoring.drawing import Pencil
from topwork.store.plan import steps
from topwork.system import keras_settings
from topwork.training.run import Run
from topwork.training.train import train


def clock() -> Any:
    """Return a Keras callback that times steps, without scores.

    Its attribute ``phases`` has one list for each ``fit``: the milliseconds per step in each epoch.
    """
    keras_settings.import_keras()  # import it as the command does
    import keras

    class Clock(keras.callbacks.Callback):
        async_safe = keras.config.backend() == "jax"  # else Keras waits for each step, unlike in normal use

        def __init__(self) -> None:
            super().__init__()
            self.phases: list[list[float]] = []

        def on_train_begin(self, logs: Any = None) -> None:
            self.phases.append([])

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._start, self._steps = time.perf_counter(), 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # if logs are numbers, the step has ended
            self._last, self._steps = time.perf_counter(), max(batch + 1, self._steps)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.phases[-1].append(1000 * (self._last - self._start) / self._steps)

    return Clock()


def bound(run: Run, number: int, epochs: int) -> float:
    """Return the milliseconds per compiled step of one phase, on one batch in the backend's memory.

    The first of *epochs* epochs is not counted: it warms up.

    Args:
        run: the run; number: which of its phases, from 0.
        epochs: how many epochs are run.
    """
    import keras

    from topwork.system import keras_backend
    from topwork.training.iteration import precision
    from topwork.training.iteration.optimizers import optimizer
    from topwork.training.iteration.phase import steps_a_call

    network, step = network_of(run.folder), steps(run.recipe)[number]
    below, phase = step.trunks(), step.phase
    model = network.above(below)
    network.freeze(below, phase.batch_norm)
    inputs = [_drawn(tensor, phase.batch_size) for one in below for tensor in one.tensors]
    classes, rows = len(run.data.classes), len(run.data.part("train"))
    targets = np.eye(classes, dtype=np.float32)[np.arange(phase.batch_size) % classes]
    count = max(1, rows // phase.batch_size if run.recipe.training.drop_last else -(-rows // phase.batch_size))
    with precision.applied(model, _last_line(run, number).precision):
        model.compile(
            optimizer(phase, count),
            keras.losses.CategoricalCrossentropy(from_logits=True),
            steps_per_execution=steps_a_call(model, count),
            jit_compile=keras_backend.compiles(),
        )
        timer, batch = clock(), (inputs[0] if len(inputs) == 1 else tuple(inputs), targets)
        model.fit(_held(batch, count * epochs), epochs=epochs, steps_per_epoch=count, verbose=0, callbacks=[timer])
    return median(timer.phases[0][1:] or timer.phases[0])


def _held(batch: tuple, count: int) -> Any:
    """Return a dataset with the same batch *count* times, in the backend's own memory."""
    import keras

    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.data.Dataset.from_tensors(batch).cache().repeat(count)
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, batch)

    class Held(keras.utils.PyDataset):
        def __len__(self) -> int:
            return count

        def __getitem__(self, _: int) -> tuple:
            return tensors

    return Held()


def _drawn(tensor: Any, batch: int) -> np.ndarray:
    draw, shape = np.random.default_rng(0), (batch, *tensor.shape)
    return draw.integers(0, 256, shape, np.uint8) if tensor.dtype == "uint8" else draw.random(shape, np.float32)


def _last_line(run: Run, number: int) -> Epoch:
    return [line for line in run.journal if line.phase == number + 1][-1]


def _is_frozen(phase: Phase) -> bool:
    """Whether the phase trains no layer of its backbones: epochs are then too short to measure only two or three."""
    return all(term.place == term.end for term in Cut.parse(phase.cut).terms)


def main() -> None:
    """Train again, and print the times per step."""
    data, before, out, epochs = sys.argv[1], *map(Path, sys.argv[2:4]), int(sys.argv[4])
    recipe = Recipe.load(before / "recipe.toml")
    short = tuple(replace(p, epochs=epochs * (10 if _is_frozen(p) else 1), patience=0) for p in recipe.phases)
    timer = clock()
    with Pencil() as pencil:  # as in a later fold: its import of matplotlib, longer than 30 short epochs, is over
        pencil.draw("confusion", out.with_suffix(".png"), [[1]], ["one"])
    run = train(data, recipe=replace(recipe, phases=short), out=out, callbacks=[timer])
    found = [
        {
            "cut": phase.cut,
            "precision": _last_line(run, number).precision,
            "topwork": median(timer.phases[number][1:] or timer.phases[number]),
            "bound": bound(run, number, phase.epochs),
        }
        for number, phase in enumerate(short)
    ]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
