"""The confusion matrix as JSON: a list of rows for up to 100 classes; for more, only the filled cells (not 0).

With 3,000 classes, a matrix has nine million cells, and 2,000 pictures fill at most 2,000 of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from topwork.runs.scores import Confusion

DENSE = 100
"""The JSON has all cells if there are at most this many classes."""


class Cells(NamedTuple):
    """The filled cells of a confusion matrix, sorted by row and column.

    Args:
        classes: the number of classes.
        true, predicted: the row and the column of each cell, int ``[cells]``.
        counts: the number of pictures in each cell, int ``[cells]``.
    """

    classes: int
    true: np.ndarray
    predicted: np.ndarray
    counts: np.ndarray


def as_json(matrix: np.ndarray) -> Confusion:
    """Return the JSON form of a matrix of counts.

    Args:
        matrix: int ``[classes, classes]``; rows are true, columns predicted.

    Returns:
        For up to `DENSE` classes, the rows as lists. For more classes, ``{"shape": [classes, classes], "counts":
        [[true, predicted, count], ...]}``, sorted; true and predicted are positions among the classes, from 0.

    Example:
        >>> as_json(np.array([[1, 0], [2, 3]]))
        [[1, 0], [2, 3]]
        >>> as_json(np.diag([2] + 100 * [0]))
        {'shape': [101, 101], 'counts': [[0, 0, 2]]}
    """
    if len(matrix) <= DENSE:
        return matrix.tolist()
    _, *columns = cells(matrix)
    return {"shape": list(matrix.shape), "counts": np.stack(columns, 1).tolist()}


def cells(confusion: Mapping[str, Any] | Sequence[Sequence[int]] | np.ndarray) -> Cells:
    """Return the filled cells of a confusion matrix, which can be an array, a list of rows, or the form from `as_json`.

    Example:
        >>> cells([[1, 0], [2, 3]]).counts
        array([1, 2, 3])
    """
    if isinstance(confusion, Mapping):
        return Cells(confusion["shape"][0], *np.array(confusion["counts"], int).reshape(-1, 3).T)
    matrix = np.asarray(confusion)
    true, predicted = np.nonzero(matrix)
    return Cells(len(matrix), true, predicted, matrix[true, predicted])
