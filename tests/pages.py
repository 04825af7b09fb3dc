"""Pages with a model inside: the runtime for browsers, a stand-in for it, pictures to ask, and a browser."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import topwork as tw
from tests import shared
from topwork.shipping.page import runtime

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

SAME = 1e-3
"""The largest allowed difference of a probability."""


@contextmanager
def fake_runtime() -> Iterator[None]:
    """Let pages have short files in place of ONNX Runtime: Python reads only the model of a page."""
    files = {name: f"not {name}".encode() for name in runtime.DIGESTS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "DIGESTS", {name: sha256(content).hexdigest() for name, content in files.items()})
        runtime._keep(files)
        try:
            yield
        finally:
            forget()


@contextmanager
def real_runtime() -> Iterator[None]:
    """Keep the real runtime meanwhile, as an export does."""
    runtime.obtain(runtime_folder())
    try:
        yield
    finally:
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


def pictures_in(folder: Path) -> list[Path]:
    """Draw four pictures: a GIF, a transparent PNG, a JPEG that is turned by EXIF, and one unlike the others."""
    folder.mkdir(exist_ok=True)
    draw = np.random.default_rng(0)

    def drawn(height, width, channels=3):
        wide = draw.integers(0, 256, (5, 7, channels), np.uint8).repeat(40, 0).repeat(40, 1)
        return Image.fromarray(wide[:height, :width])

    turned = Image.Exif()
    turned[0x0112] = 6
    drawn(90, 61).save(folder / "turned.jpg", exif=turned, quality=95)
    drawn(100, 200, 4).save(folder / "transparent.png")
    drawn(47, 35).convert("P").save(folder / "palette.gif")
    Image.new("RGB", (300, 20), "white").save(folder / "white.png")
    return sorted(folder.iterdir())


def page_of_flowers(name: str, real: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Train on the real photos with real weights, and return the page."""
    (folder / "keras").mkdir()
    (folder / "keras" / "models").symlink_to(real / "weights")
    monkeypatch.setenv("KERAS_HOME", str(folder / "keras"))
    run = tw.train(real / "flowers5", phases=[tw.Phase(f"{name}@pool")], out=folder / "run", progress=False)
    path = folder / "flowers.html"
    run.export(path, progress=False)
    return path


def some_flowers(real: Path) -> list[Path]:
    """Return 100 of the real photos."""
    found = sorted((real / "flowers5").glob("*/*.jpg"))[::5]
    assert len(found) == 100
    return found


def assert_same(found: Sequence[dict[str, Any]], path: Path, pictures: Sequence[Path]) -> None:
    """Assert that the answers of a page are those of its predictor."""
    expected = [guess.as_json() for guess in tw.Predictor(path)([str(picture) for picture in pictures])]
    spread = np.ptp([[*one["probabilities"].values()] for one in expected], axis=0).max()
    assert spread > 1e-2, "the answers do not differ between pictures"
    for ours, theirs in zip(found, expected, strict=True):
        assert ours["path"] == Path(theirs["path"]).name
        assert (ours["label"], ours["known"]) == (theirs["label"], theirs["known"])
        assert ours["probabilities"] == pytest.approx(theirs["probabilities"], abs=SAME)
        assert ours["distance"] == pytest.approx(theirs["distance"], abs=1e-2)
