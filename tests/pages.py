"""Pages with a model inside: the runtime for browsers, a stand-in for it, and a browser."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from tests import shared
from topwork.shipping.page import runtime

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def fake_runtime() -> Iterator[None]:
    """Let pages have short files in place of ONNX Runtime: Python reads only the model of a page."""
    files = {name: f"not {name}".encode() for name in runtime.DIGESTS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "DIGESTS", {name: sha256(content).hexdigest() for name, content in files.items()})
        runtime._keep(files)
        yield
        forget()


def forget() -> None:
    """Remove the runtime that is kept, so that other tests find none."""
    shutil.rmtree(runtime._folder(), ignore_errors=True)


def runtime_folder() -> Path:
    """Return a folder with the npm package of the runtime; tests are skipped where npm does not fetch it."""
    if not shutil.which("npm"):
        pytest.skip("npm, which fetches ONNX Runtime for browsers, is not installed")

    def fetch(folder: Path) -> None:
        folder.mkdir()
        command = ["npm", "pack", runtime.PACKAGE, "--silent"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        (folder / "error").write_text(done.stderr if done.returncode else "")

    folder = shared.once("onnxruntime-web", fetch)
    if not (folder / runtime.ARCHIVE).exists():
        pytest.skip(f"npm cannot fetch ONNX Runtime for browsers: {(folder / 'error').read_text()[:200]}")
    return folder


@contextmanager
def chromium(*words: str) -> Iterator[object]:
    """Yield the system's Chromium, headless, through Playwright; tests are skipped where one of them is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright, which drives a browser, is missing")
    if not CHROMIUM:
        pytest.skip("no chromium is installed")
    with playwright.sync_playwright() as driver:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*sandbox, *words])
        yield browser
        browser.close()
