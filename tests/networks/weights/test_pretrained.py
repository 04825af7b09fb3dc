"""Which file a backbone's weights come from: one already there, one that the user names, or a download."""

import hashlib
from dataclasses import replace
from unittest.mock import patch

import h5py
import keras
import numpy as np
import pytest
from keras.src.applications import efficientnet, mobilenet_v2
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group
from keras.src.utils import file_utils

from tests.inference import outputs
from topwork.errors import RecipeError, WeightsError
from topwork.networks.backbones import builder, catalogue
from topwork.networks.halves import halves
from topwork.networks.weights import random_weights
from topwork.networks.weights.files import folder, sha256
from topwork.networks.weights.pretrained import identity, on_disk, weights_file
from topwork.recipes.settings import Backbone

SMALL = Backbone("mobilenet_v2_035", size=32)
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype("uint8")


@pytest.fixture(autouse=True)
def nothing_at_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def file_of(backbone):
    """Return the name of the official file for a backbone."""
    return catalogue.record(backbone.name).path(folder(), catalogue.size(backbone)).name


def test_a_file_is_fetched_once_and_found_without_network(server, monkeypatch):
    served, address = server
    untrained_network = builder.build(SMALL, None)
    untrained_network.save(served / file_of(SMALL))
    with patch.object(mobilenet_v2, "BASE_WEIGHT_PATH", address):
        path = weights_file(SMALL)
    assert path == (folder() / file_of(SMALL))
    assert path.read_bytes() == (served / file_of(SMALL)).read_bytes()
    assert list(folder().iterdir()) == [path]
    monkeypatch.setenv("TOPWORK_OFFLINE", "1")
    assert weights_file(SMALL) == path
    assert identity(SMALL) == sha256(path)
    for found, expected in zip(builder.build(SMALL, path).get_weights(), untrained_network.get_weights()):
        np.testing.assert_array_equal(found, expected)


def pooled(backbone):
    """Return what topwork's own trunk outputs for the pixels."""
    return outputs(halves("efficientnet_b0@pool", backbone=backbone)[0], PIXELS)


def apart(a, b):
    """Return the largest difference, as law 1 measures it."""
    assert b.std(axis=0).max() > 0.1, "the features do not differ between pictures"
    return np.abs(a - b).max() / np.abs(b).max()


def keras_own(weights, home):
    """Return what Keras' own EfficientNetB0 outputs for the pixels; its downloads are stored in *home*."""
    home.mkdir(exist_ok=True)
    with patch.object(file_utils.config, "keras_home", return_value=str(home)):
        network = keras.applications.EfficientNetB0(
            include_top=False, weights=weights, input_shape=(32, 32, 3), pooling="avg"
        )
    return outputs(network, PIXELS.astype("float32"))


@pytest.fixture
def b0(server):
    """Return generated weights laid out like the official file, and a patch that makes Keras download them locally."""
    served, address = server
    file, random = served / "efficientnetb0_notop.h5", Backbone("efficientnet_b0", "random", 32)
    with h5py.File(file, "w") as opened:
        save_weights_to_hdf5_group(opened, builder.build(random, random_weights.weights_file(random)))
    hashes = {"b0": ("", hashlib.md5(file.read_bytes()).hexdigest())}
    return file, patch.multiple(efficientnet, BASE_WEIGHTS_PATH=address, WEIGHTS_HASHES=hashes)


@pytest.mark.full
def test_efficientnet_gives_equal_features_online_offline_and_from_a_file(b0, monkeypatch, tmp_path):
    """Keras adds its 1/sqrt(std) layer only for "imagenet": given the same file by its path, it uses another scale."""
    (file, online), backbone = b0, Backbone("efficientnet_b0", size=32)
    with online:
        expected = keras_own("imagenet", tmp_path / "online")
        assert apart(pooled(backbone), expected) <= 1e-5  # fetched by topwork
    assert (folder() / "efficientnetb0_notop.h5").read_bytes() == file.read_bytes()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "online"))
    monkeypatch.setenv("TOPWORK_OFFLINE", "1")
    assert weights_file(backbone) == tmp_path / "online" / "models" / file.name
    assert apart(pooled(backbone), expected) <= 1e-5  # topwork finds the file that Keras downloaded
    assert apart(pooled(replace(backbone, weights=str(file))), expected) <= 1e-5
    assert apart(keras_own(str(file), tmp_path / "online"), expected) > 0.01, "the trap is gone from Keras"


def test_another_size_takes_the_file_of_224(monkeypatch):
    path = folder() / "mobilenet_2_5_224_tf_no_top.h5"
    path.parent.mkdir(parents=True)
    path.touch()
    assert weights_file(Backbone("mobilenet_025", size=100)) == path


def test_nothing_at_hand_and_no_network():
    with pytest.raises(WeightsError) as error:
        weights_file(SMALL)
    assert str(error.value).startswith(
        "the ImageNet weights 'mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5' are not in "
        f"'{folder()}', and TOPWORK_OFFLINE forbids downloading it. "
    )


def test_a_file_of_your_own(tmp_path):
    (tmp_path / "some.weights.h5").write_bytes(b"abc")
    backbone = Backbone("vgg16", weights=str(tmp_path / "some.weights.h5"))
    assert weights_file(backbone) == tmp_path / "some.weights.h5"
    assert identity(backbone) == hashlib.sha256(b"abc").hexdigest()


def test_a_file_of_your_own_that_is_not_there():
    with pytest.raises(WeightsError) as error:
        weights_file(Backbone("vgg16", weights="imagnet"))
    assert str(error.value) == "no weights file 'imagnet': expected 'imagenet', 'random', or the path of a file."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"weights": None},
            "backbones.vgg16.weights = 'None': no such file; expected 'imagenet', 'random', or the path of a file.",
        ),
        (
            {"weights": "imagnet"},
            "backbones.vgg16.weights = 'imagnet': no such file; expected 'imagenet', 'random', or the path of a file; "
            "did you mean 'imagenet'?",
        ),
        (
            {"weights": "some.h5"},
            "backbones.vgg16.weights = 'some.h5': no such file; expected 'imagenet', 'random', or the path of a file.",
        ),
        (
            {"model": "mine.keras"},
            "backbones.vgg16.model = 'mine.keras': no such file; expected the path of a .keras or .h5 file.",
        ),
    ],
)
def test_a_word_for_a_file_that_is_not_there(options, message):
    with pytest.raises(RecipeError) as error:
        on_disk(Backbone("vgg16", **options))
    assert (str(error.value), error.value.key) == (message, message.split(" = ")[0])


def test_a_network_of_your_own_brings_its_weights(tmp_path):
    (tmp_path / "mine.keras").write_bytes(b"abc")
    backbone = Backbone("mine", model=str(tmp_path / "mine.keras"))
    assert weights_file(backbone) is None
    assert identity(backbone) == hashlib.sha256(b"abc").hexdigest()


def test_files_are_kept_as_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("some.h5", "mine.keras"):
        (tmp_path / name).touch()
    assert on_disk(Backbone("vgg16", weights="some.h5")).weights == str(tmp_path / "some.h5")
    assert on_disk(Backbone("mine", model="mine.keras")).model == str(tmp_path / "mine.keras")
    assert on_disk(Backbone("vgg16", weights="random")) == Backbone("vgg16", weights="random")


def test_a_model_in_memory_becomes_a_file_named_by_its_content():
    def model(value):
        layer = keras.layers.Conv2D(2, 1, kernel_initializer=keras.initializers.Constant(value), name="conv")
        return keras.Sequential([keras.Input((16, 16, 3), name="start"), layer], name="mine")

    one, same, other = (on_disk(Backbone("mine", model=model(value))) for value in (1, 1, 2))
    assert one == same
    assert one.model != other.model
    assert one.size == 16
    again = builder.build(one, weights_file(one))
    np.testing.assert_array_equal(again.get_weights()[0], np.ones((1, 1, 3, 2)))


def test_random_weights_are_named_by_what_they_depend_on():
    about = f"random-0-32-tf-keras-{keras.__version__}"
    assert identity(Backbone("mobilenet_v2_035", "random", 32)) == about
    assert identity(Backbone("mobilenet_v2_035", "random", 32, scale="unit")) == about.replace("tf", "unit")


def test_real_weights_tell_pictures_apart(real, monkeypatch, tmp_path):
    """The features of MobileNetV2 0.35 differ between ten photos; with a wrong scale they would be nearly equal."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    folder().parent.mkdir(parents=True)
    folder().symlink_to(real / "weights")
    from topwork.data.pictures import Fit, decode

    backbone = Backbone("mobilenet_v2_035")
    photos = sorted((real / "flowers5").rglob("*.jpg"))[::50]
    pixels = np.stack([decode(photo, Fit((224, 224))) for photo in photos])
    network = builder.build(backbone, weights_file(backbone))
    pooled = np.asarray(network(builder.scaled(pixels, "tf"), training=False)).mean((1, 2))
    similar = np.corrcoef(pooled)[np.triu_indices(len(photos), 1)]
    assert 0 < similar.mean() < 0.8
