"""What Keras' ``fit`` reads: each epoch every training row once, in an order drawn from seed, phase and epoch alone."""

import keras
import numpy as np

from topwork.part import Part


class Feed(keras.utils.PyDataset):
    """Batches of activations and labels.

    Args:
        part: the training part.
        batch: rows a step; the last may be shorter.
        seed: the run's seed and the phase's number; with the epoch they fix the order.
    """

    def __init__(self, part: Part, batch: int, seed: tuple[int, int]) -> None:
        super().__init__()
        self._part, self._batch, self._seed = part, batch, seed
        self.show(0)

    def show(self, epoch: int) -> None:
        """Take the order of an epoch (from 0)."""
        self.epoch = epoch
        self._order = np.random.default_rng((*self._seed, epoch)).permutation(len(self._part))

    def __len__(self) -> int:
        return -(-len(self._part) // self._batch)

    def __getitem__(self, step: int) -> tuple:
        """The batch of one step: activations (one array, or a tuple of them) and labels."""
        rows = self._order[step * self._batch : (step + 1) * self._batch]
        arrays = self._part.take(rows)
        return arrays[0] if len(arrays) == 1 else tuple(arrays), self._part.labels[rows]

    def on_epoch_end(self) -> None:
        """Go on to the next epoch's order."""
        self.show(self.epoch + 1)
