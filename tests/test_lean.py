"""Keras without what it imports for others, which stays importable."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

CODE = """
import sys
from topwork import lean

lean.own_process = {own}
lean.import_keras()
import keras

assert keras.config.backend() == "openvino"
print(*sorted({{"sklearn", "matplotlib", "pandas", "scipy.signal"}} & sys.modules.keys()))
lean.import_keras()
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


def test_elsewhere_keras_is_imported_as_ever():
    assert "sklearn" in imported(own=False)


def test_what_a_failing_import_says_comes_out():
    """Greetings are kept from stderr, reasons are not."""
    code = "import sys\nfrom topwork import lean\nlean.own_process = True\nlean.import_keras()"
    env = os.environ | {"KERAS_BACKEND": "nonesuch"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert "nonesuch" in done.stderr


def test_a_backend_that_is_not_installed():
    absent = [name for name in ("jax", "torch", "tensorflow") if not find_spec(name)]
    if not absent:
        pytest.skip("every backend is installed here")
    code = "from topwork import lean\nlean.import_keras()"
    env = os.environ | {"KERAS_BACKEND": absent[0]}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        f"topwork.errors.MissingExtra: Keras is to run on {absent[0]}, which is not installed. Install it with: "
        f'pip install "topwork[{absent[0]}]", or choose another backend: KERAS_BACKEND=tensorflow, jax or torch.'
    )
