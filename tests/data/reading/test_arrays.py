"""Arrays: the accepted forms, and a run from start to end, which keeps some of the arrays because no file has them."""

from pathlib import Path

import numpy as np
import pytest

import topwork as tw
from tests.conftest import COLOURS, picture
from tests.tiny import NAME, tiny
from topwork.data.dataset import in_array
from topwork.data.picture_files import digest_array
from topwork.data.readers import read
from topwork.errors import DatasetError
from topwork.scoring.answers import CHECKED, checked, examples


@pytest.fixture(scope="module")
def arrays() -> tuple[np.ndarray, list[str]]:
    """Return 240 pictures of 24 x 24 in three classes, and their labels."""
    labels = [list(COLOURS)[i % 3] for i in range(240)]
    return np.stack([np.asarray(picture(COLOURS[name], i, 24)) for i, name in enumerate(labels)]), labels


@pytest.fixture(scope="module")
def run(arrays, tmp_path_factory) -> tw.Run:
    return tw.train(
        arrays,
        phases=[tw.Phase(f"{NAME}@pool", epochs=2)],
        backbones=[tiny()],
        out=tmp_path_factory.mktemp("runs") / "arrays",
    )


def test_the_run_keeps_those_that_an_export_is_checked_on(run, arrays):
    kept = run.folder.sample()
    rows = [*checked(read(arrays)), *examples(read(arrays))]
    assert list(kept) == list(dict.fromkeys(row.path for row in rows))
    assert CHECKED < len(kept) < 240
    for path, pixels in kept.items():
        assert np.array_equal(pixels, in_array(arrays[0], path))


def test_parts_that_were_measured_can_be_measured_again(run):
    assert run.evaluate("test").accuracy == run.results.accuracy


def test_parts_that_were_not_must_be_given(run, arrays):
    with pytest.raises(DatasetError) as error:
        run.evaluate("train")
    assert str(error.value) == (
        "the run was trained on arrays, and these are not kept: give them, as in run.evaluate((X, y)), "
        "or evaluate the test part."
    )
    found = run.evaluate(arrays)
    assert (found.pictures, found.left_out) == (240, {})
    assert run.evaluate("train").pictures == len(run.data.part("train"))  # the store has these pictures now


def test_the_exported_file_takes_arrays_one_by_one_or_all_in_one(run, arrays, tmp_path):
    pixels, labels = arrays
    predictor = run.export(tmp_path / "model.onnx")
    guesses = list(predictor(pixels))
    right = np.mean([guess.label == label for guess, label in zip(guesses, labels, strict=True)])
    assert right == pytest.approx(run.evaluate(arrays).accuracy.value)
    assert next(predictor([pixels[0]])) == guesses[0]
    grey = pixels[:3].mean(-1).astype(np.uint8)
    assert [guess.path for guess in predictor(grey)] == ["pictures[0]", "pictures[1]", "pictures[2]"]


PIXELS = np.random.default_rng(0).integers(0, 256, (60, 4, 5, 3), dtype=np.uint8)
LABELS = np.arange(60) % 3


def told(data):
    with pytest.raises(DatasetError) as error:
        read(data)
    return str(error.value)


def saved(folder, **arrays):
    np.savez(folder / "data.npz", **arrays)
    return str(folder / "data.npz")


@pytest.mark.parametrize("names", ["Xy", "xy"])
def test_a_file_of_x_and_y_is_read_as_the_arrays_are(tmp_path, names):
    data = read(saved(tmp_path, **{names[0]: PIXELS, names[1]: LABELS.astype(str)}))
    assert data.rows == read((PIXELS, LABELS)).rows
    assert np.array_equal(data.pixels, PIXELS)


@pytest.mark.parametrize("val", ["val", "valid", "VALIDATION"])
def test_a_file_of_parts_gives_them_and_the_rest_is_drawn(tmp_path, val):
    parts = {"train": slice(0, 10), val: slice(10, 14), "test": slice(14, 20)}
    arrays = {
        f"{kind}_{word}": values[rows] for word, rows in parts.items() for kind, values in zip("xy", (PIXELS, LABELS))
    }
    data = read(saved(tmp_path, **arrays, X=PIXELS[20:], y=LABELS[20:, None]), draw="stratified")
    assert sorted(row.digest for row in data.rows) == sorted(row.digest for row in read((PIXELS, LABELS)).rows)
    assert [row.split for row in data.rows[40:]] == ["train"] * 10 + ["val"] * 4 + ["test"] * 6
    assert {row.split for row in data.rows[:40]} == {"train", "val", "test"}
    assert all(row.digest == digest_array(data.picture(row.path)) for row in data.rows)


def test_of_a_part_alone_all_are_drawn(tmp_path):
    data = read(saved(tmp_path, x_train=PIXELS, y_train=LABELS), draw="stratified")
    assert [len(data.part(part)) for part in ("train", "val", "test")] == [48, 6, 6]
    assert data.notes == ("Only x_train was found: all parts are drawn from it.",)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"a": PIXELS, "b": LABELS},
            "{path} holds the arrays 'a', 'b': expected X and y, or x_train, y_train, x_test and y_test.",
        ),
        (
            {"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS},
            "{path} holds the arrays 'x_train', 'y_train', 'x_test', but no 'y_test': "
            "expected X and y, or x_train, y_train, x_test and y_test.",
        ),
        (
            {"x": PIXELS, "y": np.array([None, "a"])},
            "{path}: y cannot be read; it is damaged or holds Python objects. "
            "Expected a plain array of numbers or strings.",
        ),
        (
            {"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS[:, :3], "y_test": LABELS},
            "x_test holds pictures of [3, 5, 3]: expected [4, 5, 3], as in x_train.",
        ),
        (
            {"x_train": PIXELS / 255, "y_train": LABELS},
            "x_train is float64: expected uint8, values from 0 to 255. "
            "Convert them: (x_train * 255).round().astype('uint8') if they go from 0 to 1.",
        ),
        ({"X": PIXELS, "y": LABELS[:9]}, "y has the shape [9]: expected [60], a label for each picture of X."),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, arrays, message):
    path = saved(tmp_path, **arrays)
    assert told(path) == message.format(path=repr(path))


def test_a_file_that_is_none_or_damaged_is_refused(tmp_path):
    path = saved(tmp_path, x=PIXELS, y=LABELS)
    content = bytearray((tmp_path / "data.npz").read_bytes())
    content[2000] ^= 1
    (tmp_path / "data.npz").write_bytes(content)
    assert told(path) == (
        f"{path!r}: x cannot be read; it is damaged or holds Python objects. "
        "Expected a plain array of numbers or strings."
    )
    (tmp_path / "data.npz").write_bytes(b"hello")
    assert told(path) == f"{path!r} is not an .npz file: expected a file that numpy.savez wrote."


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow", reason="TensorFlow is not installed")


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float16"])
@pytest.mark.parametrize("labels", [LABELS, LABELS.astype(str), LABELS[:, None]])
def test_a_stream_is_read_as_the_arrays_are(tf, dtype, labels):
    stream = tf.data.Dataset.from_tensor_slices((PIXELS.astype(dtype), labels))
    expected = read((PIXELS, LABELS))
    for data in (read(stream), read(stream.batch(16)), read(stream.batch(7).prefetch(2))):
        assert data.rows == expected.rows
        assert (data.pixels.dtype, data.pixels.tolist()) == (np.uint8, PIXELS.tolist())


def test_a_stream_is_read_through_once(tf):
    passes = []

    def pairs():
        passes.append(1)
        yield from zip(PIXELS[..., :1], LABELS)

    signature = (tf.TensorSpec((None, None, 1), tf.uint8), tf.TensorSpec((), tf.int64))
    data = read(tf.data.Dataset.from_generator(pairs, output_signature=signature))
    assert len(data.rows) == 60
    assert len(passes) == 1


def sizes(tf):
    signature = (tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(
        lambda: iter([(PIXELS[0], 0), (PIXELS[1, :3], 1)]), output_signature=signature
    )


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (
            lambda slices, tf: slices((PIXELS, LABELS)).repeat(),
            "the tf.data.Dataset never ends: remove repeat(), or end it with take(n).",
        ),
        (
            lambda slices, tf: slices((PIXELS, LABELS)).take(0),
            "the tf.data.Dataset is empty: expected at least one (picture, label).",
        ),
        (
            lambda slices, tf: sizes(tf),
            "the tf.data.Dataset gives pictures of [4, 5, 3] and of [3, 5, 3]: expected one size. "
            "Resize them, or give the files themselves.",
        ),
        (
            lambda slices, tf: slices((np.full((8, 4, 5, 1), 0.25, np.float32), LABELS[:8])).batch(8),
            "the tf.data.Dataset gives pictures of float32 that hold 0.25: expected whole numbers from 0 to 255. "
            "Give the folder if they are files; else "
            "round them (times 255 first, if they go from 0 to 1): "
            "data.map(lambda x, y: (tf.cast(tf.round(x), tf.uint8), y)).",
        ),
        (
            lambda slices, tf: slices((np.full((8, 4, 5, 1), 256, np.int16), LABELS[:8])),
            "the tf.data.Dataset gives pictures of int16 that hold 256: expected whole numbers from 0 to 255. "
            "Give the folder if they are files; else "
            "round them (times 255 first, if they go from 0 to 1): "
            "data.map(lambda x, y: (tf.cast(tf.round(x), tf.uint8), y)).",
        ),
        (
            lambda slices, tf: slices((PIXELS, np.eye(3)[LABELS])).batch(8),
            "y has the shape [60, 3]: expected [60], a label for each picture of X.",
        ),
        (
            lambda slices, tf: slices(LABELS),
            "the tf.data.Dataset gives TensorSpec(shape=(), dtype=tf.int64, name=None): "
            "expected (picture, label), two plain tensors.",
        ),
    ],
)
def test_a_wrong_stream_is_refused(tf, stream, message):
    assert told(stream(tf.data.Dataset.from_tensor_slices, tf)) == message


@pytest.mark.parametrize("paths", [["a.jpg", "b.jpg"], [Path("a.jpg"), Path("b.jpg")], np.array(["a.jpg", "b.jpg"])])
def test_paths_in_place_of_pictures_get_advice_that_applies(paths):
    assert told((paths, ["a", "b"])) == (
        "X holds text, as 'a.jpg': expected pictures, uint8 values from 0 to 255. For the paths of files give a table: "
        "pandas.DataFrame({'path': X, 'label': y})."
    )


def test_a_stream_made_of_a_folder_gets_advice_that_applies(tf, pictures):
    import keras

    stream = keras.utils.image_dataset_from_directory(pictures, image_size=(8, 8), verbose=False)
    count = len(stream.file_paths)
    assert told(stream) == (
        f"the tf.data.Dataset was made of {count} files, resized and without the names of their classes: "
        f"give the folder itself, {str(pictures)!r}; topwork reads and splits it."
    )
