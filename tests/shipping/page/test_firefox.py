"""Pages answer in Firefox as ``topwork predict`` does, where it is installed."""

import time

import pytest

import topwork as tw
from tests.conftest import make_folder
from tests.firefox import FIREFOX, firefox
from tests.pages import assert_same, page_of_flowers, pictures_in, real_runtime, some_flowers
from tests.tiny import tiny

pytestmark = pytest.mark.skipif(not FIREFOX, reason="no firefox is installed")


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    """Return the tab of a browser, with the real runtime kept for exports meanwhile."""
    with real_runtime(), firefox(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def file(tab, tmp_path_factory):
    folder = make_folder(tmp_path_factory.mktemp("page") / "colours")
    run = tw.train(
        folder, phases=[tw.Phase("tiny@pool", epochs=5)], backbones=[tiny()], out=folder / "run", progress=False
    )
    run.export(folder / "page.html", progress=False)
    return folder / "page.html"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return pictures_in(tmp_path_factory.mktemp("photos"))


def answered(tab, page, pictures):
    """Open a page, classify pictures, and return the answers."""
    tab.open(page)
    wait(lambda: tab.value("document.querySelector('#status').textContent") == "Ready.")
    tab.choose("#files", pictures)
    wait(lambda: tab.value("asked.length") == len(pictures))
    assert tab.complaints == []
    return tab.value("asked")


def wait(until, seconds=120):
    start = time.monotonic()
    while not until():
        assert time.monotonic() < start + seconds
        time.sleep(0.1)


def test_the_answers_are_those_of_predict(tab, file, pictures):
    opaque = [path for path in pictures if path.name != "transparent.png"]
    assert len(opaque) == 3
    assert_same(answered(tab, file, opaque), file, opaque)


def test_a_transparent_picture_has_nearly_the_same_answer(tab, file, pictures):
    """Firefox multiplies a colour by its alpha with another rounding than Pillow and Chromium."""
    path = next(path for path in pictures if path.name == "transparent.png")
    (ours,) = answered(tab, file, [path])
    (theirs,) = tw.Predictor(file)([path])
    assert (ours["label"], ours["known"]) == (theirs.label, theirs.known)
    assert ours["probabilities"] == pytest.approx(theirs.probabilities, abs=2e-3)


@pytest.mark.full
@pytest.mark.parametrize("name", ["mobilenet_v2_035", "efficientnet_lite0"])
def test_on_real_photos_the_page_answers_as_predict_does(tab, real, tmp_path, monkeypatch, name):
    page = page_of_flowers(name, real, tmp_path, monkeypatch)
    assert_same(answered(tab, page, some_flowers(real)), page, some_flowers(real))
