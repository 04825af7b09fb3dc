"""A note names a result that may be no better than always giving the same answer."""

import numpy as np
import pytest

from topwork.scoring.metrics import measure
from topwork.scoring.results import warned


def measured(right, wrong, classes=("daisy", "rose")):
    """Return the scores for these numbers of *right* and *wrong* answers, one number for each class."""
    labels = np.repeat(np.arange(len(classes)), np.add(right, wrong))
    hits = np.concatenate([np.arange(r + w) < r for r, w in zip(right, wrong)])
    predicted = np.where(hits, labels, (labels + 1) % len(classes))
    return measure(labels, np.eye(len(classes))[predicted], list(classes))


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ((20, 0), (80, 100), "'rose', which is right for 0.500"),  # worse than chance
        ((52, 52), (48, 48), "'daisy', which is right for 0.500"),
        ((60, 60), (40, 40), None),
        ((900, 0), (0, 100), "'daisy', which is right for 0.900"),  # the run always gives the same answer
        ((900, 40), (0, 60), None),
        ((2, 2), (0, 0), None),
        ((1, 1), (0, 0), "'daisy', which is right for 0.500"),  # too few pictures to tell
        ((0, 30), (0, 10), None),  # only one class was tested
        ((0, 0), (0, 10), None),
    ],
)
def test_an_interval_that_reaches_the_share_of_the_largest_class(right, wrong, named):
    found = warned(measured(right, wrong))
    assert len(found) == (named is not None)
    if named:
        total = sum(right) + sum(wrong)
        start = f"As far as {total:,} pictures tell, this is no better than always answering "
        assert found[0] in (f"{start}{named} of them.", f"{start}{named.replace('rose', 'daisy')} of them.")


def test_many_classes():
    (found,) = warned(measured((5, 5, 5), (20, 25, 20), ("a", "b", "c")))
    assert "no better than always answering 'b', which is right for 0.375" in found
