from io import BytesIO

import numpy as np
import pytest

from tests.scoring.plots import coloured, journal, read, texts
from topwork.scoring.plots import charts


def _curves(rows, auc=False):
    return charts.curves(rows, BytesIO(), auc)


def lines(figure, panel: int) -> dict:
    return {line.get_label(): line.get_xydata() for line in figure.axes[panel].lines}


@pytest.mark.parametrize("lengths", [(1,), (60,), (25, 10, 1)])
def test_curves_are_drawn_for_any_number_of_epochs(tmp_path, lengths):
    charts.curves(journal(*lengths), tmp_path / "c.png")
    assert coloured(tmp_path / "c.png") > 0.001


def test_curves_hold_what_the_journal_holds():
    figure = _curves(journal(2))
    loss, accuracy = lines(figure, 0), lines(figure, 1)
    np.testing.assert_allclose(loss["validation"][1:], [[0, 2.0], [1, 1.9], [2, 1.8]])
    np.testing.assert_allclose(loss["training, as the\noptimizer saw it"][1:], [[1, 1.5], [2, 1.5]])
    np.testing.assert_allclose(accuracy["validation"][1:, 1], [0, 0.1, 0.2])
    assert set(accuracy) == {"validation", "training sample", "kept: 0.200\n(phase 1, epoch 2)"}


def test_a_line_connects_the_epochs_that_were_scored():
    rows = journal(4)
    for row in rows[1:4:2]:
        for name in ("val_loss", "val_accuracy", "train_loss", "train_accuracy"):
            del row[name]
    validation = lines(_curves(rows), 0)["validation"]
    assert validation[1:, 0].tolist() == [0, 2, 4]
    assert np.isfinite(validation[1:]).all()


def test_auc_has_a_panel_where_it_is_asked_for_and_was_measured():
    rows = [row | {"train_auc": 0.9, "val_auc": 0.1 * row["epoch"]} for row in journal(2)]
    figure = _curves(rows, auc=True)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy", "AUC"]
    np.testing.assert_allclose(lines(figure, 2)["validation"][1:, 1], [0, 0.1, 0.2])
    np.testing.assert_allclose(lines(figure, 2)["kept: 0.200\n(phase 1, epoch 2)"], [[2, 0.2]])
    for others in (_curves(rows), _curves(journal(2), auc=True)):
        assert [axes.get_ylabel() for axes in others.axes] == ["loss", "accuracy"]


def test_auc_that_one_class_alone_leaves_undefined_is_no_point():
    rows = [row | {"train_auc": 0.9} for row in journal(2)]
    assert set(lines(_curves(rows, auc=True), 2)) == {"training sample"}


def test_a_phase_goes_on_where_the_last_one_ended_with_a_gap_a_border_and_its_cut():
    figure = _curves(journal(3, 2))
    validation = lines(figure, 0)["validation"]
    assert validation[:, 0].tolist() == [0, 0, 1, 2, 3, 3, 3, 4, 5]
    assert np.flatnonzero(np.isnan(validation[:, 1])).tolist() == [0, 5]
    assert figure.axes[0].get_title("left") == "phase 1: x@block_8\nphase 2: x@block_7"
    assert texts(figure.axes[0]) == [" 1", " 2"]
    assert [text.get_position()[0] for text in figure.axes[0].texts] == [0, 3]


def test_the_star_is_at_what_the_last_phase_kept_and_a_hollow_one_at_what_those_before_kept():
    rows = journal(2, 2)
    rows[1]["val_loss"] = 0.3
    rows[4] |= {"val_loss": 0.31, "val_accuracy": 0.6}
    rows[5]["val_loss"] = 0.305
    figure = _curves(rows)
    np.testing.assert_allclose(lines(figure, 0)["kept: 0.305\n(phase 2, epoch 2)"], [[4, 0.305]])
    np.testing.assert_allclose(lines(figure, 0)["kept by an\nearlier phase"], [[1, 0.3]])
    np.testing.assert_allclose(lines(figure, 1)["kept: 0.200\n(phase 2, epoch 2)"], [[4, 0.2]])


def test_a_phase_that_made_nothing_better_is_marked_where_it_began():
    rows = journal(2, 2)
    for row in rows[4:]:
        row["val_loss"] = 3.0
    np.testing.assert_allclose(lines(_curves(rows), 0)["kept: 2.000\n(phase 2, epoch 0)"], [[2, 2.0]])


def test_without_validation_the_last_epoch_is_kept_and_marked(tmp_path):
    rows = [{key: value for key, value in row.items() if not key.startswith("val")} for row in journal(3)]
    charts.curves(rows, tmp_path / "c.png")
    assert set(lines(_curves(rows), 1)) == {"training sample", "kept: 0.500\n(phase 1, epoch 3)"}


def test_a_training_that_ran_away_is_drawn_and_is_never_the_best(tmp_path):
    rows = journal(3)
    rows[2] |= {"val_loss": float("nan"), "train_loss": float("inf")}
    rows[3]["val_loss"] = None
    charts.curves(rows, tmp_path / "c.png")
    assert "kept: 1.900\n(phase 1, epoch 1)" in lines(_curves(rows), 0)


@pytest.mark.parametrize(
    ("folds", "names"),
    [(True, ["start", "1", "0.32", "0.32\nfinal"]), (False, ["start", "1", "0.32"])],
)
def test_a_solved_phase_has_a_point_for_each_strength(folds, names):
    point = {"phase": 1, "cut": "x@pool"}
    measured = {"train_loss": 0.4, "train_accuracy": 0.9, "val_loss": 0.6, "val_accuracy": 0.8}
    chosen = {"fold_loss": 0.5, "fold_accuracy": 0.8} if folds else measured
    rows = [point | measured | {"epoch": 0}]
    rows += [point | chosen | {"epoch": 1 + i, "l2": l2, "kept": not folds} for i, l2 in enumerate((1, 0.316))]
    if folds:
        rows.append(point | measured | {"epoch": 3, "l2": 0.316, "kept": True})
    panel = _curves(rows).axes[-1]
    assert [label.get_text() for label in panel.get_xticklabels()] == names
    assert panel.get_xlabel() == "strength of the L2 term"
    if folds:
        assert np.isnan(np.array(lines(_curves(rows), 0)["validation"])[:, 1]).sum() == 2, "heads are joined by a line"
        rows.append(point | chosen | {"epoch": 4, "l2": 0.316, "kept": True})
        figure = _curves(rows)
        assert figure.axes[-1].get_xticklabels()[-1].get_text() == "0.32\nrefit"
        np.testing.assert_allclose(lines(figure, 0)["kept: 0.500\n(phase 1, l2 0.32)"], [[4, 0.5]])


def test_small_strengths_have_short_texts():
    point = {"phase": 1, "cut": "x@pool", "val_loss": 0.5, "val_accuracy": 0.8}
    rows = [point | {"epoch": number, "l2": l2} for number, l2 in enumerate((0, 1e-3, 3.2e-4))]
    texts = [label.get_text() for label in _curves(rows).axes[-1].get_xticklabels()]
    assert texts == ["0", "0.001", "3e-4"]


@pytest.mark.parametrize("classes", [2, 31, *(pytest.param(n, marks=pytest.mark.full) for n in (5, 30, 120))])
def test_confusion_is_drawn_for_any_number_of_classes(tmp_path, classes):
    counts = np.eye(classes, dtype=int) * 7
    charts.confusion(counts, [f"class {i}" for i in range(classes)], tmp_path / "m.png")
    assert max(read(tmp_path / "m.png").shape) < 1700
    assert coloured(tmp_path / "m.png") > 0.005


def test_confusion_has_true_classes_as_rows_and_counts_in_cells():
    axes = charts.confusion([[8, 2], [0, 9]], ["cat", "dog"], BytesIO()).axes[0]
    assert {text.get_position(): text.get_text() for text in axes.texts} == {(0, 0): "8", (1, 0): "2", (1, 1): "9"}
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")
    assert axes.get_title() == "17 of 19 pictures right"
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.8, 0.2], [0, 1]])


def test_above_30_classes_there_are_no_numbers_and_at_most_30_labels():
    names = [f"class {i}" for i in range(120)]
    axes = charts.confusion(np.ones((120, 120), int), names, BytesIO()).axes[0]
    assert texts(axes) == []
    assert [label.get_text() for label in axes.get_yticklabels()][:3] == ["class 0", "class 4", "class 8"]
    assert len(axes.get_yticks()) == len(axes.get_xticks()) == 30


def test_of_thousands_of_classes_no_answer_is_lost_between_pixels(tmp_path):
    counts = [[i, i, 9] for i in range(0, 3000, 7)] + [[1500, 3, 1], [1501, 3, 4]]
    names = [f"species {i}" for i in range(3000)]
    axes = charts.confusion({"shape": [3000, 3000], "counts": counts}, names, BytesIO()).axes[0]
    squares = axes.images[0].get_array()
    assert squares.shape == (300, 300)
    assert squares[150, 0] == 1.0 and (squares > 0).sum() == 300 + 1
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["species 0", "species 100"]
    assert axes.images[0].get_extent() == [-0.5, 2999.5, 2999.5, -0.5]
    assert axes.get_title() == f"{9 * 429:,} of {9 * 429 + 5:,} pictures right"


def test_a_class_without_pictures_leaves_its_row_blank(tmp_path):
    charts.confusion(np.array([[3, 0], [0, 0]]), ["cat", "dog"], tmp_path / "m.png")
