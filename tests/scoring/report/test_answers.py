"""What the answers show: the matrix, mistakes, calibration and coverage agree with plain counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from topwork.data.dataset import Row
from topwork.scoring.report import answers
from topwork.scoring.report.answers import Answered


def drawn(seed, count=40, classes=4, pull=0.5):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, count)
    likely = draw.dirichlet(np.ones(classes), count) + pull * np.eye(classes)[labels]
    names = [f"c{i}" for i in range(classes)]
    rows = [Row(f"{i}.png", f"{i:03}", names[label], "test") for i, label in enumerate(labels)]
    return Answered(rows, likely / likely.sum(1, keepdims=True), names), labels


seeds = st.integers(0, 10_000)


@given(seeds, st.integers(2, 8))
def test_the_cells_are_those_of_the_confusion_matrix(seed, classes):
    found, labels = drawn(seed, classes=classes)
    names, cells = found.confusion()
    matrix = confusion_matrix(labels, found.predicted, labels=range(classes))
    assert names == [f"c{i}" for i in range(classes)]
    assert {(cell.label, cell.predicted): cell.count for cell in cells} == {
        (f"c{i}", f"c{j}"): matrix[i, j] for i, j in zip(*np.nonzero(matrix))
    }
    for cell in cells:
        assert 1 <= len(cell.answers) <= min(cell.count, answers.EACH)
        assert all((one.label, one.predicted) == (cell.label, cell.predicted) for one in cell.answers)


@pytest.mark.parametrize("seed", range(3))
def test_a_matrix_with_many_filled_cells_shows_few_answers_in_each(seed):
    found, _ = drawn(seed, count=20_000, classes=30, pull=0.05)
    _, cells = found.confusion()
    assert len(cells) > 800
    assert sum(len(cell.answers) for cell in cells) <= max(answers.ALL, len(cells))
    for cell in cells:
        assert cell.answers


def test_of_many_classes_those_with_the_most_mistakes_are_shown():
    found, labels = drawn(0, count=4000, classes=3000)
    names, cells = found.confusion()
    assert len(names) == answers.CLASSES
    wrong = found.predicted != labels
    most = np.bincount(labels[wrong], minlength=3000) + np.bincount(found.predicted[wrong], minlength=3000)
    assert {most[int(name[1:])] for name in names} <= set(np.sort(most)[-answers.CLASSES :].tolist())
    assert {cell.label for cell in cells} <= set(names)


@given(seeds)
def test_mistakes_are_the_surest_wrong_answers_and_unsure_the_least_sure_right_ones(seed):
    found, labels = drawn(seed)
    mistakes, unsure = found.mistakes(), found.unsure()
    assert all(one.label != one.predicted for one in mistakes)
    assert all(one.label == one.predicted for one in unsure)
    assert [one.probability for one in mistakes] == sorted((one.probability for one in mistakes), reverse=True)
    assert [one.probability for one in unsure] == sorted(one.probability for one in unsure)
    assert len(mistakes) == min(answers.MISTAKES, int((found.predicted != labels).sum()))


@given(seeds)
def test_bins_hold_every_answer_once_and_the_error_is_their_weighted_distance(seed):
    found, _ = drawn(seed)
    bins, error = found.calibration()
    assert sum(one.pictures for one in bins) == len(found.rows)
    for one in bins:
        assert one.low <= one.probability <= one.high
        assert one.accuracy.low <= one.accuracy.value <= one.accuracy.high
    plain = sum(one.pictures * abs(one.probability - one.accuracy.value) for one in bins) / len(found.rows)
    assert error == pytest.approx(plain)


@given(seeds, st.integers(1, 60))
def test_coverage_answers_the_surest_first(seed, count):
    found, labels = drawn(seed, count=count)
    points = found.coverage()
    assert points[0].share == 1
    assert points[0].accuracy.value == pytest.approx((found.predicted == labels).mean())
    assert [one.threshold for one in points] == sorted(one.threshold for one in points)


def test_the_classes_that_are_mixed_up_most_are_named_with_both_directions():
    labels, answered = [0, 0, 0, 1, 2, 2], [1, 1, 0, 0, 2, 1]
    rows = [Row(f"{i}.png", f"{i:03}", "abc"[label], "test") for i, label in enumerate(labels)]
    found = Answered(rows, np.eye(3)[answered], list("abc"))
    told = "Most mixed up: 'a' and 'b', 3 of the 4 mistakes (2 of 'a' answered as 'b', 1 of 'b' answered as 'a')."
    assert found.mixed_up() == told
    assert Answered(rows, np.eye(3)[labels], list("abc")).mixed_up() == ""
    assert found.wrong_paths() == ["0.png", "1.png", "3.png", "5.png"]
