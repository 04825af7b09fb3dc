"""A run depends on certain weights: its lockfile names them when the run is made, and others are refused."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from unittest.mock import patch

import pytest
from keras.src.applications import mobilenet

import topwork as tw
from tests import checkpoint
from tests.conftest import make_folder
from topwork.data.dataset import Dataset
from topwork.errors import RunError
from topwork.networks.backbones import builder, efficientnet_lite0
from topwork.networks.weights import random_weights
from topwork.networks.weights.files import folder, sha256
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Options
from topwork.runs import lockfile
from topwork.runs.creation import create
from topwork.training.prepare import chosen, completed, prepared

NAME = "mobilenet_025"
FILE = "mobilenet_2_5_224_tf_no_top.h5"
ONLINE = tw.Backbone(NAME, size=32, runtime="keras")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a run whose weights were fetched, its lock from when its folder was made, and Keras' home."""
    folder = tmp_path_factory.mktemp("lock")
    random = replace(ONLINE, weights="random")
    builder.build(random, random_weights.weights_file(random)).save(folder / FILE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KERAS_HOME", str(folder / "keras"))
        patched.setenv("TOPWORK_OFFLINE", "0")
        patched.setenv("no_proxy", "*")
        recipe = completed(chosen([tw.Phase(f"{NAME}@pool", epochs=1)], [ONLINE]), head_first=False)
        with patch.object(mobilenet, "BASE_WEIGHT_PATH", f"{folder.as_uri()}/"):
            course = prepared(make_folder(folder / "colours", each=10), recipe, None, Options(folder / "run"))
            before = lockfile.read(course.folder)
            course.run()
    return tw.Run(folder / "run"), before, folder / "keras"


@pytest.fixture
def run(made, tmp_path, monkeypatch):
    """Return a copy of the run for one test, with its weights file available."""
    monkeypatch.setenv("KERAS_HOME", str(shutil.copytree(made[2], tmp_path / "keras")))
    return tw.Run(shutil.copytree(made[0].path, tmp_path / "run"))


@pytest.fixture
def told(run):
    """Replace the run's weights file with another, and return the error message that must follow."""
    before = sha256(folder() / FILE)
    shutil.copy(random_weights.weights_file(replace(ONLINE, weights="random", size=64)), folder() / FILE)
    return (
        f"the run {str(run.path)!r} depends on the weights {FILE!r} with SHA-256 {before[:12]}, and "
        f"{str(folder() / FILE)!r} has {sha256(folder() / FILE)[:12]} now. "
        "Put back the file that it was trained with, or train a new run."
    )


def test_a_file_is_locked_once_it_is_fetched(made, run):
    _, before, _ = made
    assert before == {NAME: None}
    about = {"file": FILE, "bytes": (folder() / FILE).stat().st_size, "sha256": sha256(folder() / FILE)}
    assert json.loads((run.path / "pretrained.json").read_text()) == {NAME: about}


@pytest.mark.full
def test_what_can_be_done_with_a_run_whose_file_is_there(run, tmp_path):
    assert run.model().output_shape == (None, 3)
    assert run.evaluate().accuracy == run.results.accuracy
    run.export(tmp_path / "a.onnx")


@pytest.mark.parametrize("verb", ["model", "evaluate", "export", "start_from"])
def test_nothing_is_done_on_another_file(run, told, verb, tmp_path):
    def start_from():
        tw.train(run.data, parent=run, out=tmp_path / "next")

    verbs = {"start_from": start_from, "export": lambda: run.export(tmp_path / "a.onnx")}
    with pytest.raises(RunError) as error:
        verbs.get(verb, getattr(run, verb, None))()
    assert str(error.value) == told
    assert not (tmp_path / "a.onnx").exists() and not (tmp_path / "next").exists()


def test_the_file_is_put_back(run, told, made):
    shutil.copy(made[2] / "models" / FILE, folder() / FILE)
    assert run.model().output_shape == (None, 3)


def test_without_its_lock_a_run_is_refused(run):
    (run.path / "pretrained.json").unlink()
    with pytest.raises(RunError) as error:
        run.model()
    assert str(error.value) == (
        f"{str(run.path / 'pretrained.json')!r} is gone, but its run needs it: put it back, or train a new run."
    )


def test_random_weights_are_locked_by_what_they_are_drawn_from(run):
    backbone = replace(ONLINE, weights="random")
    path = run.path / "recipe.toml"
    path.write_text(path.read_text().replace('weights = "imagenet"', 'weights = "random"'))
    assert lockfile.known(run.recipe) == {NAME: {"random": random_weights.identity(backbone)}}
    lockfile.write(run.path, {NAME: {"random": "random-0-32-tf-keras-3.14.0"}})
    with pytest.raises(RunError) as error:
        lockfile.check(run.folder)
    assert str(error.value) == (
        f"the run {str(run.path)!r} depends on the weights 'random-0-32-tf-keras-3.14.0' of {NAME}, and "
        f"here they are {random_weights.identity(backbone)!r}. "
        "Use the versions and the recipe that it was trained with, or train a new run."
    )


def test_files_of_your_own_are_locked_by_their_paths(tmp_path):
    for name in ("mine.keras", "b0.h5"):
        (tmp_path / name).write_bytes(b"abc")
    mine, b0 = str(tmp_path / "mine.keras"), str(tmp_path / "b0.h5")
    named = {"mine": {"model": mine, "size": 32}, "efficientnet_b0": {"weights": b0}}
    recipe = Recipe.from_mapping({"backbones": named, "phase": [{"cut": "mine@pool + efficientnet_b0@pool"}]})
    about = {"bytes": 3, "sha256": sha256(tmp_path / "b0.h5")}
    assert lockfile.known(recipe) == {"mine": {"file": mine, **about}, "efficientnet_b0": {"file": b0, **about}}


def test_the_way_out_names_verify_where_keras_publishes_a_hash(tmp_path, monkeypatch):
    file = "efficientnetb0_notop.h5"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    official = folder() / file
    official.parent.mkdir()
    official.write_bytes(b"abc")
    recipe = Recipe.from_mapping({"phase": [{"cut": "efficientnet_b0@pool"}]})
    run = create(tmp_path / "run", recipe, Dataset("/d", ()), lock=lockfile.known(recipe))
    lockfile.check(run)
    official.write_bytes(b"abcd")
    with pytest.raises(RunError) as error:
        lockfile.check(run)
    assert str(error.value) == (
        f"the run '{tmp_path}/run' depends on the weights '{file}' with SHA-256 ba7816bf8f01, and "
        f"'{official}' has 88d4266fd4e6 now. Put back the file that it was trained with "
        "('topwork weights verify' knows the one that Keras publishes), or train a new run."
    )


def test_a_lock_needs_no_keras(tmp_path):
    recipe = '{"phase": [{"cut": "vgg16@pool + mobilenet_v2@pool"}], "backbones": {"vgg16": {"weights": "random"}}}'
    code = (
        "import sys; from topwork.runs import lockfile; from topwork.recipes import recipe; "
        f"print(lockfile.known(recipe.Recipe.from_mapping({recipe})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; sys.exit('keras' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert "'mobilenet_v2': None" in done.stdout and "'vgg16': {'random': 'random-0-224-caffe-keras-" in done.stdout


@pytest.mark.parametrize("weights", ["random", "imagenet"])
def test_another_build_of_topworks_own_network_is_refused(weights, tmp_path, monkeypatch):
    checkpoint.package(tmp_path / "site", monkeypatch, {})
    named = {"efficientnet_lite0": {"weights": weights, "size": 32}}
    recipe = Recipe.from_mapping({"backbones": named, "phase": [{"cut": "efficientnet_lite0@pool"}]})
    known = lockfile.known(recipe)
    assert known["efficientnet_lite0"]["build"] == 1
    run = create(tmp_path / "run", recipe, Dataset("/d", ()), lock=known)
    lockfile.check(run)
    monkeypatch.setattr(efficientnet_lite0, "BUILD", 2)
    with pytest.raises(RunError) as error:
        lockfile.check(run)
    assert str(error.value) == (
        f"the run '{tmp_path}/run' was trained with build 1 of efficientnet_lite0, and this topwork has build 2, which "
        "computes something else. Use the topwork that it was trained with (environment.json names it), or train a new "
        "run."
    )
