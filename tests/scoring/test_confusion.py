"""The confusion matrix as JSON: rows for a few classes, only the cells that are not 0 for many."""

import json

import numpy as np
import pytest

from topwork.networks import fusion
from topwork.scoring import metrics
from topwork.scoring.confusion import DENSE, as_json, cells


def matrix(classes, seed=0):
    """Return counts, most of them 0, with at least one error off the diagonal."""
    counts = np.random.default_rng(seed).poisson(0.05, (classes, classes))
    counts[0, -1] = 3
    return counts


def test_up_to_100_classes_all_cells_are_written():
    counts = matrix(DENSE)
    assert as_json(counts) == counts.tolist()


def test_beyond_100_classes_the_filled_cells_are_written_in_order():
    counts = matrix(DENSE + 1)
    found = as_json(counts)
    assert found["shape"] == [101, 101]
    assert found["counts"] == [[i, j, counts[i, j]] for i in range(101) for j in range(101) if counts[i, j]]
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("classes", [2, DENSE, DENSE + 1])
def test_either_form_has_the_same_cells(classes):
    counts = matrix(classes)
    dense, written = cells(counts.tolist()), cells(json.loads(json.dumps(as_json(counts))))
    for a, b in zip(dense, written, strict=True):
        np.testing.assert_array_equal(a, b)
    back = np.zeros((classes, classes), int)
    back[written.true, written.predicted] = written.counts
    np.testing.assert_array_equal(back, counts)


def test_no_picture_at_all():
    assert as_json(np.zeros((101, 101), int)) == {"shape": [101, 101], "counts": []}
    assert cells({"shape": [101, 101], "counts": []}).counts.shape == (0,)


def test_scores_of_many_classes_grow_with_the_classes_and_not_with_their_square():
    draw = np.random.default_rng(0)
    sizes = {}
    for classes in (200, 800):
        labels = draw.integers(classes, size=300)
        probabilities = fusion.softmax(draw.normal(size=(300, classes)))
        found = metrics.measure(labels, probabilities, [f"{i}" for i in range(classes)])
        assert sum(count for *_, count in found.confusion["counts"]) == 300
        sizes[classes] = len(json.dumps(found.as_json()))
    assert sizes[800] < 4 * sizes[200]
