"""ONNX Runtime for browsers comes from a folder or from npm, is checked, and is then kept with its licence."""

import io
import os
import stat
import tarfile
from hashlib import sha256

import pytest

from topwork.errors import MachineError, UsageError
from topwork.shipping.page import runtime

FILES = {runtime.MODULE: b"export {}", runtime.WASM: b"\0asm"}


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Let the runtime be two short files, and TOPWORK_HOME be empty."""
    monkeypatch.setattr(runtime, "DIGESTS", {name: sha256(content).hexdigest() for name, content in FILES.items()})
    monkeypatch.setenv("TOPWORK_HOME", str(tmp_path / "home"))


def put(folder, **changed):
    folder.mkdir(parents=True)
    for name, content in {**FILES, **changed}.items():
        (folder / name).write_bytes(content)


def archive(path):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in FILES.items():
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def npm(folder, monkeypatch, script):
    """Put a program called npm into the path, alone with the shell's own programs."""
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.delenv("TOPWORK_OFFLINE")


@pytest.mark.parametrize("inner", [".", "dist", "package/dist", "node_modules/onnxruntime-web/dist"])
def test_a_folder_is_taken_and_its_files_are_kept_with_the_licence(tmp_path, inner):
    put(tmp_path / "given" / inner)
    assert runtime.kept() is None
    found = runtime.obtain(tmp_path / "given")
    assert (found.module, found.wasm) == tuple(FILES.values())
    kept = tmp_path / "home" / f"onnxruntime-web-{runtime.VERSION}"
    assert {path.name for path in kept.iterdir()} == {*FILES, "LICENSE"}
    assert (kept / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) Microsoft Corporation")
    assert runtime.kept() == runtime.obtain() == found  # without npm and network


def test_the_archive_of_npm_is_taken(tmp_path):
    (tmp_path / "given").mkdir()
    archive(tmp_path / "given" / runtime.ARCHIVE)
    assert runtime.obtain(tmp_path / "given").wasm == FILES[runtime.WASM]


def test_npm_fetches_it_once(tmp_path, monkeypatch, capsys):
    archive(tmp_path / "served.tgz")
    script = f'echo "$@" >> {tmp_path}/asked; cp {tmp_path}/served.tgz ./{runtime.ARCHIVE}'
    npm(tmp_path / "bin", monkeypatch, script)
    assert runtime.obtain() == runtime.obtain()
    assert (tmp_path / "asked").read_text().startswith(f"pack {runtime.PACKAGE} --silent")
    assert len((tmp_path / "asked").read_text().splitlines()) == 1
    assert "Fetching onnxruntime-web@1.30.0 with npm, once." in capsys.readouterr().err


def test_a_damaged_file_is_fetched_again(tmp_path):
    put(tmp_path / "given")
    runtime.obtain(tmp_path / "given")
    (tmp_path / "home" / f"onnxruntime-web-{runtime.VERSION}" / runtime.WASM).write_bytes(b"")
    assert runtime.kept() is None


BOTH = (
    "Install npm and connect to the network, once; or run 'npm pack onnxruntime-web@1.30.0' on another computer, and "
    "name the folder with its file: runtime=FOLDER."
)


def test_without_npm_the_error_says_both_ways(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("TOPWORK_OFFLINE")
    with pytest.raises(MachineError) as error:
        runtime.obtain()
    assert str(error.value).endswith(f"and npm is not installed. {BOTH}")


def test_offline_npm_is_not_started(tmp_path, monkeypatch):
    npm(tmp_path / "bin", monkeypatch, f"touch {tmp_path}/asked")
    monkeypatch.setenv("TOPWORK_OFFLINE", "1")
    with pytest.raises(MachineError) as error:
        runtime.obtain()
    assert str(error.value).endswith(f"and TOPWORK_OFFLINE forbids downloading it. {BOTH}")
    assert not (tmp_path / "asked").exists()


def test_the_reason_of_npm_is_told(tmp_path, monkeypatch):
    npm(tmp_path / "bin", monkeypatch, "echo 'npm error network down' >&2; exit 1")
    with pytest.raises(MachineError, match=r"npm cannot fetch it: npm error network down\. Install npm"):
        runtime.obtain()


def test_a_file_of_another_version_is_refused(tmp_path):
    put(tmp_path / "given", **{runtime.WASM: b"other"})
    with pytest.raises(UsageError, match=r"ort-wasm-simd-threaded.wasm in .* is not that of version 1\.30"):
        runtime.obtain(tmp_path / "given")
    assert runtime.kept() is None


@pytest.mark.parametrize("given", ["nothing", "empty", "broken"])
def test_a_folder_without_the_files_is_refused(tmp_path, given):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / runtime.ARCHIVE).write_bytes(b"no archive")
    with pytest.raises(UsageError, match=r"expected a folder in which 'npm pack onnxruntime-web@1\.30\.0' was run"):
        runtime.obtain(tmp_path / given)
