import io
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from topwork import predict
from topwork.errors import DatasetError, ExportError, UsageError
from topwork.pictures import Fit, decode
from topwork.predict import Guess, Predictor, expand
from topwork.version import VERSION

LABELS = ["red", "green", "blue"]
COLOURS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250)}
ABOUT = {
    "format": 1,
    "labels": LABELS,
    "size": [12, 16],
    "fit": "squash",
    "resample": "bilinear",
    "rule": "pillow-1/12x16/squash/bilinear",
    "cut": "x@pool",
    "scores": {"accuracy": 1.0},
}


def export(path: Path, metadata: str | dict | None) -> Path:
    """Write a network that answers by the mean colour: Cast, ReduceMean, MatMul, Softmax."""
    weights = np.eye(3, dtype=np.float32) / 50
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["colour"], keepdims=0),
        helper.make_node("MatMul", ["colour", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", 12, 16, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([1, 2]), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if metadata is not None:
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
        helper.set_model_props(model, {"topwork": text})
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def predictor(tmp_path_factory) -> Predictor:
    return Predictor(export(tmp_path_factory.mktemp("model") / "colours.onnx", ABOUT))


def picture(path: Path, label: str, size: tuple[int, int] = (40, 30)) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, COLOURS[label]).save(path)
    return str(path)


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
        assert str(e.value) == "expected several pictures, got one: put it in a list, as in predictor([picture])."


def test_probabilities_are_float32_for_any_number_of_rows(predictor):
    for n in (0, 1, predict.BATCH + 1):
        found = predictor.probabilities(np.zeros((n, 12, 16, 3), np.uint8))
        assert (found.dtype, found.shape) == (np.float32, (n, 3))


def test_probabilities_refuses_pixels_of_another_kind(predictor):
    for wrong in (np.zeros((2, 16, 12, 3), np.uint8), np.zeros((2, 12, 16, 3), np.float32)):
        with pytest.raises(DatasetError) as e:
            predictor.probabilities(wrong)
        assert str(e.value) == (
            f"{wrong.dtype} {list(wrong.shape)} are no pixels for this model: expected uint8 [n, 12, 16, 3]."
        )


def test_it_knows_what_the_file_says(predictor):
    assert predictor.labels == ("red", "green", "blue")
    assert predictor.fit == Fit((12, 16))
    assert predictor.about == ABOUT


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_pictures_are_fitted_as_the_file_says(tmp_path, fit):
    about = ABOUT | {"fit": fit, "rule": f"pillow-1/12x16/{fit}/bilinear"}
    answers = Predictor(export(tmp_path / "m.onnx", about))
    wide = np.zeros((30, 120, 3), np.uint8)
    wide[:, 45:75] = COLOURS["red"]
    pixels = predict.fit_array(wide, Fit((12, 16), fit))
    expected = answers.probabilities(pixels[None])[0].tolist()
    assert list(next(answers([wide])).probabilities.values()) == expected
    assert expected != answers.probabilities(predict.fit_array(wide, Fit((12, 16)))[None])[0].tolist()


def refused(path: Path) -> str:
    with pytest.raises(ExportError) as e:
        Predictor(path)
    return str(e.value)


def test_a_file_that_is_missing(tmp_path):
    path = tmp_path / "m.onnx"
    assert refused(path) == f"no file '{path}': expected an ONNX file that 'topwork export' wrote."


def test_a_folder_instead_of_a_file(tmp_path):
    assert refused(tmp_path) == f"'{tmp_path}' is a folder: expected an ONNX file that 'topwork export' wrote."


def test_a_run_instead_of_a_file(tmp_path):
    (tmp_path / "recipe.toml").touch()
    assert refused(tmp_path) == f"'{tmp_path}' is a run folder; export it first: topwork export {tmp_path} model.onnx"


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "No graph was found in the protobuf"), (b"not a model", "Protobuf parsing failed")]
)
def test_a_file_that_is_not_onnx(tmp_path, capfd, content, reason):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    assert refused(path) == (
        f"onnxruntime cannot load '{path}' ({reason}): expected an ONNX file that 'topwork export' wrote."
    )
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_cut_short(tmp_path, capfd):
    path = export(tmp_path / "m.onnx", ABOUT)
    path.write_bytes(path.read_bytes()[:-40])
    assert refused(path).startswith(f"onnxruntime cannot load '{path}' (")
    assert capfd.readouterr() == ("", "")


def test_a_file_of_somebody_else(tmp_path):
    path = export(tmp_path / "m.onnx", None)
    assert refused(path) == (
        f"'{path}' is an ONNX model, but without labels and resize rule (no metadata key 'topwork'): "
        "expected an ONNX file that 'topwork export' wrote."
    )


@pytest.mark.parametrize("metadata", ["{", "[]", "{}", '{"format": 1}', '{"format": "one"}'])
def test_a_file_whose_metadata_are_damaged(tmp_path, metadata):
    path = export(tmp_path / "m.onnx", metadata)
    assert refused(path) == f"the metadata of '{path}' are damaged: export the run again."


def test_a_file_of_a_newer_format(tmp_path):
    path = export(tmp_path / "m.onnx", {"format": 2, "classes": []})
    assert refused(path) == (
        f"'{path}' has format 2, and topwork {VERSION} reads up to 1: pip install --upgrade topwork."
    )


@pytest.mark.parametrize(
    "changed",
    [{"rule": "pillow-2/12x16/squash/bilinear"}, {"size": [12, 17]}, {"fit": "stretch"}, {"resample": "cubic"}],
)
def test_a_file_with_a_rule_of_resizing_that_is_not_ours(tmp_path, changed):
    about = ABOUT | changed
    path = export(tmp_path / "m.onnx", about)
    assert refused(path) == (
        f"'{path}' resizes pictures by the rule '{about['rule']}', which topwork {VERSION} does not know: "
        "pip install --upgrade topwork, or export the run again."
    )


def test_expand_finds_the_pictures_of_folders_sorted_and_leaves_files_as_they_are(tmp_path):
    for name in ("b/2.PNG", "b/1.jpg", "a.webp", ".hidden.jpg", ".cache/x.jpg", "b/.hidden/y.png"):
        picture(tmp_path / name, "red")
    (tmp_path / "notes.txt").touch()
    found = expand([tmp_path / "notes.txt", tmp_path, "missing.jpg"])
    inside = [str(tmp_path / name) for name in ("a.webp", "b/1.jpg", "b/2.PNG")]
    assert found == [str(tmp_path / "notes.txt"), *inside, "missing.jpg"]


def test_expand_of_folders_without_pictures(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(DatasetError) as e:
        expand([tmp_path / "a", tmp_path / "b"])
    assert str(e.value) == f"no picture in '{tmp_path}/a', '{tmp_path}/b', nor anywhere below."
    assert expand([tmp_path / "a", "b.jpg"]) == ["b.jpg"]
    assert expand([]) == []


def test_predicting_loads_nothing_of_training(tmp_path):
    model = export(tmp_path / "m.onnx", ABOUT)
    path = picture(tmp_path / "red.png", "red")
    code = (
        "import sys; from topwork.predict import Predictor, expand; "
        "print([guess.label for guess in Predictor(sys.argv[1])(expand([sys.argv[2]]))]); "
        "heavy = ('keras', 'tensorflow', 'sklearn', 'scipy', 'matplotlib', 'openvino', 'onnx', 'joblib', 'lmdb'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, model, path], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("['red']\n[]\n", "")
