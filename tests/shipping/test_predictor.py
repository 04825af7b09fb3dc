import io
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.colours import ABOUT, COLOURS, LABELS, SIZES, TWO, about, export, picture
from topwork.data.pictures import Fit, decode, fit_array
from topwork.errors import DatasetError, UsageError
from topwork.shipping import predictor as predict
from topwork.shipping.metadata import Input
from topwork.shipping.predictor import Guess, Predictor


@pytest.fixture(scope="module")
def predictor(tmp_path_factory) -> Predictor:
    return Predictor(export(tmp_path_factory.mktemp("model") / "colours.onnx", ABOUT))


def photo(seed: int, size: tuple[int, int] = (90, 70)) -> bytes:
    small = np.random.default_rng(seed).integers(0, 256, size=(5, 7, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


def test_guesses_come_with_path_label_and_the_probability_of_every_class(predictor, tmp_path):
    paths = [picture(tmp_path / f"{label}.png", label) for label in ("blue", "red", "green")]
    guesses = list(predictor(paths))
    assert [guess.path for guess in guesses] == paths
    assert [guess.label for guess in guesses] == ["blue", "red", "green"]
    for guess in guesses:
        assert list(guess.probabilities) == LABELS
        assert guess.probability == guess.probabilities[guess.label] == max(guess.probabilities.values())
        assert sum(guess.probabilities.values()) == pytest.approx(1)
        assert guess.error is None


def test_it_answers_from_the_bytes_as_the_network_does_from_the_pixels(predictor):
    files = [photo(seed) for seed in range(5)]
    pixels = np.stack([decode(file, Fit((12, 16))) for file in files])
    logits = pixels.mean((1, 2)) / 50
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.ptp(expected, axis=0).max() > 0.05
    np.testing.assert_allclose(predictor.probabilities(pixels), expected, atol=1e-6)
    answered = [list(guess.probabilities.values()) for guess in predictor(files)]
    np.testing.assert_allclose(answered, expected, atol=1e-6)


def test_paths_bytes_and_arrays_of_any_size_may_be_mixed(predictor, tmp_path):
    path = tmp_path / "red.png"
    picture(path, "red")
    array = np.full((9, 7, 3), COLOURS["green"], np.uint8)
    guesses = list(predictor([path, path.read_bytes(), array, np.zeros((5, 5), np.uint8)]))
    assert [(guess.path, guess.label) for guess in guesses] == [
        (str(path), "red"),
        ("pictures[1]", "red"),
        ("pictures[2]", "green"),
        ("pictures[3]", "red"),
    ]


def test_what_cannot_be_read_is_named_in_its_place_and_stops_nothing(predictor, tmp_path):
    good = picture(tmp_path / "blue.png", "blue")
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    missing = str(tmp_path / "missing.jpg")
    guesses = list(predictor([good, bad, missing, np.zeros((2, 2), np.float32), good]))
    assert [guess.label for guess in guesses] == ["blue", "", "", "", "blue"]
    assert guesses[1] == Guess(str(bad), "", 0.0, {}, "not a picture: no JPEG, PNG, WebP, BMP, GIF or TIFF")
    assert guesses[2].error == "cannot be opened: no such file or directory"
    assert guesses[3].error == ("float32 [2, 2]: expected uint8 [h, w], or [h, w, channels] with 1, 3 or 4 channels")


def test_a_batch_of_which_nothing_can_be_read_has_no_answers(predictor):
    assert [guess.label for guess in predictor([b"", b"x"])] == ["", ""]
    assert list(predictor([])) == []


def test_order_holds_over_many_batches(predictor):
    order = np.random.default_rng(0).integers(3, size=5 * predict.BATCH + 3)
    arrays = (np.full((4, 4, 3), COLOURS[LABELS[i]], np.uint8) for i in order)
    guesses = list(predictor(arrays))
    assert [guess.label for guess in guesses] == [LABELS[i] for i in order]
    assert [guess.path for guess in guesses] == [f"pictures[{i}]" for i in range(len(order))]


def test_pictures_are_taken_as_they_are_needed(predictor):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield np.zeros((4, 4, 3), np.uint8)

    guesses = predictor(endless())
    assert taken == 0
    next(guesses)
    assert taken == 2 * predict.BATCH
    threads = threading.active_count()
    guesses.close()
    assert threading.active_count() < threads


def test_one_picture_instead_of_several_is_told(predictor):
    for one in ("rose.jpg", Path("rose.jpg"), b"bytes", np.zeros((4, 4, 3), np.uint8)):
        with pytest.raises(UsageError) as e:
            predictor(one)
        assert str(e.value) == "expected several pictures, got one: put it in a list: [picture]."


def test_probabilities_are_float32_for_any_number_of_rows(predictor):
    for n in (0, 1, predict.BATCH + 1):
        found = predictor.probabilities(np.zeros((n, 12, 16, 3), np.uint8))
        assert (found.dtype, found.shape) == (np.float32, (n, 3))


def test_probabilities_refuses_pixels_of_another_kind(predictor):
    for wrong in (np.zeros((2, 16, 12, 3), np.uint8), np.zeros((2, 12, 16, 3), np.float32)):
        with pytest.raises(DatasetError) as e:
            predictor.probabilities(wrong)
        assert str(e.value) == (
            f"{wrong.dtype} {list(wrong.shape)} are not pixels for this model: expected uint8 [n, 12, 16, 3]."
        )


def test_it_knows_what_the_file_says(predictor):
    assert predictor.labels == ("red", "green", "blue")
    assert predictor.inputs == (Input("pixels", None, Fit((12, 16))),)
    assert predictor.columns == ()
    assert predictor.about == ABOUT


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_pictures_are_fitted_as_the_file_says(tmp_path, fit):
    answers = Predictor(export(tmp_path / "m.onnx", about(Input("pixels", None, Fit((12, 16), fit)))))
    wide = np.zeros((30, 120, 3), np.uint8)
    wide[:, 45:75] = COLOURS["red"]
    pixels = fit_array(wide, Fit((12, 16), fit))
    expected = answers.probabilities(pixels[None])[0].tolist()
    assert list(next(answers([wide])).probabilities.values()) == expected
    assert expected != answers.probabilities(fit_array(wide, Fit((12, 16)))[None])[0].tolist()


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Predictor:
    """Return a predictor for the pictures ``front`` (size 12x16) and ``side`` (8x8)."""
    return Predictor(export(tmp_path_factory.mktemp("model") / "pairs.onnx", TWO))


def expected_of(*pixels: np.ndarray) -> np.ndarray:
    """Return the small network's answer, from 3/4 of the first input's mean colour and 1/4 of the second's."""
    logits = (3 * pixels[0].mean((1, 2)) + pixels[1].mean((1, 2))) / 4 / 50
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_a_row_of_two_pictures(pairs, tmp_path):
    assert pairs.columns == ("front", "side")
    red, blue = picture(tmp_path / "red.png", "red"), picture(tmp_path / "blue.png", "blue")
    rows = [{"front": red, "side": blue}, {"side": red, "front": blue}, {"front": blue, "side": blue, "top": red}]
    guesses = list(pairs(rows))
    assert [(guess.path, guess.label) for guess in guesses] == [(red, "red"), (blue, "blue"), (blue, "blue")]
    assert guesses[0].probability < guesses[2].probability


def test_two_pictures_are_each_brought_to_their_own_size(pairs):
    files = [(photo(seed), photo(seed + 50)) for seed in range(5)]
    pixels = [np.stack([decode(f, Fit(size)) for f in some]) for some, size in zip(zip(*files), SIZES)]
    answered = [list(g.probabilities.values()) for g in pairs([{"front": a, "side": b} for a, b in files])]
    np.testing.assert_allclose(answered, expected_of(*pixels), atol=1e-6)
    np.testing.assert_allclose(pairs.probabilities(*pixels), expected_of(*pixels), atol=1e-6)


def test_one_picture_in_two_sizes_is_a_picture(tmp_path):
    both = [Input("pixels_1", None, Fit(SIZES[0])), Input("pixels_2", None, Fit(SIZES[1]))]
    predictor = Predictor(export(tmp_path / "m.onnx", about(*both)))
    assert predictor.columns == ()
    files = [photo(seed) for seed in range(3)]
    pixels = [np.stack([decode(file, one.fit) for file in files]) for one in both]
    guesses = list(predictor([*files, b""]))
    assert guesses[3] == Guess("pictures[3]", "", 0.0, {}, "the file is empty")
    answered = [list(guess.probabilities.values()) for guess in guesses[:3]]
    np.testing.assert_allclose(answered, expected_of(*pixels), atol=1e-6)


def test_a_model_of_one_named_picture_takes_it_with_its_name_or_without(tmp_path):
    predictor = Predictor(export(tmp_path / "m.onnx", about(Input("pixels", "side", Fit(SIZES[0])))))
    red, blue = picture(tmp_path / "red.png", "red"), picture(tmp_path / "blue.png", "blue")
    assert [guess.label for guess in predictor([{"front": blue, "side": red}, red])] == ["red", "red"]


def test_order_of_rows_holds_over_many_batches(pairs):
    order = np.random.default_rng(1).integers(3, size=(3 * predict.BATCH + 2, 2))
    rows = (
        {name: np.full((4, 4, 3), COLOURS[LABELS[i]], np.uint8) for name, i in zip(pairs.columns, row)} for row in order
    )
    guesses = list(pairs(rows))
    assert [guess.label for guess in guesses] == [LABELS[front] for front, _ in order]
    assert [guess.path for guess in guesses] == [f"pictures[{i}]" for i in range(len(order))]
    alike = np.array([guess.probability for guess in guesses]) > 0.98
    np.testing.assert_array_equal(alike, order[:, 0] == order[:, 1])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"front": "1.png", "top": "2.png"},
            "pictures[1] holds 'front' and 'top', but the model takes 'front' and 'side' per row: "
            "expected {'front': ..., 'side': ...}.",
        ),
        (
            {},
            "pictures[1] holds nothing, but the model takes 'front' and 'side' per row: "
            "expected {'front': ..., 'side': ...}.",
        ),
        (
            "1.png",
            "pictures[1] is one picture, but the model takes 'front' and 'side' per row: "
            "expected {'front': ..., 'side': ...}.",
        ),
    ],
)
def test_a_row_that_lacks_one_of_its_pictures(pairs, row, message):
    good = dict.fromkeys(("front", "side"), np.zeros((4, 4), np.uint8))
    with pytest.raises(UsageError) as e:
        list(pairs([good, row]))
    assert str(e.value) == message


def test_a_mapping_for_a_model_of_one_picture(predictor):
    with pytest.raises(UsageError) as e:
        list(predictor([{"front": "1.png"}]))
    assert str(e.value) == (
        "pictures[0] holds 'front', but the model takes one picture per row: expected that picture alone."
    )


def test_one_row_instead_of_several_is_told(pairs):
    with pytest.raises(UsageError) as e:
        pairs({"front": "1.png", "side": "2.png"})
    assert str(e.value) == "expected several rows, got one: put it in a list: [row]."


def test_a_picture_of_a_row_that_cannot_be_read_is_named_with_its_column(pairs, tmp_path):
    good, bad = picture(tmp_path / "red.png", "red"), tmp_path / "bad.png"
    bad.write_text("no picture")
    rows = [{"front": good, "side": bad}, {"front": good, "side": good}, {"front": b"", "side": good}]
    guesses = list(pairs(rows))
    reason = "not a picture: no JPEG, PNG, WebP, BMP, GIF or TIFF"
    assert guesses[0] == Guess(good, "", 0.0, {}, f"the picture 'side' ('{bad}'): {reason}")
    assert (guesses[1].label, guesses[1].error) == ("red", None)
    assert guesses[2] == Guess("pictures[2]", "", 0.0, {}, "the picture 'front': the file is empty")


def test_probabilities_refuses_arrays_that_do_not_go_together(pairs):
    one, other = np.zeros((2, 12, 16, 3), np.uint8), np.zeros((3, 8, 8, 3), np.uint8)
    with pytest.raises(DatasetError) as e:
        pairs.probabilities(one)
    assert str(e.value) == "got 1 of 2 arrays: expected one for each input of the model."
    with pytest.raises(DatasetError) as e:
        pairs.probabilities(one, other)
    assert str(e.value) == "the arrays have 2 and 3 rows: expected the same number in each."


def test_predicting_loads_nothing_of_training(tmp_path):
    model = export(tmp_path / "m.onnx", ABOUT)
    path = picture(tmp_path / "red.png", "red")
    code = (
        "import sys; from topwork.__main__ import run\n"
        "run(['predict', *sys.argv[1:3], '--heat', sys.argv[3] + '/h', '--copy-to', sys.argv[3] + '/c'])\n"
        "heavy = ('keras', 'tensorflow', 'sklearn', 'scipy', 'matplotlib', 'openvino', 'onnx', 'joblib', 'lmdb'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, model, path, tmp_path], capture_output=True, text=True)
    assert done.stdout == f"{path}\tred\t0.984\n[]\n"
    assert done.stderr == f"1 picture copied into '{tmp_path}/c'.\n1 heat map by occlusion in '{tmp_path}/h'.\n"
    assert (tmp_path / "c" / "red" / "red.png").is_file()
