"""The distance of a picture from the pictures that a model was trained on.

It is the sum of two numbers, which complement each other (docs/log.md, 2026-11-30). One is how small the largest logit
is, less the mean of all (Vaze, Han, Vedaldi & Zisserman 2022, Open-set recognition: a good closed-set classifier is all
you need, arXiv:2110.06207). The other is how unlike the features are to the nearest of some centres of the training
pictures. Each is divided by its standard deviation on pictures that the model did not learn from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from keras import KerasTensor

TINY = 1e-6
"""The least length of features by which they are divided."""


@dataclass(frozen=True)
class Measure:
    """The distance of one network.

    Args:
        centres: columns of length 1, float16 ``[features, centres]``. Each is the direction of the mean of several
            pictures.
        logit: mean and standard deviation of `largest`, of pictures that were not learned.
        cosine: the same of the largest cosine between features and centres.
    """

    centres: np.ndarray
    logit: tuple[float, float]
    cosine: tuple[float, float]

    def __call__(self, features: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Return distances, float64 ``[n]``.

        Args:
            features: from `unit`, float ``[n, features]``.
            logits: float ``[n, classes]``.
        """
        nearest = (features @ self.centres.astype(np.float32)).max(1)
        parts = zip((largest(logits), nearest), (self.logit, self.cosine))
        return np.asarray(sum((mean - found) / deviation for found, (mean, deviation) in parts), float)

    def symbolic(self, ends: "Sequence[KerasTensor]", logits: "KerasTensor", word: str = "") -> "KerasTensor":
        """Return the symbolic distance, float32 ``[batch]``.

        It is computed by kinds of operations that networks hardly use elsewhere, so that a file in 8 bits can keep them
        in float32 (`topwork.shipping.formats.litert`).

        Args:
            ends: the vectors or maps in which the backbones end.
            logits: ``[batch, classes]``.
            word: is put before the names of the new layers.
        """
        from keras import layers, ops

        cosines, start = [], 0
        for number, end in enumerate(ends):
            vector = averaged(end, f"{word}topwork_mean_{number}")
            dense = layers.Dense(self.centres.shape[1], use_bias=False, name=f"{word}topwork_centres_{number}")
            products = dense(vector)
            dense.set_weights([self.centres[start : (start := start + vector.shape[1])].astype(np.float32)])
            cosines.append(products / _length(vector, ops))
        nearest = cosines[0] if len(cosines) == 1 else ops.sum(ops.stack(cosines, axis=1), axis=1)
        parts = [ops.max(logits, axis=1), ops.sum(logits, axis=1), ops.max(nearest, axis=1)]
        logit, cosine = 1 / self.logit[1], 1 / self.cosine[1]
        weights = [-logit, logit / logits.shape[1], -cosine]
        return weighted(parts, weights, self.logit[0] * logit + self.cosine[0] * cosine, f"{word}topwork_distance")


@dataclass(frozen=True)
class Distance:
    """The distance of a model, and the limit up to which a picture counts as known.

    Args:
        measures: one; of a join, one for each member. The distance is their mean.
        threshold: a picture is known if its distance is at most this.
        accepted: the share of further pictures of the trained classes that are known, about.
    """

    measures: tuple[Measure, ...]
    threshold: float
    accepted: float

    def values(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, as they are saved in a run folder."""
        found = {"threshold": np.array(self.threshold), "accepted": np.array(self.accepted)}
        for number, one in enumerate(self.measures, 1):
            own = {"centres": one.centres, "logit": np.array(one.logit), "cosine": np.array(one.cosine)}
            found |= {f"{number}/{name}": values for name, values in own.items()}
        return found

    @classmethod
    def of(cls, values: Mapping[str, np.ndarray]) -> "Distance":
        """Make a distance from the arrays that `values` returned."""
        measures: list[Measure] = []
        while f"{len(measures) + 1}/centres" in values:
            number = len(measures) + 1
            logit, cosine = (tuple(map(float, values[f"{number}/{name}"])) for name in ("logit", "cosine"))
            measures.append(Measure(values[f"{number}/centres"], logit, cosine))  # type: ignore[arg-type]
        return cls(tuple(measures), float(values["threshold"]), float(values["accepted"]))


def unit(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Return the features of several backbones side by side; those of each have the length 1.

    Args:
        blocks: float ``[n, features]``, one for each backbone.

    >>> unit([np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]])]).round(3).tolist()
    [[0.6, 0.8, 0.0, 1.0]]
    """
    return np.hstack([block / _length(block, np) for block in blocks])


def largest(logits: np.ndarray) -> np.ndarray:
    """Return the largest logit less the mean of all, ``[n]``. It stays if a number is added to all logits of a picture.

    >>> largest(np.array([[0.0, 8.0], [0.0, -8.0]])).tolist()
    [4.0, 4.0]
    """
    return np.asarray(logits.max(1) - logits.mean(1))


def weighted(parts: "Sequence[KerasTensor]", weights: Sequence[float], bias: float, name: str) -> "KerasTensor":
    """Return the symbolic weighted sum of numbers ``[batch]``; see `Measure.symbolic` on the operations."""
    from keras import layers, ops

    dense = layers.Dense(1, name=name)
    found = dense(ops.stack(parts, axis=1))
    dense.set_weights([np.array([weights], np.float32).T, np.array([bias], np.float32)])
    return ops.max(found, axis=1)  # of one number


def averaged(end: "KerasTensor", name: str) -> "KerasTensor":
    """Return where a backbone ends as a vector: the average over all places, ``[batch, features]``."""
    from keras import layers, ops

    if len(end.shape) == 4:
        return layers.GlobalAveragePooling2D(name=name)(end)
    return ops.mean(end, axis=tuple(range(1, len(end.shape) - 1))) if len(end.shape) > 2 else end


def _length(vectors: Any, ops: Any) -> Any:
    return ops.maximum(ops.sqrt(ops.sum(ops.square(vectors), axis=1, keepdims=True)), TINY)
