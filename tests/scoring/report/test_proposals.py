"""What to do next: at most three proposals, the data first, and none that loses what the first one mended."""

from pathlib import Path

import numpy as np
import pytest

from topwork.data.dataset import Dataset
from topwork.data.quality.findings import Finding
from topwork.runs.scores import Rate
from topwork.scoring import metrics
from topwork.scoring.curve import Curve, Share
from topwork.scoring.report.proposals import proposals

DATA = Dataset("/pictures/flowers", ())
RUN = Path("/runs/flowers")
LEAK = Finding.of("leak", 1, ["test/a.png", "train/b.png"], "Copies.")
SUSPECT = Finding.of("label_suspect", 0.5, ["s.png"], "Hm.", label="cat", proposed="dog")


def scores(right=(0.9, 0.9), count=50):
    """Return the scores of a run that finds these shares of two classes."""
    labels = np.repeat([0, 1], count)
    hits = np.concatenate([np.arange(count) < round(share * count) for share in right])
    likely = np.where(np.eye(2)[labels] == hits[:, None], 0.9, 0.1)
    return metrics.measure(labels, likely, ["cat", "dog"])


def curve(low):
    half, whole = (Share(share, int(400 * share), Rate(0.8, 0.7, 0.9), (0.8,)) for share in (0.5, 1.0))
    return Curve("x@pool", (half, whole), 100, Rate(0.03, low, 0.06))


def proposed(findings=(), found=None, gain=None, folds=0):
    return proposals(RUN, DATA, found, findings, gain, folds)


def commands(some):
    return [command for one in some for command in (one.command, one.second) if command]


def test_errors_come_first_and_all_later_steps_use_the_mended_table():
    some = proposed([LEAK, SUSPECT], scores())
    assert len(some) == 3
    assert some[0].what == "Correct the data: the scores cannot be trusted as they are."
    assert "test/a.png and train/b.png" in some[0].evidence
    assert "1 label that may be wrong, the surest first: s.png." in some[0].evidence
    assert commands(some) == [
        "topwork audit /pictures/flowers --fix fixed.csv",
        "topwork train fixed.csv",
        "topwork train fixed.csv --folds 5",
        "topwork train fixed.csv --minutes 5",
    ]
    assert [one.section for one in some] == ["data", "", ""]
    assert proposed([SUSPECT], scores())[0].section == "suspects"


def test_without_findings_the_data_stay_as_they_are():
    some = proposed([], scores(), curve(low=0.01))
    assert commands(some) == [
        "topwork train /pictures/flowers --folds 5",
        "topwork train /pictures/flowers --from /runs/flowers",
        "topwork train /pictures/flowers --minutes 5",
    ]


def test_data_that_nobody_looked_at_are_audited_first():
    assert proposed(None, scores())[0].command == "topwork audit /pictures/flowers"


def test_pictures_of_the_weakest_class_are_added_first():
    (one,) = [each for each in proposed([], scores((0.95, 0.5), 200), folds=5) if each.what.startswith("Add")]
    assert one.what == "Add pictures, first of 'dog'."
    assert one.evidence.startswith("Only 50 % of 'dog' are found, fewer than of other classes.")


@pytest.mark.parametrize("gain", [None, curve(low=-0.01)])
def test_no_pictures_are_asked_for_without_a_reason(gain):
    assert not [one for one in proposed([], scores((0.9, 0.9), 200), gain, folds=5) if one.what.startswith("Add")]


def test_a_run_that_is_good_enough_is_to_be_used():
    (one,) = proposed([], scores((1.0, 1.0), 200))
    assert one.command == "topwork export /runs/flowers flowers.onnx"
