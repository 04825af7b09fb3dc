"""Which test pictures are shown with what a model says of them, and how they reach the process that draws."""

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
"""Pictures in the picture, at most."""
EMBEDDED = "data:image/png;base64,"


def gallery(data: Dataset, rows: Sequence[Row], labels: "ndarray", probabilities: "ndarray") -> dict[str, Any]:
    """What `topwork.scoring.plots.predictions` draws, as JSON.

    Args:
        data: the run's.
        rows: of the test part, as measured; labels: int ``[n]``, their classes' positions.
        probabilities: float ``[n, classes]``.

    Returns:
        ``heading``; and ``tiles``, each with its ``pictures`` (paths, or pictures embedded), ``label``, ``predicted``
        and ``probability`` (of what is predicted).
    """
    found = probabilities.argmax(1)
    picked = chosen(labels, probabilities)
    tiles = [
        {
            "pictures": [_source(data, path) for path, _ in rows[i].pictures],
            "label": rows[i].label,
            "predicted": data.classes[found[i]],
            "probability": float(probabilities[i, found[i]]),
        }
        for i in picked
    ]
    right = labels == found
    count, wrong, shown = len(right), int((~right).sum()), int((~right[picked]).sum())
    some = f"{shown} of the {wrong:,} wrong ones" if shown < wrong else "the wrong ones"
    red = f" In red: {some}, the surest first." if wrong > 1 else " In red: the wrong one." if wrong else ""
    of = counted(count, "test picture")
    heading = f"{count - wrong:,} of {of} right.{red} True label → predicted (its probability)."
    return {"heading": heading, "tiles": tiles}


def chosen(labels: "ndarray", probabilities: "ndarray", count: int = SHOWN) -> list[int]:
    """Positions of the rows to show: wrong answers, the surest first, then right ones, the classes in turn.

    Half of them are wrong at most, unless there are too few right ones.

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


def _source(data: Dataset, path: str) -> str:
    """Where a picture lies, or itself as a PNG where it lies in memory alone."""
    found = data.picture(path)
    if isinstance(found, str):
        return str(Path(found).absolute())
    from PIL import Image

    file = BytesIO()
    Image.fromarray(found[..., 0] if found.shape[2:] == (1,) else found).save(file, "PNG", compress_level=1)
    return EMBEDDED + base64.b64encode(file.getvalue()).decode()


def content(source: str) -> str | bytes:
    """What `topwork.data.pictures.thumbnail` takes for a tile's picture."""
    return base64.b64decode(source.removeprefix(EMBEDDED)) if source.startswith(EMBEDDED) else source
