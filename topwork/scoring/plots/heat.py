"""Heat maps: where in a picture the answer comes from.

If a linear head reads the average of a map, the class activation map shows it exactly
(`topwork.networks.outputs.class_maps`). For any other network, parts of the picture are covered in turn: where the
class becomes less likely, that part speaks for it (Zeiler & Fergus 2014, ECCV, arXiv:1311.2901).
"""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

GRID = 7
"""A picture is covered in this number of rows and columns of parts, one at a time."""

COLOUR, DARKER = np.array([255, 90, 0], np.float32), 0.7
"""The colour of what speaks for the answer. The grey picture is darker, so that the colour shows on white."""

Ask = Callable[[Sequence[np.ndarray]], np.ndarray]
"""Takes rows of pixels, one uint8 array ``[n, height, width, 3]`` for each input, and returns probabilities."""


def beyond_mean(maps: np.ndarray, number: int) -> np.ndarray:
    """Return what each place adds to the logit of a class, beyond the mean of all classes: float ``[rows, columns]``.

    Args:
        maps: the logits of each place, float ``[rows, columns, classes]``.
        number: the position of the class.
    """
    return maps[..., number] - maps.mean(-1)


def occluded(pixels: Sequence[np.ndarray], covered: Sequence[int], ask: Ask, number: int) -> np.ndarray:
    """Return by how much the log-odds of a class fall where a part of the picture is covered: ``[GRID, GRID]``.

    A part is covered with the mean colour of the picture.

    Args:
        pixels: the row: for each input, uint8 ``[height, width, 3]``.
        covered: the positions of the inputs that see the picture.
        ask: the network.
        number: the position of the class.
    """
    variants = []
    for position, seen in enumerate(pixels):
        each = np.repeat(seen[None], GRID * GRID + 1, 0)
        if position in covered:
            rows, columns = (np.linspace(0, side, GRID + 1).round().astype(int) for side in seen.shape[:2])
            colour = seen.mean((0, 1)).round().astype(np.uint8)
            for place in range(GRID * GRID):
                row, column = divmod(place, GRID)
                each[place, rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = colour
        variants.append(each)
    likely = np.clip(np.asarray(ask(variants), float)[:, number], 1e-7, 1 - 1e-7)
    odds = np.log(likely / (1 - likely))
    return (odds[-1] - odds[:-1]).reshape(GRID, GRID).astype(np.float32)


def overlaid(pixels: np.ndarray, values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a grey picture in which what speaks for the answer is coloured: uint8 ``[height, width, 3]``.

    Args:
        pixels: uint8 ``[height, width, 3]``.
        values: float ``[rows, columns]``: how much each place speaks for the answer.
        size: width and height of the result.
    """
    grey = Image.fromarray(pixels).convert("L").resize(size, Image.Resampling.BILINEAR)
    base = np.repeat(DARKER * np.asarray(grey, np.float32)[..., None], 3, 2)
    share = np.clip(values, 0, None) / max(float(values.max()), 1e-6)
    wide = Image.fromarray(share.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    weight = 0.75 * np.clip(np.asarray(wide), 0, 1)[..., None]
    return (base * (1 - weight) + COLOUR * weight).astype(np.uint8)
