"""The confusion matrix as JSON: a list of rows for up to 100 classes; for more, only the cells that hold pictures.

3,000 classes have nine million cells, and 2,000 pictures fill at most 2,000 of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from topwork.runs.scores import Confusion

DENSE = 100
"""Up to this many classes, the JSON has all cells."""


class Cells(NamedTuple):
    """The cells that hold pictures, sorted by row and column: the number of classes, then int ``[cells]`` each."""

    classes: int
    true: np.ndarray
    predicted: np.ndarray
    counts: np.ndarray


def as_json(matrix: np.ndarray) -> Confusion:
    """The JSON form of a matrix of counts.

    Args:
        matrix: int ``[classes, classes]``; rows are true, columns predicted.

    Returns:
        For up to `DENSE` classes the rows as lists; for more ``{"shape": [classes, classes], "counts": [[true,
        predicted, count], ...]}``, sorted, where true and predicted are positions among the classes from 0.

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
    """The filled cells of a confusion matrix in either form, for any number of classes.

    Example:
        >>> cells([[1, 0], [2, 3]]).counts
        array([1, 2, 3])
    """
    if isinstance(confusion, Mapping):
        return Cells(confusion["shape"][0], *np.array(confusion["counts"], int).reshape(-1, 3).T)
    matrix = np.asarray(confusion)
    true, predicted = np.nonzero(matrix)
    return Cells(len(matrix), true, predicted, matrix[true, predicted])
