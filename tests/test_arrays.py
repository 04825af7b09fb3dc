"""Arrays from end to end: the run keeps a few of them, as they lie nowhere else."""

import numpy as np
import pytest

import topwork as tw
from topwork.errors import DatasetError
from topwork.export import CHECKED, checked
from topwork.readers import read

from .conftest import COLOURS, picture

NAME = "mobilenet_v2_035"


@pytest.fixture(scope="module")
def arrays() -> tuple[np.ndarray, list[str]]:
    """240 pictures of 24 x 24 in three classes."""
    labels = [list(COLOURS)[i % 3] for i in range(240)]
    return np.stack([np.asarray(picture(COLOURS[name], i, 24)) for i, name in enumerate(labels)]), labels


@pytest.fixture(scope="module")
def run(arrays, tmp_path_factory) -> tw.Run:
    return tw.train(
        arrays,
        phases=[tw.Phase(f"{NAME}@pool", epochs=2)],
        backbones=[tw.Backbone(NAME, "random", 32)],
        out=tmp_path_factory.mktemp("runs") / "arrays",
    )


def test_the_run_keeps_those_that_an_export_is_checked_on(run, arrays):
    kept = run.folder.sample()
    assert list(kept) == [row.path for row in checked(read(arrays))]
    assert len(kept) == CHECKED < 240
    for path, pixels in kept.items():
        assert np.array_equal(pixels, arrays[0][int(path[2:-1])])


def test_parts_that_were_measured_can_be_measured_again(run):
    assert run.evaluate("test")["accuracy"] == run.results["accuracy"]


def test_parts_that_were_not_must_be_given(run, arrays):
    with pytest.raises(DatasetError) as error:
        run.evaluate("train")
    assert str(error.value) == (
        "the run was trained on arrays, and these are not kept: give them, as in run.evaluate((X, y)), "
        "or evaluate the test part."
    )
    found = run.evaluate(arrays)
    assert (found["pictures"], found["left_out"]) == (240, {})
    assert run.evaluate("train")["pictures"] == len(run.data.part("train"))  # the store has them now


def test_the_exported_file_takes_arrays_one_by_one_or_all_in_one(run, arrays, tmp_path):
    pixels, labels = arrays
    predictor = run.export(tmp_path / "model.onnx")
    guesses = list(predictor(pixels))
    right = np.mean([guess.label == label for guess, label in zip(guesses, labels, strict=True)])
    assert right == pytest.approx(run.evaluate(arrays)["accuracy"]["value"])
    assert next(predictor([pixels[0]])) == guesses[0]
    grey = pixels[:3].mean(-1).astype(np.uint8)
    assert [guess.path for guess in predictor(grey)] == ["pictures[0]", "pictures[1]", "pictures[2]"]
