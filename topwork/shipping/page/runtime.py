"""ONNX Runtime for browsers: two files of the npm package onnxruntime-web, which are fetched once and kept."""

import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from topwork.errors import MachineError, UsageError
from topwork.networks.weights.files import offline
from topwork.system.advice import either
from topwork.system.files import home, written_whole
from topwork.system.messages import say

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web@{VERSION}"
ARCHIVE = f"onnxruntime-web-{VERSION}.tgz"
"""The file that ``npm pack`` makes."""

MODULE, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
DIGESTS = {
    MODULE: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""The SHA-256 of each file of this version."""

SECONDS = 600
"""The longest time that npm may take."""

LICENCE = """MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""
"""The licence of ONNX Runtime; the npm package has no licence file."""


@dataclass(frozen=True)
class Runtime:
    """ONNX Runtime for browsers.

    Args:
        module: its JavaScript module.
        wasm: its WebAssembly.
    """

    module: bytes
    wasm: bytes


def kept() -> Runtime | None:
    """Return the runtime if it is under ``TOPWORK_HOME``, else ``None``; a damaged file counts as missing."""
    found = {name: _content(_folder() / name) for name in DIGESTS}
    return Runtime(found[MODULE], found[WASM]) if all(_is_right(name, found[name]) for name in DIGESTS) else None


def obtain(folder: Path | None = None) -> Runtime:
    """Return the runtime: from *folder*, else what is kept under ``TOPWORK_HOME``, else from npm. It is then kept.

    Args:
        folder: has the two files; or the npm package, unpacked or as the archive that ``npm pack`` makes.

    Raises:
        UsageError: *folder* lacks a file, or has that of another version.
        MachineError: npm is not installed or cannot fetch the package, or ``TOPWORK_OFFLINE`` is set.
    """
    if folder is None and (found := kept()):
        return found
    if folder is not None:
        return _keep(_named(folder))
    npm = shutil.which("npm")
    if offline():
        raise _missing("TOPWORK_OFFLINE forbids downloading it")
    if not npm:
        raise _missing("npm is not installed")
    say(f"Fetching {PACKAGE} with npm, once.")
    with TemporaryDirectory() as place:
        try:
            command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", place]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise _missing(f"npm did not fetch it in {SECONDS} s") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise _missing(f"npm cannot fetch it: {lines[0].strip().rstrip('.')}")
        return _keep(_named(Path(place)))


def _named(folder: Path) -> dict[str, bytes]:
    """Return the two files in a folder, or of the package in it."""
    if not folder.is_dir():
        raise UsageError(f"{_option()} {str(folder)!r} is not a folder: {_expected()}")
    packages = [folder, folder / "package", folder / "node_modules" / "onnxruntime-web"]
    places = [place for package in packages for place in (package, package / "dist")]
    for place in places:
        if all((place / name).is_file() for name in DIGESTS):
            return _checked(place, {name: (place / name).read_bytes() for name in DIGESTS})
    if (folder / ARCHIVE).is_file():
        return _unpacked(folder / ARCHIVE)
    raise UsageError(f"{_option()} {str(folder)!r} lacks {MODULE} and {WASM}: {_expected()}")


def _unpacked(archive: Path) -> dict[str, bytes]:
    try:
        with tarfile.open(archive) as tar:
            opened = {name: tar.extractfile(f"package/dist/{name}") for name in DIGESTS}
            return _checked(archive, {name: file.read() if file else b"" for name, file in opened.items()})
    except (tarfile.TarError, KeyError, EOFError, OSError) as error:
        raise UsageError(f"{str(archive)!r} cannot be unpacked ({error}): {_expected()}") from None


def _checked(source: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    for name, content in files.items():
        if not _is_right(name, content):
            raise UsageError(f"{name} in {str(source)!r} is not that of version {VERSION}: {_expected()}")
    return files


def _keep(files: dict[str, bytes]) -> Runtime:
    """Save the files under ``TOPWORK_HOME``, with the licence."""
    _folder().mkdir(parents=True, exist_ok=True)
    for name, content in {**files, "LICENSE": LICENCE.encode()}.items():
        with written_whole(_folder() / name) as aside:
            aside.write_bytes(content)
    return Runtime(files[MODULE], files[WASM])


def _folder() -> Path:
    return home() / f"onnxruntime-web-{VERSION}"


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _is_right(name: str, content: bytes) -> bool:
    return sha256(content).hexdigest() == DIGESTS[name]


def _option() -> str:
    return either("runtime =", "--runtime")


def _expected() -> str:
    return f"expected a folder in which 'npm pack {PACKAGE}' was run."


def _missing(why: str) -> MachineError:
    return MachineError(
        f"a page needs ONNX Runtime for browsers ({PACKAGE}, about 33 MB), and {why}. Install npm and connect to the "
        f"network, once; or run 'npm pack {PACKAGE}' on another computer, and name the folder with its file: "
        f"{either('runtime=FOLDER', '--runtime FOLDER')}."
    )
