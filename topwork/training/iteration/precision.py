"""The precision of the layers that train: float32, or one of Keras' mixed policies if it is faster on this machine.

A short measurement decides. It is made once per machine and top, and its result is saved under ``TOPWORK_HOME``.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import keras
import numpy as np
from keras.layers import InputLayer

from topwork.networks.trunk import Trunk
from topwork.recipes.settings import Phase
from topwork.store.examples import Examples
from topwork.system import gpu, keras_backend
from topwork.system.files import home, written_whole
from topwork.system.machine import has_bfloat16, jobs, processor
from topwork.system.messages import say
from topwork.training.iteration.batches import Feed

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}

WORTH = 2e12
"""A measurement is made only if all steps of a phase together have at least this many multiply-adds.

They take about a minute in float32 on two cores.
"""

GPU_WORTH = 5e15
"""The same for a GPU: two minutes on an H200, because a measurement compiles the step twice (docs/log.md, 2026-11-26).
"""


@contextmanager
def applied(model: keras.Model, precision: str) -> Iterator[None]:
    """Let a model's layers compute in *precision* within the context; weights and logits stay float32."""
    layers = [layer for layer in model.layers if layer.name != "logits" and not isinstance(layer, InputLayer)]
    before = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = POLICIES[precision]
        yield
    finally:
        for layer, policy in zip(layers, before):
            layer.dtype_policy = policy


def choose(model: keras.Model, phase: Phase, below: Sequence[Trunk], part: Examples, feed: Feed) -> str:
    """Return the precision of a phase.

    It is the one in the phase's settings. For ``"auto"``, it is the one that was measured to be faster, or float32 if
    the phase is too short for a measurement.
    """
    if phase.precision != "auto":
        return phase.precision
    other = "float16" if gpu.at_hand() else "bfloat16" if has_bfloat16() else None
    work = 3 * sum(node.macs for one in below for node in one.above) * len(part) * phase.iteration.epochs
    if other is None or work < (GPU_WORTH if gpu.at_hand() else WORTH):
        return "float32"

    # A measurement is valid for this machine and the shapes of the layers that train.
    trained = [layer for layer in model.layers if not isinstance(layer, InputLayer)]
    layers = [(layer.name, layer.trainable, str(layer.output.shape)) for layer in trained]
    about = [
        processor(),
        gpu.at_hand(),
        jobs(),
        keras.version(),
        keras_backend.name(),
        phase.iteration.batch_size,
        layers,
    ]
    digest = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    path = home() / "precision" / f"{digest}.json"
    seconds: dict[str, float] = {}
    with suppress(OSError, ValueError):  # not measured yet, or the file is damaged
        seconds = json.loads(path.read_text(encoding="utf-8"))

    if not seconds:
        seconds = {name: _measure(model, feed, name) for name in ("float32", other)}
        with suppress(OSError):  # if this fails, the next run measures again
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(path) as aside:
                aside.write_text(json.dumps(seconds), encoding="utf-8")
        told = ", ".join(f"{1000 * value:.0f} ms in {name}" for name, value in seconds.items())
        say(f"a training step takes {told}; measured once.")
    return min(seconds, key=seconds.__getitem__)


def scaled(optimizer: keras.optimizers.Optimizer, precision: str) -> keras.optimizers.Optimizer:
    """Return the optimizer. For float16, it scales the loss, because small gradients would otherwise become zero.

    ``compile`` does this only if the model itself has the policy ``mixed_float16``; here only its layers have it.
    """
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "float16" else optimizer


def _measure(model: keras.Model, feed: Feed, precision: str) -> float:
    """Return the seconds that a training step takes, the shortest of three; the model's variables are restored."""
    before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.variables]
    batch, found = feed[0], []
    with applied(model, precision):
        model.compile(optimizer="sgd", loss=keras.losses.MeanSquaredError(), jit_compile=keras_backend.compiles())
        for _ in range(4):
            start = time.perf_counter()
            model.train_on_batch(batch[0], batch[1])
            found.append(time.perf_counter() - start)
    for variable, value in zip(model.variables, before):
        variable.assign(value)
    return min(found[1:])
