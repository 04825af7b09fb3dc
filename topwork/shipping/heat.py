"""Heat maps of an exported model: where in a picture its answer comes from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from topwork.networks.outputs.names import MAP
from topwork.scoring.plots.heat import Ask, beyond_mean, occluded, overlaid
from topwork.shipping.answers import Answer
from topwork.shipping.copies import safe
from topwork.shipping.metadata import Input
from topwork.system.files import NewNames, named_if_full

if TYPE_CHECKING:
    from PIL import Image

ACTIVATION, OCCLUSION = "class activation map", "occlusion"

LONG = 448
"""The longer side of a heat map as a picture, in pixels."""


@dataclass(frozen=True)
class Heat:
    """A heat map of one picture.

    Args:
        path: as in `topwork.shipping.answers.Guess`.
        picture: the column of the picture; ``None`` if a row is one picture.
        label: the class that it is about.
        method: ``"class activation map"``, which shows exactly what each place adds to the logit of the class beyond
            the mean of all classes; or ``"occlusion"``: by how much its log-odds fall if the place is covered.
        values: float32 ``[rows, columns]``. Where they are positive, the picture speaks for the class.
        pixels: the picture as the network saw it, uint8 ``[height, width, 3]``.
        size: width and height of `image`.
        error: why a picture of the row cannot be read; there is then no map.
    """

    path: str
    picture: str | None
    label: str
    method: str
    values: np.ndarray
    pixels: np.ndarray
    size: tuple[int, int]
    error: str | None = None

    def __repr__(self) -> str:
        return f"<Heat: {self.path!r}, {self.error or f'{self.label!r} by {self.method}'}>"

    @classmethod
    def unread(cls, path: str, error: str) -> "Heat":
        """Return what stands for the heat maps of a row of which a picture cannot be read."""
        return cls(path, None, "", "", np.zeros((0, 0), np.float32), np.zeros((0, 0, 3), np.uint8), (0, 0), error)

    def image(self) -> "Image.Image":
        """Return the picture in grey, with what speaks for the class in colour."""
        from PIL import Image

        return Image.fromarray(overlaid(self.pixels, self.values, self.size))


def heats(answer: Answer, inputs: Sequence[Input], ask: Ask, number: int, label: str) -> list[Heat]:
    """Return the heat map of each picture in a row.

    Args:
        answer: of the row.
        inputs: of the model.
        ask: runs the network, for occlusion.
        number, label: the position and the name of the class.
    """
    found = []
    for column in dict.fromkeys(one.picture for one in inputs):
        places = [place for place, one in enumerate(inputs) if one.picture == column]
        seen, original, fit = answer.pixels[places[0]], answer.sizes[places[0]], inputs[places[0]].fit.fit
        if MAP in answer.outputs:
            method, values = ACTIVATION, beyond_mean(answer.outputs[MAP], number)
        else:
            method, values = OCCLUSION, occluded(answer.pixels, places, ask, number)
        found.append(Heat(answer.path, column, label, method, values, seen, _shown(seen, original, fit)))
    return found


def _shown(pixels: np.ndarray, original: tuple[int, int], fit: str) -> tuple[int, int]:
    """Return the size of a heat map: a picture that was squashed gets its shape back."""
    width, height = original if fit == "squash" else pixels.shape[1::-1]
    factor = LONG / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


class HeatFiles:
    """A new folder with heat maps as PNG.

    Args:
        place: the folder; it is made now.
        explain: makes the heat maps of a row.
    """

    def __init__(self, place: Path, explain: Callable[[Answer], list[Heat]]) -> None:
        self.place, self.count, self.methods = place, 0, set[str]()
        self._explain, self._new = explain, NewNames()
        place.mkdir()

    def save(self, answer: Answer) -> list[str]:
        """Save the heat maps of a row, and return their paths. They have the name of the row's first picture."""
        paths = []
        for one in self._explain(answer):
            mark = f"-{safe(one.picture)}" if one.picture else ""
            path = self._new.path(self.place / f"{Path(answer.path).stem}{mark}.png")
            with named_if_full(path):
                one.image().save(path, compress_level=1)  # 4 times faster than Pillow's 6, and a fifth larger
            paths.append(str(path))
            self.methods.add(one.method)
        self.count += len(paths)
        return paths
