"""topwork recognises which network a weights file belongs to."""

from functools import cache
from math import prod

import h5py
import pytest

from tests import checkpoint
from topwork.networks.backbones import builder
from topwork.networks.backbones.catalogue import TABLE
from topwork.networks.weights.fingerprints import NUMBERS, SMALL, network_of
from topwork.recipes.settings import Backbone

SIDES = {"xception": 71, "inception_v3": 75, "inception_resnet_v2": 75, "nasnet_large": 331, "nasnet_mobile": 224}


@cache
def build(name):
    """Return a network, which is built once because no test changes it."""
    return builder.build(Backbone(name, size=SIDES.get(name, 32)), None)


def test_every_network_has_a_number_of_its_own():
    assert NUMBERS.keys() == TABLE.keys()
    assert len(set(NUMBERS.values())) == len(NUMBERS)


def check(name):
    assert sum(prod(w.shape) for w in build(name).weights if prod(w.shape) > SMALL) == NUMBERS[name]


@pytest.mark.parametrize("name", ["vgg16", "mobilenet_v2_035", "efficientnet_lite0"])
def test_numbers_are_those_of_the_networks(name):
    check(name)


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(TABLE))
def test_all_numbers_are_those_of_the_networks(name):
    check(name)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
@pytest.mark.parametrize("name", ["mobilenet_025", "mobilenet_v2_035", "efficientnet_lite0"])
def test_the_content_tells_the_network_whatever_the_files_name(name, suffix, tmp_path):
    file, network = tmp_path / f"mine{suffix}", build(name)
    network.save_weights(file) if suffix == ".weights.h5" else network.save(file)
    assert network_of(file) == name


@pytest.mark.full
def test_efficientnets_own_scale_does_not_count(tmp_path):
    """Keras stores the scale as weights in some files and not in others."""
    build("efficientnet_b0").save_weights(tmp_path / "b0.weights.h5")
    assert network_of(tmp_path / "b0.weights.h5") == "efficientnet_b0"


def test_an_official_name_tells_it_before_the_content(tmp_path):
    (tmp_path / "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5").touch()
    (tmp_path / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_160_no_top.h5").touch()
    assert sorted(map(str, map(network_of, tmp_path.iterdir()))) == ["mobilenet_v2_035", "vgg19"]


def test_a_checkpoint_tells_it_with_its_classifier(tmp_path):
    assert network_of(checkpoint.write(tmp_path / "mine.pth", checkpoint.lite0())) == "efficientnet_lite0"


def test_an_hdf5_file_that_is_cut_short_or_empty_tells_nothing(tmp_path):
    file = tmp_path / "mine.weights.h5"
    build("mobilenet_025").save_weights(file)
    file.write_bytes(file.read_bytes()[:5000])
    assert network_of(file) is None
    with h5py.File(tmp_path / "empty.h5", "w") as opened:
        opened["nothing"] = h5py.Empty("f")
    assert network_of(tmp_path / "empty.h5") is None


@pytest.mark.parametrize("name", ["mine.h5", "mine.pth", "missing.h5"])
def test_what_cannot_be_read_tells_nothing(name, tmp_path):
    if name != "missing.h5":
        (tmp_path / name).write_bytes(b"abc")
    assert network_of(tmp_path / name) is None


def test_real_files(real):
    """One file has an official name; the other, trained on dogs, has a name of its own."""
    found = {path.name: network_of(path) for path in (real / "weights" / "other").glob("*.h5")}
    assert found == {
        "mobilenet_1_0_224_tf_no_top.h5": "mobilenet",
        "mobilenet_v2_100_dogs_no_top.h5": "mobilenet_v2",
    }
