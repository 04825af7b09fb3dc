"""A weight file is complete or not there at all; the files come from Keras' own downloader and a local server."""

import errno
import hashlib
import os
import socket

import pytest

from topwork.errors import WeightsError
from topwork.networks.weights.files import download, folder, missing, offline, sha256
from topwork.system.advice import at_command_line

ADVICE = (
    "Put the file there (on a connected machine, 'topwork weights fetch NAME' brings it), "
    "choose a backbone whose file is at hand (topwork backbones), or use random weights: weights='random'."
)


def test_files_lie_where_keras_looks(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert folder() == tmp_path / "models"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder() == tmp_path / ".keras" / "models"


@pytest.mark.parametrize(("value", "forbidden"), [("1", True), ("0", False), ("", False)])
def test_the_network_can_be_forbidden(monkeypatch, value, forbidden):
    monkeypatch.setenv("TOPWORK_OFFLINE", value)
    assert offline() is forbidden


def test_what_identifies_a_file_is_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("name", "usual"),
    [
        ("mobilenet_v2_weights_tf_kernels_0.35_96_no_top.h5", "mobilenet_v2_weights_tf_kernels_0.35_224_no_top.h5"),
        ("mobilenet_2_5_128_tf_no_top.h5", "mobilenet_2_5_224_tf_no_top.h5"),
    ],
)
def test_the_file_of_224_pixels_is_proposed_for_another_size(tmp_path, name, usual):
    told = str(missing(tmp_path / name, "and so"))
    assert told.endswith(" weights='random'.")
    (tmp_path / usual).touch()
    assert str(missing(tmp_path / name, "and so")) == (
        f"{told} The weights for 224 pixels work at any size: weights='{tmp_path / usual}'"
    )
    with at_command_line():
        assert str(missing(tmp_path / name, "and so")).endswith(
            "or use random weights: --weights random. The weights for 224 pixels work at any size: "
            f"--weights {tmp_path / usual}"
        )


def test_a_file_is_fetched_and_its_hash_is_checked(server, capsys):
    served, address = server
    (served / "some.h5").write_bytes(b"weights")
    digest = hashlib.md5(b"weights").hexdigest()
    path = download(folder() / "other.h5", lambda: (f"{address}some.h5", digest))
    assert path == (folder() / "other.h5")
    assert path.read_bytes() == b"weights"
    assert list(folder().iterdir()) == [path]
    assert capsys.readouterr().out == "", "what a command prints is not for Keras' progress"


def refused(path, source):
    with pytest.raises(WeightsError) as error:
        download(path, source)
    assert not list(path.parent.glob("*"))
    return str(error.value)


def why(reason):
    return f"the ImageNet weights 'some.h5' are not in '{folder()}', and could not be downloaded ({reason}). {ADVICE}"


def test_a_wrong_hash(server):
    served, address = server
    (served / "some.h5").write_bytes(b"weights")
    digest = hashlib.md5(b"other").hexdigest()
    assert refused(folder() / "some.h5", lambda: (f"{address}some.h5", digest)) == why(
        f"Incomplete or corrupted file detected. The auto file hash does not match the provided value of {digest}."
    )


def test_a_file_that_the_server_lacks(server):
    url = f"{server[1]}some.h5"
    assert refused(folder() / "some.h5", lambda: (url, None)) == why(
        f"URL fetch failure on {url}: 404 -- File not found"
    )


def test_a_download_that_breaks_off(server):
    url = f"{server[1]}short"
    assert refused(folder() / "some.h5", lambda: (url, None)) == why(
        f"URL fetch failure on {url}: None -- retrieval incomplete: got only 10 out of 1000 bytes"
    )


def test_no_server_at_all(server):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/some.h5"
    before = socket.getdefaulttimeout()
    refusal = f"[Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}"
    assert refused(folder() / "some.h5", lambda: (url, None)) == why(f"URL fetch failure on {url}: None -- {refusal}")
    assert socket.getdefaulttimeout() == before


def test_a_folder_that_cannot_be_made(server, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    assert refused(folder() / "some.h5", lambda: (f"{server[1]}some.h5", None)) == (
        f"cannot write '{folder()}/some.h5': {tmp_path}/file: it is not a folder. "
        "Set KERAS_HOME to a folder of your own."
    )


def test_offline_asks_nobody(monkeypatch):
    monkeypatch.setenv("TOPWORK_OFFLINE", "1")
    assert refused(folder() / "some.h5", lambda: pytest.fail("asked for an address")) == (
        f"the ImageNet weights 'some.h5' are not in '{folder()}', and TOPWORK_OFFLINE forbids downloading it. {ADVICE}"
    )


def test_the_error_names_file_folder_and_ways_out(tmp_path):
    assert str(missing(tmp_path / "a.h5", "why")) == (
        f"the ImageNet weights 'a.h5' are not in '{tmp_path}', why. {ADVICE}"
    )
    assert missing(tmp_path / "a.h5", "why").exit_status == 3
