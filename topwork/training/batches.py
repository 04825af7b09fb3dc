"""What Keras' ``fit`` reads: each epoch every training row once, in an order and of views that are drawn from what the
run fixes alone: seed, phase and epoch, and for the view the picture's content.
"""

from functools import cached_property

import keras
import numpy as np

from topwork.recipes.settings import Training
from topwork.store.examples import Examples


class Feed(keras.utils.PyDataset):
    """Batches of activations and labels for the epochs of a phase, one after another.

    One iterator for the whole phase: ``fit`` with ``steps_per_epoch`` keeps it. A new one an epoch costs more than the
    steps of a small head (docs/log.md, 2026-11-23).

    Args:
        part: the training part.
        classes: how many there are.
        batch_size: rows per step; an epoch's last step may have fewer.
        epochs: the first epoch, from 0, and the one after the last.
        number: the phase's; with the seed and the epoch it fixes the order.
        training: what all phases share.
    """

    def __init__(
        self, part: Examples, classes: int, batch_size: int, epochs: tuple[int, int], number: int, training: Training
    ) -> None:
        super().__init__()
        self.part, self.classes, self.epochs, self.training = part, classes, epochs, training
        self.batch_size = batch_size
        self.weights = _weights(part.labels) if training.class_weight == "balanced" else None
        self._seed = training.seed, number
        self._turned: tuple[int, np.ndarray, np.ndarray] = (-1, np.empty(0, np.int64), np.empty(0, np.int64))
        drops = training.drop_last and len(part) >= batch_size
        self.steps = len(part) // batch_size if drops else -(-len(part) // batch_size)

    def __len__(self) -> int:
        return (self.epochs[1] - self.epochs[0]) * self.steps

    def __getitem__(self, step: int) -> tuple:
        """The batch of one step: activations (one array, or a tuple of them), targets, and weights if any."""
        rows, places = self.order_at(step)
        arrays = self.part.take(places)
        inputs = arrays[0] if len(arrays) == 1 else tuple(arrays)
        weights = () if self.weights is None else (self.weights[rows],)
        return inputs, targets(self.part.labels[rows], self.classes, self.training.loss), *weights

    def order_at(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of one step, and where the views that they show lie in the part."""
        epoch, number = divmod(step, self.steps)
        where = slice(number * self.batch_size, (number + 1) * self.batch_size)
        rows, places = (some[where] for some in self._turn(self.epochs[0] + epoch))
        return rows, places

    def order(self, epoch: int) -> np.ndarray:
        """The order of the rows in an epoch (from 0)."""
        draw = np.random.default_rng((*self._seed, epoch))
        if self.training.sampling == "balanced":
            return _balanced(self.part.labels, draw)
        return draw.permutation(len(self.part))

    def views(self, epoch: int) -> np.ndarray:
        """For each row the view that an epoch shows."""
        if self.part.views == 1:
            return np.zeros(len(self.part), np.int64)
        salt = np.random.default_rng((*self._seed, epoch, 1)).integers(2**64, dtype=np.uint64)
        return (_mixed(self._contents ^ salt) % np.uint64(self.part.views)).astype(np.int64)

    @cached_property
    def _contents(self) -> np.ndarray:
        return np.array([int(content[:16], 16) for content in self.part.contents], np.uint64)

    def order_of(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of an epoch's steps in their order, and where the views that they show lie in the part."""
        rows = self.order(epoch)[: self.steps * self.batch_size]
        return rows, self.views(epoch)[rows] * len(self.part) + rows

    def _turn(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        if epoch != self._turned[0]:
            self._turned = epoch, *self.order_of(epoch)
        return self._turned[1:]


def targets(labels: np.ndarray, classes: int, loss: str) -> np.ndarray:
    """What the loss compares with: one-hot float32 ``[rows, classes]``, or of two classes 0 or 1 ``[rows, 1]``."""
    if loss == "binary":
        return labels[:, None].astype(np.float32)
    return np.eye(classes, dtype=np.float32)[labels]


def _weights(labels: np.ndarray) -> np.ndarray:
    """Weights of the rows, 1 on average, so that every class weighs the same."""
    counts = np.bincount(labels)
    return (len(labels) / ((counts > 0).sum() * counts[labels])).astype(np.float32)


def _balanced(labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """As many rows as there are, classes in turn, each class's rows used up before one comes again."""
    classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    each = -(-len(labels) // len(classes))
    shuffled = [
        np.concatenate([draw.permutation(rows) for _ in range(-(-each // len(rows)))])[:each] for rows in classes
    ]
    return draw.permutation(np.stack(shuffled, 1).ravel()[: len(labels)])


def _mixed(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser (Steele, Lea and Flood 2014): every bit of the input moves every bit of the output."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
