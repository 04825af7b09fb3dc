"""What a notebook shows of a dataset and of scores."""

import numpy as np
import pytest

import topwork as tw
from topwork.data.dataset import Dataset, Row
from topwork.scoring import metrics


@pytest.fixture
def data(pictures):
    return tw.read(pictures)


def test_a_dataset_is_a_table_of_counts_and_a_row_of_pictures(data):
    shown = data._repr_html_()
    for label, parts in data.counts().items():
        assert f"<td>{label}</td>" + "".join(f"<td>{count}</td>" for count in parts.values()) in shown
    assert shown.count("data:image/png;base64,") == 3


def test_labels_are_text_and_a_picture_that_is_gone_is_not_shown():
    shown = Dataset("/d", (Row("gone.png", "0", "<b>", "train"),))._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    assert "<img" not in shown


def test_arrays_are_shown():
    rng = np.random.default_rng(0)
    for shape in ((8, 9), (8, 9, 1), (8, 9, 3)):
        made = tw.read((rng.integers(0, 256, (40, *shape), np.uint8), np.arange(40) % 2))
        assert made._repr_html_().count("<img") == 2


def test_of_many_classes_the_first_are_listed():
    rows = tuple(Row(f"{i}.png", f"{i}", f"class {i:03}", "train") for i in range(500))
    shown = Dataset("/d", rows)._repr_html_()
    assert "and 488 more" in shown
    assert len(shown) < 5000


def test_scores_are_tables():
    labels = np.arange(60) % 3
    found = metrics.measure(labels, np.eye(3)[labels], ("a", "b", "c"))._repr_html_()
    assert "<td>accuracy</td><td>1.000 (0.940 to 1.000)</td>" in found
    assert "<td>c</td><td>1.000</td><td>1.000</td><td>1.000</td><td>20</td>" in found
