"""Digits of 28 x 28 pixels, already split into parts, in one ``.npz`` file that both sides read."""

from pathlib import Path

import numpy as np

from topwork.data.reading.arrays import read_idx

VALIDATION = 0.2
"""The share of the training part, at its end, that is used for validation, as in the article.

If the digits have no parts, the same share of them is used for testing.
"""


def write(path: Path, count: int, folder: Path | None = None) -> Path:
    """Write at most *count* digits: MNIST's if a *folder* with its idx files is given, else scikit-learn's, enlarged.

    Example:
        >>> import tempfile
        >>> file = write(Path(tempfile.mkdtemp(), "digits.npz"), 100)
        >>> {name: len(array) for name, array in np.load(file).items() if name[0] == "x"}
        {'x_train': 64, 'x_val': 16, 'x_test': 20}
    """
    (train, known), (test, wanted) = _mnist(folder) if folder else _split(*_small())
    ours = round(count * len(train) / (len(train) + len(test)))
    train, known = train[:ours], known[:ours]
    test, wanted = test[: count - ours], wanted[: count - ours]
    last = len(train) - round(VALIDATION * len(train))
    np.savez(
        path,
        x_train=train[:last],
        y_train=known[:last],
        x_val=train[last:],
        y_val=known[last:],
        x_test=test,
        y_test=wanted,
    )
    return path


Labelled = tuple[np.ndarray, np.ndarray]


def _mnist(folder: Path) -> tuple[Labelled, Labelled]:
    data = read_idx(str(folder))
    assert data.pixels is not None
    labels = np.array([int(row.label) for row in data.rows])
    tested = np.array([row.split == "test" for row in data.rows])
    if not tested.any():
        return _split(data.pixels, labels)
    return (data.pixels[~tested], labels[~tested]), (data.pixels[tested], labels[tested])


def _small() -> Labelled:
    """Return scikit-learn's digits of 8 x 8 pixels: each pixel is enlarged to 3 x 3, and a border is added."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = (found.images * 255 / 16).round().astype(np.uint8)
    return np.pad(pixels.repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2))), found.target


def _split(pixels: np.ndarray, labels: np.ndarray) -> tuple[Labelled, Labelled]:
    first = len(pixels) - round(VALIDATION * len(pixels))
    return (pixels[:first], labels[:first]), (pixels[first:], labels[first:])
