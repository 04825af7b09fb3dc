"""Choose the test pictures for the plot of answers, and prepare them for the drawing process."""

import base64
from collections.abc import Sequence
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork.data.dataset import Dataset, Row
from topwork.system.messages import counted

if TYPE_CHECKING:
    from numpy import ndarray

SHOWN = 24
"""The plot of answers shows at most this many pictures."""
EMBEDDED = "data:image/png;base64,"


def gallery(data: Dataset, rows: Sequence[Row], labels: "ndarray", probabilities: "ndarray") -> dict[str, Any]:
    """Return the input of `topwork.scoring.plots.sheets.predictions`, as JSON.

    Args:
        data: the run's dataset.
        rows: the measured rows of the test part.
        labels: the position of each row's label among the classes, int ``[n]``.
        probabilities: float ``[n, classes]``.

    Returns:
        ``heading`` and ``tiles``. Each tile has ``pictures`` (paths or embedded pictures), ``name`` (of the first
        file), ``label``, ``predicted``, their ``numbers`` and ``probability`` (of the predicted label).
    """
    found = probabilities.argmax(1)
    picked = chosen(labels, probabilities)
    tiles = []
    for i in picked:
        sources = []
        for path, _ in rows[i].pictures:
            picture = data.picture(path)
            if isinstance(picture, str):
                sources.append(str(Path(picture).absolute()))
            else:
                from PIL import Image

                file = BytesIO()
                array = picture[..., 0] if picture.shape[2:] == (1,) else picture
                Image.fromarray(array).save(file, "PNG", compress_level=1)
                sources.append(EMBEDDED + base64.b64encode(file.getvalue()).decode())
        tiles.append(
            {
                "pictures": sources,
                "name": Path(rows[i].path).name,
                "label": rows[i].label,
                "predicted": data.classes[found[i]],
                "numbers": [int(labels[i]), int(found[i])],
                "probability": float(probabilities[i, found[i]]),
            }
        )

    right = labels == found
    count, wrong, shown = len(right), int((~right).sum()), int((~right[picked]).sum())
    some = f"{shown} of the {wrong:,} wrong ones" if shown < wrong else "the wrong ones"
    red = f" In red: {some}, the surest first." if wrong > 1 else " In red: the wrong one." if wrong else ""
    of = counted(count, "test picture")
    heading = f"{count - wrong:,} of {of} right.{red} True label → predicted (its probability)."
    return {"heading": heading, "tiles": tiles}


def chosen(labels: "ndarray", probabilities: "ndarray", count: int = SHOWN) -> list[int]:
    """Return the positions of the rows to show.

    First come wrong answers, starting with the most confident; then right answers, one from each class in turn. At most
    half of the rows are wrong answers, unless there are too few right answers.

    Example:
        >>> chosen(np.array([0, 1, 0]), np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]]))
        [2, 1, 0]
    """
    found, surest = probabilities.argmax(1), probabilities.max(1)
    wrong = sorted(np.flatnonzero(found != labels).tolist(), key=lambda i: -surest[i])
    classes = (np.flatnonzero((found == labels) & (labels == c)).tolist() for c in range(probabilities.shape[1]))
    right = [i for turn in zip_longest(*classes) for i in turn if i is not None]
    wrong = wrong[: max(count // 2, count - len(right))]
    return wrong + right[: count - len(wrong)]


def content(source: str) -> str | bytes:
    """Return a tile's picture as `topwork.data.pictures.thumbnail` accepts it: a path, or the bytes of the picture."""
    return base64.b64decode(source.removeprefix(EMBEDDED)) if source.startswith(EMBEDDED) else source
