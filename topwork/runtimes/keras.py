"""Keras itself: the trunk on a GPU, where OpenVINO is absent, or for networks that OpenVINO cannot run."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from topwork import backend

CPU_BATCH, GPU_BATCH = 32, 128
"""Pictures that are run at once."""


class Keras:
    """A trunk that runs on Keras' backend.

    Args:
        trunk: a functional ``keras.Model`` from uint8 pixels to the cut's tensors.
    """

    def __init__(self, trunk: Any) -> None:
        self._trunk, self._batch = trunk, GPU_BATCH if backend.has_gpu() else CPU_BATCH
        if backend.has_gpu():
            self._run([np.zeros((1, *trunk.input_shape[1:]), np.uint8)])  # compiles, which no time left should count

    def stream(self, batches: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """See `topwork.runtimes.Runtime`. Batches are gathered: on a GPU, and under Python, larger ones are faster."""
        gathered: list[np.ndarray] = []
        for batch in batches:
            gathered.append(batch)
            if sum(map(len, gathered)) >= self._batch:
                yield self._run(gathered)
                gathered = []
        if gathered:
            yield self._run(gathered)

    def _run(self, gathered: list[np.ndarray]) -> list[np.ndarray]:
        pixels = np.concatenate(gathered)
        padded = np.resize(pixels, (max(self._batch, len(pixels)), *pixels.shape[1:]))  # one shape, traced once
        outputs = self._trunk.predict_on_batch(padded)
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        return [np.asarray(output)[: len(pixels)] for output in outputs]
