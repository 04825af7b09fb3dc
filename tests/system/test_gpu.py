"""A GPU counts only if the backend computes on it; exact computations on it multiply in float32."""

import sys
from types import SimpleNamespace

import pytest
import tensorflow as tf

from topwork.recipes.settings import Backbone
from topwork.store.runtimes import base
from topwork.store.runtimes.keras import CPU_BATCH, GPU_BATCH, Keras
from topwork.system import gpu, keras_backend, keras_settings


@pytest.fixture(autouse=True)
def forgetful():
    gpu._asked.cache_clear()
    yield
    gpu._asked.cache_clear()


@pytest.fixture
def device(monkeypatch):
    """Simulate a machine with a GPU device."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpu, "DEVICES", ("null",))


@pytest.fixture
def seen(device, monkeypatch):
    """Simulate also a backend that computes on the GPU."""
    monkeypatch.setattr(gpu, "_asked", lambda name, visible: True)


def test_no_device_and_nothing_is_imported(monkeypatch):
    monkeypatch.setattr(gpu, "DEVICES", ())
    monkeypatch.setattr(keras_settings, "import_keras", lambda: pytest.fail("it was"))
    assert not gpu.at_hand()


def test_a_device_that_the_backend_does_not_see(device):
    assert not tf.config.get_visible_devices("GPU"), "these tests are for a machine without a GPU"
    assert not gpu.at_hand()
    assert base.resolved(Backbone("vgg16")).runtime == "openvino"


def test_a_device_that_the_backend_sees(seen):
    assert gpu.at_hand()
    assert base.resolved(Backbone("vgg16")).runtime == "keras"


@pytest.mark.parametrize("visible", ["", "-1"])
def test_a_device_that_is_hidden(seen, monkeypatch, visible):
    assert gpu.at_hand()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert not gpu.at_hand()


def test_another_visible_device_is_asked_for_anew(device, monkeypatch):
    answers = {"7": False, "0": True}
    monkeypatch.setattr(gpu, "_asked", lambda name, visible: answers[visible])
    for visible, found in answers.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert gpu.at_hand() == found


def test_a_backend_that_is_not_installed_has_none(device, monkeypatch):
    monkeypatch.setattr(keras_backend, "find_spec", lambda name: None)
    monkeypatch.setattr(keras_settings, "import_keras", lambda: pytest.fail("it was imported"))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert not gpu._asked("torch", "0")


def test_openvino_as_a_backend_has_none(device):
    assert not gpu._asked("openvino", "0")


@pytest.mark.parametrize(("wanted", "found"), [(None, True), ("cuda:1", True), ("cpu", False)])
def test_torch_is_asked_as_keras_asks_it(monkeypatch, wanted, found):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: True)))
    monkeypatch.delenv("KERAS_TORCH_DEVICE", raising=False)
    if wanted:
        monkeypatch.setenv("KERAS_TORCH_DEVICE", wanted)
    assert gpu._asked("torch", "0") == found


@pytest.mark.parametrize(("platform", "found"), [("gpu", True), ("cpu", False)])
def test_jax_is_asked(monkeypatch, platform, found):
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(default_backend=lambda: platform))
    assert gpu._asked("jax", "0") == found


def allowed():
    return tf.config.experimental.tensor_float_32_execution_enabled()


def test_meanwhile_tensorflow_multiplies_exactly(seen):
    assert allowed()
    with gpu.exact():
        assert not allowed()
    with pytest.raises(ZeroDivisionError), gpu.exact():
        1 / 0  # noqa: B018
    assert allowed()


def test_meanwhile_torch_multiplies_exactly(seen, monkeypatch):
    cudnn = SimpleNamespace(allow_tf32=True)
    monkeypatch.setitem(sys.modules, "torch.backends", SimpleNamespace(cudnn=cudnn))
    monkeypatch.setattr(gpu.keras_backend, "name", lambda: "torch")
    with gpu.exact():
        assert not cudnn.allow_tf32
    assert cudnn.allow_tf32


def test_meanwhile_jax_multiplies_exactly(seen, monkeypatch):
    config = SimpleNamespace(jax_default_matmul_precision=None)
    config.update = lambda key, value: setattr(config, key, value)
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(config=config))
    monkeypatch.setattr(gpu.keras_backend, "name", lambda: "jax")
    with gpu.exact():
        assert config.jax_default_matmul_precision == "highest"
    assert config.jax_default_matmul_precision is None


def test_without_one_nothing_changes(monkeypatch):
    monkeypatch.setattr(gpu, "DEVICES", ())
    with gpu.exact():
        assert allowed()


def test_a_trunk_runs_larger_batches_on_one(monkeypatch):
    ran = []

    class Trunk:
        input_shape = (None, 2, 2, 3)

        def predict_on_batch(self, pixels):
            ran.append(len(pixels))
            return pixels

    Keras(Trunk())
    assert ran == []
    monkeypatch.setattr(gpu, "at_hand", lambda: True)
    ready = Keras(Trunk())
    assert (ran, ready.beside, ready.trial) == ([GPU_BATCH], True, 4 * GPU_BATCH)
    assert Keras(Trunk())._batch > CPU_BATCH
