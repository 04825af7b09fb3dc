"""The answers of an exported model: what it says of one row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Guess:
    """The model's answer for one row.

    Args:
        path: the path of the picture. If the row has several pictures: the path of the first picture. For bytes and
            arrays: a text such as ``"pictures[3]"``.
        label: the most probable class. ``""`` if a picture of the row cannot be read.
        probability: the probability of *label*.
        probabilities: the probability of each class, in the order of `Predictor.labels`.
        error: why a picture of the row cannot be read. ``None`` if all pictures of the row were read.
        known: whether the row is like what the model was trained on: its distance is at most the threshold, which
            accepts about 95 of 100 pictures of the trained classes. ``None`` if the file has no distance, or on an
            error.
        distance: the distance from what the model was trained on (`topwork.networks.outputs.distance`).
    """

    path: str
    label: str
    probability: float
    probabilities: dict[str, float]
    error: str | None = None
    known: bool | None = None
    distance: float | None = None

    def __repr__(self) -> str:
        answer = self.error or f"{self.label!r}, {self.probability:.3f}"
        if self.known is False:
            answer = f"unknown (nearest: {self.label!r}, {self.probability:.3f})"
        return f"<Guess: {self.path!r}, {answer}>"

    def as_json(self, top: int | None = None) -> dict[str, Any]:
        """Return the answer as a JSON object, as ``topwork predict --json`` prints it.

        Args:
            top: only so many of the likeliest classes are in ``probabilities``; ``None``: all.
        """
        if self.error:
            nothing = dict.fromkeys(("label", "probability", "known", "distance"))
            return {"path": self.path, **nothing, "probabilities": {}, "error": self.error}
        return {
            "path": self.path,
            "label": self.label,
            "probability": self.probability,
            "probabilities": dict(self.likeliest(top)) if top else self.probabilities,
            "known": self.known,
            "distance": self.distance,
        }

    def likeliest(self, top: int) -> list[tuple[str, float]]:
        """Return the likeliest classes with their probabilities, the likeliest first."""
        return sorted(self.probabilities.items(), key=lambda pair: -pair[1])[:top]


@dataclass(frozen=True)
class Answer:
    """What the network said of one row.

    Args:
        path: as in `Guess`.
        pixels: what the network saw: one array for each of `Predictor.inputs`, uint8 ``[height, width, 3]``.
        sizes: the original (width, height) of the picture for each input.
        outputs: by name (`topwork.networks.outputs.complete`), without the batch.
        error: as in `Guess`.
    """

    path: str
    pixels: Sequence[np.ndarray] = ()
    sizes: Sequence[tuple[int, int]] = ()
    outputs: Mapping[str, np.ndarray] = field(default_factory=dict)
    error: str | None = None
