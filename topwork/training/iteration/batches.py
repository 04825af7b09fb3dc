"""Batches for Keras' ``fit``.

Each epoch has every training row once. The order of the rows depends only on the seed, the phase and the epoch. The
view of a row depends on these and on the content of its picture.
"""

import keras
import numpy as np

from topwork.recipes.settings import Training
from topwork.store.examples import Examples


class Feed(keras.utils.PyDataset):
    """Batches of activations and labels for all epochs of a phase, in order.

    One iterator serves all epochs, as ``fit`` with ``steps_per_epoch`` keeps it. A new iterator per epoch would cost
    more time than the steps of a small head (docs/log.md, 2026-11-23).

    Args:
        part: the activations of the training part.
        classes: the number of classes.
        batch_size: rows per step; an epoch's last step may have fewer.
        epochs: two numbers: the first epoch (counted from 0), and the epoch after the last.
        number: the number of the phase; together with the seed and the epoch, it determines the order.
        training: the settings that all phases share.
    """

    def __init__(
        self, part: Examples, classes: int, batch_size: int, epochs: tuple[int, int], number: int, training: Training
    ) -> None:
        super().__init__()
        self.part, self.classes, self.epochs, self.training = part, classes, epochs, training
        self.batch_size = batch_size
        self.weights = None
        if training.class_weight == "balanced":  # equal totals for all classes, mean 1 over the rows
            counts = np.bincount(part.labels)
            self.weights = (len(part) / ((counts > 0).sum() * counts[part.labels])).astype(np.float32)

        self._seed = training.seed, number
        contents = part.contents if part.views > 1 else ()
        self._contents = np.array([int(content[:16], 16) for content in contents], np.uint64)
        self._turned: tuple[int, np.ndarray, np.ndarray] = (-1, np.empty(0, np.int64), np.empty(0, np.int64))
        drops = training.drop_last and len(part) >= batch_size
        self.steps = len(part) // batch_size if drops else -(-len(part) // batch_size)

    def __len__(self) -> int:
        return (self.epochs[1] - self.epochs[0]) * self.steps

    def __getitem__(self, step: int) -> tuple:
        """Return the batch of one step: activations (an array, or a tuple of arrays), targets, and weights if any."""
        rows, places = self.order_at(step)
        arrays = self.part.take(places)
        inputs = arrays[0] if len(arrays) == 1 else tuple(arrays)
        weights = () if self.weights is None else (self.weights[rows],)
        return inputs, targets(self.part.labels[rows], self.classes, self.training.loss), *weights

    def order_at(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of one step, and the positions of their views in the training part."""
        passed, number = divmod(step, self.steps)
        epoch = self.epochs[0] + passed
        if epoch != self._turned[0]:
            self._turned = epoch, *self.order_of(epoch)
        _, rows, places = self._turned
        where = slice(number * self.batch_size, (number + 1) * self.batch_size)
        return rows[where], places[where]

    def order(self, epoch: int) -> np.ndarray:
        """Return the order of the rows in an epoch (from 0).

        If sampling is balanced, an epoch still has as many rows as the training part, but equally many of each class. A
        row is repeated only after all other rows of its class.
        """
        draw = np.random.default_rng((*self._seed, epoch))
        count = len(self.part)
        if self.training.sampling != "balanced":
            return draw.permutation(count)

        classes = [np.flatnonzero(self.part.labels == label) for label in np.unique(self.part.labels)]
        each = -(-count // len(classes))
        shuffled = []
        for rows in classes:
            rounds = [draw.permutation(rows) for _ in range(-(-each // len(rows)))]
            shuffled.append(np.concatenate(rounds)[:each])
        return draw.permutation(np.stack(shuffled, 1).ravel()[:count])

    def views(self, epoch: int) -> np.ndarray:
        """Return the number of the view that each row has in an epoch, int64 ``[rows]``."""
        if self.part.views == 1:
            return np.zeros(len(self.part), np.int64)
        salt = np.random.default_rng((*self._seed, epoch, 1)).integers(2**64, dtype=np.uint64)
        return (_mixed(self._contents ^ salt) % np.uint64(self.part.views)).astype(np.int64)

    def order_of(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of an epoch in their order, and the positions of their views in the training part."""
        rows = self.order(epoch)[: self.steps * self.batch_size]
        return rows, self.views(epoch)[rows] * len(self.part) + rows


def targets(labels: np.ndarray, classes: int, loss: str) -> np.ndarray:
    """Return the targets of the loss: one-hot float32 ``[rows, classes]``, or for ``"binary"`` 0 or 1 ``[rows, 1]``."""
    if loss == "binary":
        return labels[:, None].astype(np.float32)
    return np.eye(classes, dtype=np.float32)[labels]


def _mixed(values: np.ndarray) -> np.ndarray:
    """Mix the bits of 64-bit values with SplitMix64's finaliser (Steele, Lea and Flood 2014).

    Every bit of the input affects every bit of the output.
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
