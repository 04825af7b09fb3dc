"""Keras is imported without the packages that topwork does not need from it; they can still be imported later."""

import os
import platform
import subprocess
import sys

import pytest

from topwork.system import keras_backend

CODE = """
import sys
from topwork.system import keras_settings

keras_settings.own_process = {own}
keras_settings.import_keras()
import keras

assert keras.config.backend() == "openvino"
print(*sorted({{"sklearn", "matplotlib", "pandas", "scipy.signal"}} & sys.modules.keys()))
keras_settings.import_keras()
import scipy.signal, sklearn, matplotlib.pyplot

assert scipy.signal.stft and sklearn.__version__ and matplotlib.pyplot.plot
"""


def imported(own):
    env = os.environ | {"KERAS_BACKEND": "openvino"}
    done = subprocess.run([sys.executable, "-c", CODE.format(own=own)], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_in_a_process_of_our_own_the_rest_is_left_for_later():
    assert imported(own=True) == []


@pytest.mark.full
def test_elsewhere_keras_is_imported_as_ever():
    assert "sklearn" in imported(own=False)


def onednn(before="", **said):
    """Return what topwork and a private function of TensorFlow report about oneDNN in a new process."""
    code = (
        f"{before}\nfrom topwork.system import keras_backend, keras_settings\nkeras_settings.import_keras()\n"
        "from tensorflow.python.util import _pywrap_util_port\n"
        "print(keras_backend.onednn(), _pywrap_util_port.IsMklEnabled())"
    )
    env = {name: value for name, value in os.environ.items() if name != keras_backend.ONEDNN}
    env |= {"KERAS_BACKEND": "tensorflow", **said}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True).stdout.split()


@pytest.mark.full
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="only x86 processors get oneDNN from topwork")
def test_tensorflow_computes_with_onednn_unless_told_otherwise():
    pytest.importorskip("tensorflow")
    assert onednn() == ["1", "True"]
    assert onednn(TF_ENABLE_ONEDNN_OPTS="0") == ["0", "False"]
    assert onednn("import tensorflow")[0] == "unset"


@pytest.mark.full
def test_a_resumed_run_computes_as_it_began():
    follow = "from topwork.system import keras_backend; keras_backend.follow({!r})"
    assert onednn(follow.format("unset"))[0] == "unset"
    assert onednn(follow.format("0"))[0] == "0"
    assert onednn(follow.format("1"))[0] == "1"
    assert onednn(follow.format("1"), TF_ENABLE_ONEDNN_OPTS="0")[0] == "0"


def test_what_a_failing_import_says_comes_out():
    """Keras' start-up messages do not reach stderr, but the reasons of failures do."""
    code = "from topwork.system import keras_settings as k\nk.own_process = True\nk.import_keras()"
    env = os.environ | {"KERAS_BACKEND": "nonesuch"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert "nonesuch" in done.stderr


@pytest.mark.full
@pytest.mark.parametrize("own", [True, False], ids=["a command", "a notebook"])
def test_tensorflow_prints_no_lines_of_its_own(own):
    pytest.importorskip("tensorflow")
    code = (
        f"from topwork.system import keras_settings as k\nk.own_process = {own}\nk.import_keras()\n"
        "import keras, numpy as np, tensorflow as tf\n"
        "model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])\n"
        "model.compile('sgd', 'mse')\n"
        "model.fit(tf.data.Dataset.from_generator(lambda: iter([(np.ones((2, 4)), np.ones((2, 1)))]), "
        "output_signature=(tf.TensorSpec((2, 4)), tf.TensorSpec((2, 1)))), verbose=0)"
    )
    env = os.environ | {"KERAS_BACKEND": "tensorflow"}
    env.pop("TF_CPP_MIN_LOG_LEVEL", None)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
