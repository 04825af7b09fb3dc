"""Neighbours: which pictures look most alike to the network, and how far a picture is from all others.

Features are standardised as a solved head does it (`topwork.scoring.solver`). The similarity of two pictures is the
cosine of the angle between their standardised features.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from topwork.scoring.solver import deviations
from topwork.system.messages import Bar

COUNT = 22
"""How many neighbours of each picture are kept: one more than `topwork.scoring.audit.copies` needs."""

GROUP, MOST = 0.05, 500
"""A group of pictures that are unlike all others has at most this share of the pictures, and at most so many."""

ALIKE = 0.25
"""Above this similarity, a picture may belong to the same group. Of 500 photos of flowers in five classes, half have 12
more similar ones; handwritten digits among photos are all more similar to each other than this."""

MANY = 20_000
"""With more pictures, a bar is shown: each is compared with each."""

BEYOND, TENTH = 40, 0.1
"""How far a picture is from the others is the mean over so many of the pictures beyond its group, or a tenth of all."""

_ROWS, _BYTES = 512, 50_000_000
"""The similarities of at most so many pictures with all others, of at most so many bytes, are computed at once."""


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of each picture.

    Args:
        directions: the standardised features, divided by their norm, float32 ``[n, d]``.
        nearest: the positions of the nearest pictures, the nearest first, int ``[n, count]``.
        similarities: their similarities, from -1 to 1, float32 ``[n, count]``.
        remoteness: how unlike each picture is to all others, from 0 to 2, float32 ``[n]``: 1 minus the mean similarity
            to the `BEYOND` most similar pictures beyond its group. The group of a picture are the pictures that have
            more than `ALIKE`; without it, several equally strange pictures would hide each other.
    """

    directions: np.ndarray
    nearest: np.ndarray
    similarities: np.ndarray
    remoteness: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, widths: Sequence[int] = ()) -> "Neighbours":
        """Find the neighbours of each picture.

        Args:
            features: float32 ``[n, d]``, with n of at least 2.
            widths: the numbers of features of the terms of a sum, in order; by default, there is one term.
        """
        directions = _directions(features, widths)
        nearest, similarities, remoteness = [], [], []
        for similar in _similarities(directions):
            count = min(COUNT, len(features) - 1)
            some = np.argpartition(-similar, count - 1, axis=1)[:, :count]
            values = np.take_along_axis(similar, some, 1)
            order = np.argsort(-values, axis=1, kind="stable")
            nearest.append(np.take_along_axis(some, order, 1))
            similarities.append(np.take_along_axis(values, order, 1))
            remoteness.append(_remoteness(similar))
        return cls(directions, *(np.concatenate(each) for each in (nearest, similarities, remoteness)))

    def closest(self, picture: int, among: np.ndarray, count: int = 3) -> list[int]:
        """Return the positions of the pictures that look most like *picture*, the nearest first.

        Args:
            picture: the position of the picture.
            among: the positions to choose from, int ``[m]``; *picture* itself is not returned.
            count: how many to return, at most.
        """
        among = among[among != picture]
        order = np.argsort(-(self.directions[among] @ self.directions[picture]), kind="stable")
        return among[order[:count]].tolist()


def _directions(features: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    found = features - features.mean(0)
    found /= deviations(np.einsum("ij,ij->j", found, found) / len(found), widths)
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return found


def _similarities(directions: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the similarities of some pictures with all, float32 ``[rows, n]``; that of a picture with itself is -2."""
    count = len(directions)
    rows = max(1, min(_ROWS, _BYTES // (4 * count)))
    with Bar("comparing the pictures") if count > MANY else nullcontext() as bar:
        for start in range(0, count, rows):
            similar = directions[start : start + rows] @ directions.T
            own = np.arange(len(similar))
            similar[own, start + own] = -2
            yield similar
            if bar:
                bar.update(start + len(similar), count)


def _remoteness(similar: np.ndarray) -> np.ndarray:
    others = similar.shape[1] - 1
    limit = min(int(GROUP * (others + 1)), MOST)
    beyond = max(1, min(BEYOND, int(TENTH * (others + 1))))
    count = min(limit + beyond, others)
    top = -np.sort(-np.partition(similar, -count, axis=1)[:, -count:], axis=1)
    begin = np.minimum((top > ALIKE).sum(1), min(limit, count - 1))
    end = np.minimum(begin + beyond, count)
    sums = np.hstack([np.zeros((len(top), 1), np.float32), np.cumsum(top, axis=1)])
    rows = np.arange(len(top))
    return 1 - (sums[rows, end] - sums[rows, begin]) / (end - begin)
