"""Random weights keep signals alive, and have the same bits wherever they are made."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from topwork.networks.backbones import builder
from topwork.networks.weights import random_weights
from topwork.recipes.settings import Backbone

SLOW = [pytest.param(name, marks=pytest.mark.full) for name in ("efficientnet_b0", "convnext_tiny", "mobilenet_v2")]
ALIVE = ["mobilenet_v3_small", *SLOW]


def pooled(network, backbone):
    """Return the features of four pictures, averaged over the map."""
    pixels = np.random.default_rng(1).integers(0, 200, (4, 4, 4, 3)).repeat(8, 1).repeat(8, 2).astype("uint8")
    return np.asarray(network(builder.scaled(pixels, builder.scale(backbone)), training=False)).mean((1, 2))


@pytest.mark.parametrize("name", ALIVE)
def test_signals_stay_alive_and_pictures_differ(name):
    backbone = Backbone(name, "random", 32)
    found = pooled(builder.build(backbone, random_weights.weights_file(backbone)), backbone)
    assert 0.3 < np.abs(found).max() < 1e3
    assert found.std(axis=0).max() > 0.05 * np.abs(found).max()


@pytest.mark.parametrize("name", [SLOW[0], "mobilenet_v3_small"])
def test_initial_values_alone_let_them_die(name):
    backbone = Backbone(name, size=32)
    assert np.abs(pooled(builder.build(backbone, None), backbone)).max() < 1e-3


SMALL = Backbone("mobilenet_025", "random", 32)


def weights_of(path):
    return {variable.path: variable.numpy() for variable in builder.build(SMALL, path).variables}


def test_a_file_is_made_once_and_whole_and_again_with_the_same_bits(own_home):
    keras.utils.set_random_seed(1)
    path = random_weights.weights_file(SMALL)
    made, first = path.stat(), weights_of(path)
    assert random_weights.weights_file(SMALL) == path
    assert path.stat().st_ino == made.st_ino  # the file's time may change: it records the last use
    assert list(path.parent.iterdir()) == [path]
    assert path.name == f"mobilenet_025-random-0-32-tf-keras-{keras.__version__}.weights.h5"
    keras.utils.set_random_seed(2)
    path.unlink()
    second = weights_of(random_weights.weights_file(SMALL))
    assert first.keys() == second.keys()
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


@pytest.mark.full
def test_on_openvino_the_kernels_are_the_same_and_the_statistics_close(tmp_path):
    code = "from topwork.networks.weights import random_weights; from topwork.recipes.settings import Backbone; "
    code += f"print(random_weights.weights_file({SMALL}))"
    env = os.environ | {"KERAS_BACKEND": "openvino", "TOPWORK_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    here, there = weights_of(random_weights.weights_file(SMALL)), weights_of(done.stdout.split()[-1])
    for path, value in here.items():
        if "moving" in path:
            np.testing.assert_allclose(there[path], value, rtol=1e-4, atol=1e-5, err_msg=path)
        else:
            np.testing.assert_array_equal(there[path], value, err_msg=path)
