"""Pictures with their titles on one sheet, as PNG: a grid of any pictures, and a run's answers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork.data.pictures import thumbnail
from topwork.errors import PictureError
from topwork.scoring.gallery import content
from topwork.scoring.plots.style import DOTS, drawable, font, new_figure, own_style, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WRONG, FRAME, FAINT = "#c00000", "#bbbbbb", "#555555"
SIDE = 1.6
"""The longer side of a drawn picture, in inches."""
CRISP = 100
"""Pictures with fewer pixels per side are drawn with visible square pixels."""


@own_style()
def grid(pictures: Sequence[np.ndarray], titles: Sequence[str], path: str | Path, columns: int = 6) -> "Figure":
    """Draw pictures in rows, each below its title.

    Args:
        pictures: uint8 ``[height, width, 3]``; sizes may differ. They are not cropped and keep their proportions.
        titles: one text per picture, of one or two lines.
        path: the PNG to write.
        columns: pictures per row.

    Returns:
        The figure that was saved.

    Example:
        >>> figure = grid([np.zeros((32, 48, 3), np.uint8)], ["black"], "grid.png")
    """
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = new_figure(1.7 * columns, 2 * rows, None)
    sheet = _sheet(figure)
    for place, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        shown = "\n".join(drawable(line, 24) for line in title.splitlines())
        _tile(sheet, place % columns, 2 * (rows - place // columns), picture, shown)
    save(figure, path)
    return figure


@own_style()
def predictions(found: Mapping[str, Any], path: str | Path, columns: int = 6) -> "Figure":
    """Draw pictures between a title (true label, predicted label, its probability) and their names; wrong ones in red.

    Args:
        found: ``heading`` and ``tiles``, from `topwork.scoring.gallery.gallery`. If a picture can no longer be read, a
            grey square is drawn instead.
        path: the PNG to write.
        columns: tiles per row.

    Returns:
        The figure that was saved.

    Example:
        >>> tile = {"pictures": ["gone.png"], "name": "gone.png", "label": "cat", "predicted": "dog"}
        >>> tile |= {"probability": 0.9, "numbers": [0, 1]}
        >>> figure = predictions({"heading": "0 of 1 test picture right.", "tiles": [tile]}, "predictions.png")
    """
    tiles: list[tuple[Mapping[str, Any], np.ndarray]] = []
    side = round(SIDE * DOTS)
    for tile in found["tiles"]:
        pictures = []
        for source in tile["pictures"]:
            try:
                pictures.append(thumbnail(content(source), side))
            except PictureError:
                pictures.append(np.full((side, side, 3), 200, np.uint8))

        tallest = max(len(picture) for picture in pictures)
        gap = np.full((tallest, -(-tallest // 32), 3), 255, np.uint8)
        whole = [np.pad(p, ((0, tallest - len(p)), (0, 0), (0, 0)), constant_values=255) for p in pictures]
        beside = np.hstack([part for picture in whole for part in (gap, picture)][1:])
        tiles.append((tile, beside))

    rows = [tiles[at : at + columns] for at in range(0, len(tiles), columns)]
    heights = [0.6 + max(_size(picture)[1] for _, picture in row) for row in rows]
    width = max(1.7 * len(rows[0]), 3.4)
    heading = fill(found["heading"], int(14 * width))
    top = sum(heights) + 0.05
    figure = new_figure(width, top + 0.15 + 0.16 * (heading.count("\n") + 1), None)
    figure.text(0.5, 1 - 0.1 / figure.get_figheight(), heading, ha="center", va="top", **font(9))
    sheet = _sheet(figure)
    start = (width / 1.7 - len(rows[0])) / 2
    for row, height in zip(rows, heights):
        for column, (tile, picture) in enumerate(row):
            _answer(sheet, start + column, top, tile, picture)
        top -= height
    save(figure, path)
    return figure


def _sheet(figure: "Figure") -> "Axes":
    """Return axes for the tiles of a figure. They cover the figure, and their unit is an inch.

    Separate axes for each tile would take five times as long.
    """
    width, height = figure.get_size_inches()
    sheet = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height), autoscale_on=False)
    sheet.set_axis_off()
    return sheet


def _size(picture: np.ndarray) -> tuple[float, float]:
    """Return the width and the height at which a picture is drawn, in inches."""
    height, width = picture.shape[:2]
    return SIDE * width / max(height, width), SIDE * height / max(height, width)


def _tile(
    sheet: "Axes", column: float, top: float, picture: np.ndarray, title: str, color: str = "black"
) -> tuple[float, float, float, float]:
    """Draw a picture below its title. Return its left, right, lower and upper edge.

    *top* is the height of the row's top edge above the bottom of the figure, in inches.
    """
    width, height = _size(picture)
    middle, upper = 1.7 * column + 0.85, top - 0.37
    edges = (middle - width / 2, middle + width / 2, upper - height, upper)
    interpolation = "nearest" if max(picture.shape) < CRISP else None
    sheet.imshow(picture, extent=edges, aspect="auto", interpolation=interpolation)
    sheet.text(middle, upper + 0.04, title, color=color, ha="center", va="bottom", **font(8))
    return edges


def _answer(sheet: "Axes", column: float, top: float, tile: Mapping[str, Any], picture: np.ndarray) -> None:
    """Draw a picture with its frame, title and name."""
    from matplotlib.patches import Rectangle

    wrong = tile["predicted"] != tile["label"]
    label, predicted = tile["numbers"]
    told = drawable(tile["label"], 24, label), drawable(tile["predicted"], 16, predicted)
    title = f"{told[0]}\n→ {told[1]} ({tile['probability']:.2f})"
    left, right, lower, upper = _tile(sheet, column, top, picture, title, WRONG if wrong else "black")
    color, line = (WRONG, 3) if wrong else (FRAME, 0.8)
    sheet.add_patch(Rectangle((left, lower), right - left, upper - lower, fill=False, color=color, linewidth=line))
    name = drawable(tile["name"], 26)
    sheet.text((left + right) / 2, lower - 0.04, name, color=FAINT, ha="center", va="top", **font(7))
