"""What the tests share: a home of their own, small generated pictures, and the real material where it is at hand."""

import gc
import os
import signal
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from tests import plots, shared
from topwork.networks.weights import efficientnet_lite0
from topwork.system import keras_backend

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TOPWORK_OFFLINE"] = "1"
keras_backend.onednn()  # before any test imports Keras, as the commands that it starts do
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let background jobs, and so their children, ignore it


LONG = ("test_train", "test_resume", "test_joining", "test_keras_graph", "test_cli", "test_export", "test_model")
LONG += ("test_random_weights", "test_phase", "test_cross_validate", "test_warm_start", "test_keras_settings")


def pytest_configure(config):
    shared.begin(config)


def pytest_collection_modifyitems(items):
    """The longest files first, so that processes which share them end together."""
    items.sort(key=lambda item: (*LONG, item.path.stem).index(item.path.stem))


def pytest_collection_finish():
    """Python looks for garbage less often, and not among what was imported: that took a tenth of the time."""
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory):
    """One TOPWORK_HOME and one empty KERAS_HOME for the whole session."""
    folder = tmp_path_factory.mktemp("home")
    os.environ["TOPWORK_HOME"] = str(folder / "topwork")
    os.environ["KERAS_HOME"] = str(folder / "keras")
    shared.lend(folder / "topwork")
    if "PYTEST_XDIST_WORKER" in os.environ:  # all of the tests, not a few
        shared.convert()
    return folder


@pytest.fixture(scope="session", autouse=True)
def blank_plots():
    """An empty picture stands for each plot of a run, unless a test has them drawn."""
    with plots.blank():
        yield


@pytest.fixture
def own_home(tmp_path, monkeypatch):
    """A TOPWORK_HOME for this test alone."""
    monkeypatch.setenv("TOPWORK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def own_store(own_home):
    """A TOPWORK_HOME for this test alone, with graphs and converted trunks at hand, and nothing stored."""
    shared.lend(own_home)
    shared.convert()
    return own_home


@pytest.fixture(autouse=True)
def swept(request):
    """After a test of the full suite, what Keras and TensorFlow keep of its networks is let go."""
    yield
    if request.node.get_closest_marker("full"):
        import keras

        keras.backend.clear_session()
        gc.collect()


@pytest.fixture(scope="session")
def real():
    """The folder of real pictures and weights."""
    folder = os.environ.get("TOPWORK_REAL")
    if not folder:
        pytest.skip("TOPWORK_REAL is not set: no real pictures and weights at hand")
    return Path(folder)


def picture(colour: tuple[int, int, int], seed: int, side: int = 48) -> Image.Image:
    """A picture of one colour with seeded patches: classes differ in colour, pictures in patches."""
    draw = np.random.default_rng(seed)
    patches = draw.integers(-60, 60, (6, 6, 3)).repeat(side // 6, 0).repeat(side // 6, 1)
    return Image.fromarray(np.clip(np.array(colour) + patches, 0, 255).astype("uint8"))


COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}


def make_folder(path: Path, each: int = 20, side: int = 48, first: int = 0) -> Path:
    """A folder of classes: blue, green and red pictures; another *first*, other pictures."""
    for number, (name, colour) in enumerate(COLOURS.items()):
        (path / name).mkdir(parents=True)
        for i in range(each):
            picture(colour, 1000 * number + first + i, side).save(path / name / f"{i:03}.png")
    return path


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """60 pictures in three classes; read only."""
    return make_folder(tmp_path_factory.mktemp("pictures") / "colours")


class Files(SimpleHTTPRequestHandler):
    """Serves a folder without a word; breaks off in the middle of what is called ``short``."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        if not self.path.endswith("short"):
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"0123456789")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder and the address where this machine serves it; the network is allowed, and nothing is at hand."""
    monkeypatch.delenv("TOPWORK_OFFLINE")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=folder)) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()


@pytest.fixture
def no_package(monkeypatch):
    """As if the package with EfficientNet-Lite0's weights were not installed."""

    def version(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(efficientnet_lite0, "MODULE", "a_package_that_is_not_installed")
    monkeypatch.setattr(efficientnet_lite0, "version", version)
