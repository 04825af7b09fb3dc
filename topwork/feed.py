"""What Keras' ``fit`` reads: each epoch every training row once, in an order drawn from seed, phase and epoch alone."""

import keras
import numpy as np

from topwork.part import Part


class Feed(keras.utils.PyDataset):
    """Batches of activations and labels for all epochs of a phase, one after another.

    One iterator for the whole phase: ``fit`` with ``steps_per_epoch`` keeps it. A new one an epoch costs more than the
    steps of a small head (docs/log.md, 2026-11-23).

    Args:
        part: the training part.
        batch: rows a step; an epoch's last step may have fewer.
        epochs: how many epochs there are.
        seed: the run's seed and the phase's number; with the epoch they fix the order.
    """

    def __init__(self, part: Part, batch: int, epochs: int, seed: tuple[int, int]) -> None:
        super().__init__()
        self._part, self._batch, self._epochs, self._seed = part, batch, epochs, seed
        self._epoch, self._order = -1, np.empty(0, np.int64)
        self.steps = -(-len(part) // batch)

    def __len__(self) -> int:
        return self._epochs * self.steps

    def __getitem__(self, step: int) -> tuple:
        """The batch of one step: activations (one array, or a tuple of them) and labels."""
        epoch, place = divmod(step, self.steps)
        rows = self.order(epoch)[place * self._batch : (place + 1) * self._batch]
        arrays = self._part.take(rows)
        return arrays[0] if len(arrays) == 1 else tuple(arrays), self._part.labels[rows]

    def order(self, epoch: int) -> np.ndarray:
        """The order of the rows in an epoch (from 0)."""
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng((*self._seed, epoch)).permutation(len(self._part))
        return self._order
