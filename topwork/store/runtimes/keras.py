"""The runtime ``keras``, for machines with a GPU or without OpenVINO, and for networks that OpenVINO cannot run."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from topwork.system import gpu

CPU_BATCH, GPU_BATCH = 32, 256
"""Pictures per call. On a GPU, a call takes as long as hundreds of pictures do (docs/log.md, 2026-11-26)."""


class Keras:
    """A trunk that runs on the backend of Keras.

    Args:
        trunk: a functional ``keras.Model`` with uint8 pixels as its input and the cut's tensors as its outputs.
    """

    def __init__(self, trunk: Any) -> None:
        self.beside = gpu.at_hand()
        self._trunk, self._batch = trunk, GPU_BATCH if self.beside else CPU_BATCH
        self.trial = 4 * self._batch
        if self.beside:
            self._run([np.zeros((1, *trunk.input_shape[1:]), np.uint8)])  # compile now: no estimate of time includes it

    def stream(self, batches: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """See `topwork.store.runtimes.base.Runtime`. Small batches are gathered while an earlier large batch runs."""
        running: deque[Future[list[np.ndarray]]] = deque()
        gathered: list[np.ndarray] = []
        with ThreadPoolExecutor(1) as pool:
            for batch in batches:
                gathered.append(batch)
                if sum(map(len, gathered)) >= self._batch:
                    running.append(pool.submit(self._run, gathered))
                    gathered = []
                if len(running) > 1:
                    yield running.popleft().result()
            if gathered:
                running.append(pool.submit(self._run, gathered))
            while running:
                yield running.popleft().result()

    def _run(self, gathered: list[np.ndarray]) -> list[np.ndarray]:
        count = sum(map(len, gathered))
        lacking = [gathered[-1][-1:]] * (self._batch - count)  # a fixed shape, so that it is traced once
        outputs = self._trunk.predict_on_batch(np.concatenate([*gathered, *lacking]))
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        return [np.asarray(output)[:count] for output in outputs]
