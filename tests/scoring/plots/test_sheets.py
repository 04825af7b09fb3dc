from io import BytesIO

import numpy as np
from matplotlib.colors import to_hex
from PIL import Image

from tests.scoring.plots import ODD, coloured, read, texts
from topwork.scoring.plots import sheets


def test_grid_shows_each_picture_below_its_title_in_reading_order(tmp_path):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    pictures = [np.full((40, 40 + 30 * i, 3), colour, np.uint8) for i, colour in enumerate(colours)]
    figure = sheets.grid(pictures, ["red", "green", "blue"], tmp_path / "g.png", columns=2)
    pixels = read(tmp_path / "g.png")
    ys, xs = zip(*[np.argwhere((pixels == colour).all(-1)).mean(0) for colour in colours])
    assert ys[0] < ys[2]
    assert xs[0] < xs[1]
    assert texts(figure.axes[0]) == ["red", "green", "blue"]


def tile(path, label="cat", predicted="cat") -> dict:
    return {
        "pictures": [str(path)],
        "name": path.name,
        "numbers": [0, 1],
        "label": label,
        "predicted": predicted,
        "probability": 0.875,
    }


def save(path, colour, size=(40, 40)):
    Image.new("RGB", size, colour).save(path)
    return path


def test_predictions_have_true_label_predicted_label_and_probability_wrong_ones_in_red(tmp_path):
    right, wrong = save(tmp_path / "a.png", "green"), save(tmp_path / "b.png", "blue")
    figure = sheets.predictions({"heading": "1 of 2.", "tiles": [tile(right), tile(wrong, predicted="dog")]}, BytesIO())
    sheet = figure.axes[0]
    assert texts(sheet) == ["cat\n→ cat (0.88)", "a.png", "cat\n→ dog (0.88)", "b.png"]
    assert [text.get_text() for text in figure.texts] == ["1 of 2."]
    assert [text.get_color() for text in sheet.texts] == ["black", sheets.FAINT, sheets.WRONG, sheets.FAINT]
    frames = [(to_hex(frame.get_edgecolor()), frame.get_linewidth() > 2) for frame in sheet.patches]
    assert frames == [(sheets.FRAME, False), (sheets.WRONG, True)]
    for image, frame in zip(sheet.images, sheet.patches):
        left, right, lower, upper = image.get_extent()
        assert frame.get_bbox().extents.tolist() == [left, lower, right, upper]


def test_a_small_picture_keeps_its_square_pixels(tmp_path):
    random = np.random.default_rng(0).integers(0, 2, (28, 28), np.uint8) * 255
    Image.fromarray(random).save(tmp_path / "digit.png")
    sheets.predictions({"heading": "", "tiles": [tile(tmp_path / "digit.png")]}, tmp_path / "p.png")
    pixels = read(tmp_path / "p.png")[-200:-60, 120:280]  # within the digit
    assert ((pixels < 10) | (pixels > 245)).all(-1).mean() > 0.99
    large = sheets.predictions({"heading": "", "tiles": [tile(save(tmp_path / "l.png", "red", (300, 150)))]}, BytesIO())
    assert large.axes[0].images[0].get_array().shape == (96, 192, 3)


def test_a_row_of_several_pictures_is_one_tile(tmp_path):
    front, side = save(tmp_path / "f.png", (255, 0, 0), (60, 40)), save(tmp_path / "s.png", (0, 0, 255), (30, 20))
    two = tile(front) | {"pictures": [str(front), str(side)]}
    shown = sheets.predictions({"heading": "", "tiles": [two]}, BytesIO()).axes[0].images[0].get_array()
    assert shown.shape == (40, 60 + 2 + 30, 3)
    assert (shown[10, 10].tolist(), shown[10, -10].tolist(), shown[30, -10].tolist()) == (
        [255, 0, 0],
        [0, 0, 255],
        [255] * 3,
    )


def test_a_picture_that_is_gone_meanwhile_is_drawn_grey(tmp_path):
    shown = (
        sheets.predictions({"heading": "", "tiles": [tile(tmp_path / "gone.png")]}, BytesIO())
        .axes[0]
        .images[0]
        .get_array()
    )
    assert np.unique(shown).tolist() == [200]


def test_predictions_of_any_labels_and_number_fit_their_picture(tmp_path):
    file = save(tmp_path / "a.png", "green")
    for count in (1, 5, 24):
        tiles = [tile(file, ODD[i % len(ODD)], ODD[-i % len(ODD)]) for i in range(count)]
        sheets.predictions({"heading": "12 of 24 test pictures right. " * 3, "tiles": tiles}, tmp_path / f"{count}.png")
        assert coloured(tmp_path / f"{count}.png") > 0.1
