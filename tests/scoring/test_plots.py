import doctest
import logging
import subprocess
import sys
import warnings
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from topwork.errors import MachineError
from topwork.scoring import plots

ODD = [
    "花の病気",
    "🌹 rose",
    "$5 & $6_a^b",
    "line\nbreak\x00",
    "",
    "\udcff",
    "Rosa × hybrida 'Madame Alfred Carrière'",
    "_x",
]


@pytest.fixture(autouse=True)
def _no_warnings():
    heard = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: heard.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    logging.getLogger().removeHandler(handler)
    assert heard == []


def journal(*lengths: int) -> list[dict]:
    rows = []
    for phase, epochs in enumerate(lengths, start=1):
        for epoch in range(epochs + 1):
            row = {"phase": phase, "epoch": epoch, "cut": f"x@block_{9 - phase}", "seconds": 0.5}
            row |= {
                "train_loss": 1.0,
                "train_accuracy": 0.5,
                "val_loss": 2.0 - 0.1 * epoch,
                "val_accuracy": 0.1 * epoch,
            }
            rows.append(row | ({"loss": 1.5} if epoch else {}))
    return rows


def _curves(rows, auc=False):
    return plots.curves(rows, BytesIO(), auc)


def lines(figure, panel: int) -> dict:
    return {line.get_label(): line.get_xydata() for line in figure.axes[panel].lines}


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def read(path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def coloured(path) -> float:
    """Return the share of pixels that are not grey."""
    return float((np.ptp(read(path), axis=-1) > 20).mean())


def test_the_examples_draw(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(plots, extraglobs={"np": np}).failed == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "confusion.png",
        "curve.png",
        "curves.png",
        "grid.png",
        "predictions.png",
    ]


@pytest.mark.parametrize("lengths", [(1,), (60,), (25, 10, 1)])
def test_curves_are_drawn_for_any_number_of_epochs(tmp_path, lengths):
    plots.curves(journal(*lengths), tmp_path / "c.png")
    assert coloured(tmp_path / "c.png") > 0.001


def test_curves_hold_what_the_journal_holds():
    figure = _curves(journal(2))
    loss, accuracy = lines(figure, 0), lines(figure, 1)
    np.testing.assert_allclose(loss["validation"][1:], [[0, 2.0], [1, 1.9], [2, 1.8]])
    np.testing.assert_allclose(loss["training, as the\noptimizer saw it"][2:], [[1, 1.5], [2, 1.5]])
    np.testing.assert_allclose(accuracy["validation"][1:, 1], [0, 0.1, 0.2])
    assert set(accuracy) == {"validation", "training sample", "kept: 0.200\n(phase 1, epoch 2)"}


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
    plots.curves(rows, tmp_path / "c.png")
    assert set(lines(_curves(rows), 1)) == {"training sample", "kept: 0.500\n(phase 1, epoch 3)"}


def test_a_training_that_ran_away_is_drawn_and_is_never_the_best(tmp_path):
    rows = journal(3)
    rows[2] |= {"val_loss": float("nan"), "train_loss": float("inf")}
    rows[3]["val_loss"] = None
    plots.curves(rows, tmp_path / "c.png")
    assert "kept: 1.900\n(phase 1, epoch 1)" in lines(_curves(rows), 0)


@pytest.mark.parametrize("classes", [2, 31, *(pytest.param(n, marks=pytest.mark.full) for n in (5, 30, 120))])
def test_confusion_is_drawn_for_any_number_of_classes(tmp_path, classes):
    counts = np.eye(classes, dtype=int) * 7
    plots.confusion(counts, [f"class {i}" for i in range(classes)], tmp_path / "m.png")
    assert max(read(tmp_path / "m.png").shape) < 1700
    assert coloured(tmp_path / "m.png") > 0.005


def test_confusion_has_true_classes_as_rows_and_counts_in_cells():
    axes = plots.confusion([[8, 2], [0, 9]], ["cat", "dog"], BytesIO()).axes[0]
    assert {text.get_position(): text.get_text() for text in axes.texts} == {(0, 0): "8", (1, 0): "2", (1, 1): "9"}
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")
    assert axes.get_title() == "17 of 19 pictures right"
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.8, 0.2], [0, 1]])


def test_above_30_classes_there_are_no_numbers_and_at_most_30_labels():
    names = [f"class {i}" for i in range(120)]
    axes = plots.confusion(np.ones((120, 120), int), names, BytesIO()).axes[0]
    assert texts(axes) == []
    assert [label.get_text() for label in axes.get_yticklabels()][:3] == ["class 0", "class 4", "class 8"]
    assert len(axes.get_yticks()) == len(axes.get_xticks()) == 30


def test_of_thousands_of_classes_no_answer_is_lost_between_pixels(tmp_path):
    counts = [[i, i, 9] for i in range(0, 3000, 7)] + [[1500, 3, 1], [1501, 3, 4]]
    names = [f"species {i}" for i in range(3000)]
    axes = plots.confusion({"shape": [3000, 3000], "counts": counts}, names, BytesIO()).axes[0]
    squares = axes.images[0].get_array()
    assert squares.shape == (300, 300)
    assert squares[150, 0] == 1.0 and (squares > 0).sum() == 300 + 1
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["species 0", "species 100"]
    assert axes.images[0].get_extent() == [-0.5, 2999.5, 2999.5, -0.5]
    assert axes.get_title() == f"{9 * 429:,} of {9 * 429 + 5:,} pictures right"


def test_a_class_without_pictures_leaves_its_row_blank(tmp_path):
    plots.confusion(np.array([[3, 0], [0, 0]]), ["cat", "dog"], tmp_path / "m.png")


def test_labels_of_any_text_are_drawn(tmp_path):
    plots.confusion(np.eye(len(ODD), dtype=int), ODD, tmp_path / "m.png")
    plots.grid([np.zeros((9, 9, 3), np.uint8)] * len(ODD), ODD, tmp_path / "g.png")
    plots.curves([row | {"cut": ODD[0]} for row in journal(1)], tmp_path / "c.png")
    assert len(list(tmp_path.iterdir())) == 3


def test_what_no_font_can_draw_is_shown_as_its_code():
    assert plots._shown("a\udcff\U0010fffe", 20) == "a\\udcff\\U0010fffe"
    assert plots._shown("Æneas × ж", 20) == "Æneas × ж"


def test_long_labels_lose_their_middle():
    assert plots._shown("abcdefghijklmnopqrstuvwxyz", 10) == "abcdefg…yz"
    assert plots._shown(" a\n b ", 10) == "a b"


def test_grid_shows_each_picture_below_its_title_in_reading_order(tmp_path):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    pictures = [np.full((40, 40 + 30 * i, 3), colour, np.uint8) for i, colour in enumerate(colours)]
    figure = plots.grid(pictures, ["red", "green", "blue"], tmp_path / "g.png", columns=2)
    pixels = read(tmp_path / "g.png")
    ys, xs = zip(*[np.argwhere((pixels == colour).all(-1)).mean(0) for colour in colours])
    assert ys[0] < ys[2]
    assert xs[0] < xs[1]
    assert [axes.get_title() for axes in figure.axes] == ["red", "green", "blue"]


def tile(path, label="cat", predicted="cat") -> dict:
    return {"pictures": [str(path)], "label": label, "predicted": predicted, "probability": 0.875}


def save(path, colour, size=(40, 40)):
    Image.new("RGB", size, colour).save(path)
    return path


def test_predictions_have_true_label_predicted_label_and_probability_wrong_ones_in_red(tmp_path):
    right, wrong = save(tmp_path / "a.png", "green"), save(tmp_path / "b.png", "blue")
    figure = plots.predictions({"heading": "1 of 2.", "tiles": [tile(right), tile(wrong, predicted="dog")]}, BytesIO())
    assert [axes.get_title() for axes in figure.axes] == ["cat\n→ cat (0.88)", "cat\n→ dog (0.88)"]
    assert [text.get_text() for text in figure.texts] == ["1 of 2."]
    colours = [
        {axes.title.get_color(), *(spine.get_edgecolor() for spine in axes.spines.values())} for axes in figure.axes
    ]
    assert plots.WRONG in colours[1] and plots.WRONG not in colours[0]
    assert figure.axes[1].spines["left"].get_linewidth() > 2 > figure.axes[0].spines["left"].get_linewidth()


def test_a_small_picture_keeps_its_square_pixels(tmp_path):
    random = np.random.default_rng(0).integers(0, 2, (28, 28), np.uint8) * 255
    Image.fromarray(random).save(tmp_path / "digit.png")
    plots.predictions({"heading": "", "tiles": [tile(tmp_path / "digit.png")]}, tmp_path / "p.png")
    pixels = read(tmp_path / "p.png")[-170:-30, 120:280]  # within the digit
    assert ((pixels < 10) | (pixels > 245)).all(-1).mean() > 0.99
    large = plots.predictions({"heading": "", "tiles": [tile(save(tmp_path / "l.png", "red", (300, 150)))]}, BytesIO())
    assert large.axes[0].images[0].get_array().shape == (100, 200, 3)


def test_a_row_of_several_pictures_is_one_tile(tmp_path):
    front, side = save(tmp_path / "f.png", (255, 0, 0), (60, 40)), save(tmp_path / "s.png", (0, 0, 255), (30, 20))
    two = tile(front) | {"pictures": [str(front), str(side)]}
    shown = plots.predictions({"heading": "", "tiles": [two]}, BytesIO()).axes[0].images[0].get_array()
    assert shown.shape == (40, 60 + 2 + 30, 3)
    assert (shown[10, 10].tolist(), shown[10, -10].tolist(), shown[30, -10].tolist()) == (
        [255, 0, 0],
        [0, 0, 255],
        [255] * 3,
    )


def test_a_picture_that_is_gone_meanwhile_is_drawn_grey(tmp_path):
    shown = (
        plots.predictions({"heading": "", "tiles": [tile(tmp_path / "gone.png")]}, BytesIO())
        .axes[0]
        .images[0]
        .get_array()
    )
    assert np.unique(shown).tolist() == [200]


def test_predictions_of_any_labels_and_number_fit_their_picture(tmp_path):
    file = save(tmp_path / "a.png", "green")
    for count in (1, 5, 24):
        tiles = [tile(file, ODD[i % len(ODD)], ODD[-i % len(ODD)]) for i in range(count)]
        plots.predictions({"heading": "12 of 24 test pictures right. " * 3, "tiles": tiles}, tmp_path / f"{count}.png")
        assert coloured(tmp_path / f"{count}.png") > 0.1


def test_plots_load_no_pyplot_and_importing_them_no_matplotlib(tmp_path):
    code = (
        "import sys; from topwork.scoring.plots import confusion; print('matplotlib' in sys.modules); "
        "confusion([[1, 0], [0, 1]], ['a', 'b'], sys.argv[1]); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "m.png")], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\nFalse\n", "")


def test_settings_of_the_user_change_no_plot_and_stay(tmp_path):
    import matplotlib

    plots.confusion([[8, 2], [1, 9]], ["cat", "dog"], tmp_path / "plain.png")
    mine = {"text.usetex": True, "font.size": 40, "savefig.dpi": 10, "figure.facecolor": "red", "image.cmap": "jet"}
    with matplotlib.rc_context(mine):
        before = dict(matplotlib.rcParams)
        plots.confusion([[8, 2], [1, 9]], ["cat", "dog"], tmp_path / "styled.png")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "styled.png").read_bytes() == (tmp_path / "plain.png").read_bytes()


def test_without_matplotlib_the_reason_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MachineError) as error:
        plots.confusion([[8, 2], [1, 9]], ["cat", "dog"], tmp_path / "x.png")
    assert str(error.value).startswith("matplotlib cannot be imported (import of matplotlib ")
