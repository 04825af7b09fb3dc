"""Tests with real pictures and weights, if ``TOPWORK_REAL`` names a folder that contains them."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

import topwork as tw
from benchmarks import recipes
from benchmarks.stats import accuracy
from tests.command import POOL, topwork
from topwork.networks.weights import official

NAME = "mobilenet_v2_035"


@pytest.fixture
def keras_home(real, tmp_path, monkeypatch) -> Path:
    """Set a KERAS_HOME that contains the real weights."""
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "models").symlink_to(real / "weights")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


@pytest.mark.full
def test_flowers(real, keras_home, tmp_path):
    run, file = tmp_path / "run", tmp_path / "flowers.onnx"
    found = topwork("train", real / "flowers5", "--cut", f"{NAME}@pool", "--out", run, "--json").json
    assert found["left_out"] == 0
    assert sum(sum(parts.values()) for parts in found["pictures"].values()) == 500
    assert found["accuracy"]["value"] > 0.6
    ran = topwork("export", run, file)
    assert (ran.status, ran.out) == (0, f"{file}\n")
    test = {str(real / "flowers5" / row.path): row.label for row in tw.Run(run).data.part("test")}
    guesses = [json.loads(line) for line in topwork("predict", file, *test, "--json").out.splitlines()]
    right = np.mean([guess["label"] == test[guess["path"]] for guess in guesses])
    assert right == found["accuracy"]["value"]


def test_without_its_package_the_default_is_the_widest_mobilenet_v2_at_hand(keras_home, no_package):
    backbone, why = official.default()
    assert backbone.name == NAME
    assert why.splitlines()[1].startswith(
        "Backbone: mobilenet_v2_035, the widest MobileNetV2 whose ImageNet file is at hand"
    )


@pytest.mark.full
@pytest.mark.parametrize(
    "name",
    [
        "inception_v3_retrain",
        "inception_v3_two_phase",
        "inception_v3_partial",
        "fusion_single_input",
        "resnet50_flowers_pooled",
    ],
)
def test_a_recipe_is_as_good_as_a_probe_of_its_features_less_an_interval(real, keras_home, tmp_path, name):
    plan = recipes.Plan((name,), real / "flowers5", "imagenet", folds=2)
    found = recipes.measure(plan, tmp_path)[name]
    assert accuracy(found.answers).value >= accuracy(found.probed).low


@pytest.mark.full
def test_mnist(real, keras_home, tmp_path):
    """The command from docs/articles.md works."""
    swap = ("--set", "phase.1.cut=mobilenet_025@conv_pw_1_relu", "--set", "phase.1.schedule=cosine")
    words = ("train", real / "mnist", "--recipe", "inception_v3_mnist", *swap)
    found = topwork(*words, "--set", "backbones.mobilenet_025.scale=own", "--out", tmp_path / "run", "--json").json
    assert (found["test"]["pictures"], found["pictures"]["7"]["train"] > 500) == (2000, True)
    assert found["accuracy"]["value"] >= 0.975


@pytest.mark.full
def test_choose(real, keras_home):
    """The linear probe works as the folder's README reports; it uses the pictures outside the test part."""
    found = topwork("choose", real / "flowers5", "--cut", f"{NAME}@pool", "--cut", "mobilenet_025@pool", "--json").json
    best, other = found["candidates"]
    assert (best["cut"], found["best"], found["proposed"]) == (f"{NAME}@pool",) * 3
    assert best["accuracy"]["value"] >= 0.8
    assert (best["tied"], other["tied"]) == (True, False)
    assert best["logme"] > other["logme"]


def test_odd_pictures_are_named_when_they_are_read_and_when_they_train(real, tmp_path):
    for i, path in enumerate(sorted((real / "odd").iterdir())):
        (tmp_path / "data" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "ab"[i % 2] / path.name).symlink_to(path)
    left_out = topwork("read", tmp_path / "data", "--json").json["left_out"]
    assert (len(left_out), left_out["b/truncated_jpeg.jpg"]) == (7, "a JPEG file that is cut short")
    words = (*POOL, "--epochs", 1, "--set", 'data.draw="stratified"', "--out", tmp_path / "run")
    assert topwork("train", tmp_path / "data", *words, "--json").json["left_out"] == 7
    assert {gone.path: gone.reason for gone in tw.Run(tmp_path / "run").data.left_out} == left_out


@pytest.fixture(scope="module")
def digits(real) -> tuple[np.ndarray, np.ndarray]:
    """Return 600 pictures from MNIST's test part, as uint8 ``[600, 28, 28]``, and their labels."""
    pixels = gzip.decompress((real / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((real / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(pixels, np.uint8, 600 * 784, 16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, 600, 8)


@pytest.mark.full
def test_arrays(digits, keras_home, tmp_path):
    pixels, labels = digits
    run = tw.train(
        (pixels[:500], labels[:500]),
        phases=[tw.Phase(f"{NAME}@pool", learning_rate=3e-3)],
        backbones=[tw.Backbone(NAME, size=64)],
        out=tmp_path / "run",
    )
    assert run.results.accuracy.value > 0.6
    others = run.evaluate((pixels[500:], labels[500:]))
    assert (others.pictures, others.left_out) == (100, {})
    assert others.accuracy.value > 0.6
    predictor = run.export(tmp_path / "digits.onnx")
    guesses = list(predictor(pixels[500:]))
    right = np.mean([guess.label == str(label) for guess, label in zip(guesses, labels[500:], strict=True)])
    assert right == others.accuracy.value
