"""An unusable backend, or a ``keras.json`` with which Keras cannot be imported, is refused with a message."""

import json
import os
import sys

import keras
import pytest

from topwork.errors import MissingExtra, UsageError
from topwork.system import keras_backend


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Return the path of ``keras.json``; Keras seems not yet imported, and the environment names no backend."""
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path / "keras.json"


@pytest.mark.parametrize("name", ["theano", "openvino", "numpy", "tensorflwo", "TensorFlow", "None"])
def test_a_backend_that_does_not_train_names_what_chose_it(name, file, monkeypatch):
    file.write_text(json.dumps({"backend": name}))
    with pytest.raises(UsageError, match=rf"the backend in '{file}' is '{name}'.* set KERAS_BACKEND to one of tensor"):
        keras_backend.check()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    keras_backend.check()
    monkeypatch.setenv("KERAS_BACKEND", name)
    with pytest.raises(UsageError, match=rf"^KERAS_BACKEND is '{name}'.* Set it to one of tensorflow, jax, torch\."):
        keras_backend.check()
    assert file.read_text() == json.dumps({"backend": name})


def test_a_misspelt_one_gets_a_proposal(file, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflwo")
    with pytest.raises(UsageError, match="did you mean 'tensorflow'"):
        keras_backend.check()


def test_a_script_that_imported_keras_on_another(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "numpy")
    with pytest.raises(UsageError, match=r"^Keras runs on 'numpy'.* before Keras is imported"):
        keras_backend.check()


@pytest.mark.parametrize("name", keras_backend.NAMES)
def test_those_that_train_are_choices(name, file, monkeypatch):
    monkeypatch.setattr(keras_backend, "is_installed", lambda name: True)
    file.write_text(json.dumps({"backend": name}))
    keras_backend.check()
    assert keras_backend.name() == name


def test_one_that_is_not_installed(file, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(keras_backend, "find_spec", lambda name: name != "jax" or None)
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    with pytest.raises(MissingExtra) as error:
        keras_backend.check()
    assert str(error.value) == (
        'Keras is set to run on jax, which is not installed. Install it: pip install "topwork[jax]", '
        "or set KERAS_BACKEND=tensorflow, which is installed."
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"floatx": "bfloat16"}', "floatx = 'bfloat16' in '{}': .*Expected 'float16' or 'float32' or 'float64'"),
        ('{"floatx": ["float16"]}', r"floatx = \['float16'\] in '{}'"),
        ('{"image_data_format": "NCHW"}', "image_data_format = 'NCHW' in '{}'"),
        ('{"epsilon": 1}', "epsilon = 1 in '{}': .*a number with a point"),
        ('{"epsilon": "1e-7"}', "epsilon = '1e-7' in '{}'"),
        ("[]", "'{}' does not hold a JSON object"),
        ("null", "'{}' does not hold a JSON object"),
    ],
)
def test_a_file_that_keras_refuses(content, told, file):
    file.write_text(content)
    with pytest.raises(UsageError, match=told.format(file)):
        keras_backend.check()
    assert keras_backend.name() == "tensorflow"  # as far as topwork knows


def test_a_file_that_is_a_folder(file):
    file.mkdir()
    with pytest.raises(UsageError, match=f"cannot read its settings in '{file}': Is a directory"):
        keras_backend.check()


@pytest.mark.parametrize("content", ["", "{", "\x00"])
def test_what_keras_passes_over_is_passed_over(content, file):
    file.write_text(content)
    keras_backend.check()
    assert keras_backend.configured() == {}


def test_the_file_is_where_keras_looks_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", "~/own")
    assert keras_backend.file() == tmp_path / "own" / "keras.json"
    monkeypatch.delenv("KERAS_HOME")
    assert keras_backend.file() == tmp_path / ".keras" / "keras.json"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert str(keras_backend.file()) == "/tmp/.keras/keras.json"
