"""A run that was made at 9864c83, before the order of classes was written down, answers as it did.

``fixtures/format_1`` holds it with its network (`tests.tiny`) and its data: 120 drawn pictures of 12 classes, 0 to 11.
"""

import csv
import shutil

import numpy as np
import pytest

import topwork as tw
from tests import PROJECT
from topwork.data import pictures
from topwork.errors import RunError

FIXTURE = PROJECT / "tests" / "fixtures" / "format_1"
BY_TEXT = ("0", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier") / "all"
    shutil.copytree(FIXTURE, folder)
    for name in ("environment.json", "pretrained.json", "recipe.toml"):
        path = folder / "run" / name
        path.write_text(path.read_text(encoding="utf-8").replace("FIXTURE", str(folder)), encoding="utf-8")
    return tw.Run(folder / "run")


def test_a_run_without_a_class_order_keeps_that_of_text(run):
    assert run.data.classes == BY_TEXT
    assert tw.read(run.path.parent / "data.npz").classes == tuple(map(str, range(12)))


def test_an_earlier_run_scores_the_same(run):
    found = run.evaluate("test")
    assert found["accuracy"] == run.results["accuracy"]
    assert found["loss"]["value"] == pytest.approx(run.results["test"]["loss"]["value"], abs=1e-5)
    assert found["confusion"] == run.results["test"]["confusion"]


def test_the_model_of_an_earlier_run_answers_in_the_order_that_it_was_trained_in(run):
    pixels = dict(zip((f"X[{i}]" for i in range(120)), np.load(run.path.parent / "data.npz")["X"]))
    with (run.path / "predictions.csv").open(encoding="utf-8") as file:
        first, *_ = csv.DictReader(file)
    picture = pictures.fit_array(pixels[first["path"]], pictures.Fit((32, 32)))
    said = run.model().predict(picture[None], verbose=0)[0]
    np.testing.assert_allclose(said, [float(first[label]) for label in BY_TEXT], atol=1e-4)


def test_the_recipe_of_an_earlier_run_is_read_under_todays_names(run):
    (phase,) = run.recipe.phases
    text = (run.path / "recipe.toml").read_text(encoding="utf-8")
    assert f"rate = {phase.learning_rate}\n" in text
    assert f"batch = {phase.batch_size}\n" in text


def test_an_unfinished_earlier_run_is_refused_with_the_reason(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    (tmp_path / "run" / "results.json").unlink()
    with pytest.raises(RunError) as error:
        tw.Run(tmp_path / "run").resume()
    assert "has format 1 and is not finished. This topwork resumes runs of format 2 only: it draws and" in str(
        error.value
    )
    assert str(error.value).endswith(f"topwork train DATA --recipe {tmp_path / 'run' / 'recipe.toml'}")
