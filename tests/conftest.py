"""Shared fixtures: a separate home, small generated pictures, and real pictures and weights if available."""

import ctypes
import gc
import os
import signal
from contextlib import suppress
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
from topwork.store.runtimes import base
from topwork.system import keras_backend
from topwork.system.machine import has_bfloat16

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TOPWORK_OFFLINE"] = "1"
keras_backend.onednn()  # before any test imports Keras, as in the commands that the tests start
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let background jobs ignore it; children inherit this


LONG = ("test_formats", "test_searching", "test_self_check", "test_report", "test_export", "test_export_all")
LONG += ("test_solved_phase", "test_resume", "test_train", "test_phase", "test_cross_validate", "test_joining")
LONG += ("test_model", "test_browser", "test_gate", "test_read_once", "test_calibrating", "test_keras_graph")


def pytest_configure(config):
    shared.begin(config)


def pytest_collection_modifyitems(items):
    """Run the longest files first, so that the processes that share the tests end together."""
    items.sort(key=lambda item: (*LONG, item.path.stem).index(item.path.stem))


def pytest_collection_finish():
    """Collect garbage less often, and exclude imported objects: collection took a tenth of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory):
    """Set one TOPWORK_HOME and one empty KERAS_HOME for the session."""
    folder = tmp_path_factory.mktemp("home")
    os.environ["TOPWORK_HOME"] = str(folder / "topwork")
    os.environ["KERAS_HOME"] = str(folder / "keras")
    shared.lend(folder / "topwork")
    if "PYTEST_XDIST_WORKER" in os.environ:  # a run of all tests, not of a few
        shared.convert()
    return folder


@pytest.fixture(scope="session", autouse=True)
def float32():
    """Let ``precision = "auto"`` be float32, so that tests do the same on all processors; but see `bfloat16`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "has_bfloat16", lambda: False)
        yield


@pytest.fixture
def bfloat16(monkeypatch):
    """Let ``precision = "auto"`` be decided by the pictures. Without bfloat16, OpenVINO computes it in float32."""
    monkeypatch.setattr(base, "has_bfloat16", lambda: True)


@pytest.fixture(autouse=True)
def real_precision(request):
    """Let the processor and the pictures decide the precision in tests of the full suite, as for users."""
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("full"):
            patch.setattr(base, "has_bfloat16", has_bfloat16)
        yield


@pytest.fixture(scope="session", autouse=True)
def blank_plots():
    """Replace each plot of a run by an empty picture, unless a test asks for the drawn plots."""
    with plots.blank():
        yield


@pytest.fixture
def own_home(tmp_path, monkeypatch):
    """Set a TOPWORK_HOME for this test only."""
    monkeypatch.setenv("TOPWORK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def own_store(own_home):
    """Set a TOPWORK_HOME for this test only, with graphs and converted trunks available and nothing stored."""
    shared.lend(own_home)
    shared.convert()
    return own_home


GROWTH = 300_000_000
"""Memory is freed after a test of the full suite if the process has grown by this many bytes since the last time."""

_size = 0


def resident() -> int:
    """Return the resident memory of this process in bytes; 0 if ``/proc`` does not have it."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


@pytest.fixture(autouse=True)
def swept(request):
    """Release what Keras and TensorFlow keep of the networks of full tests. After each test, it would take 1.6 s."""
    global _size
    yield
    if request.node.get_closest_marker("full") and not 0 < resident() < _size + GROWTH:
        import keras

        keras.backend.clear_session()
        gc.collect()
        with suppress(OSError, AttributeError):  # glibc alone has this
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        _size = resident()


@pytest.fixture(scope="session")
def real():
    """Return the folder of real pictures and weights."""
    folder = os.environ.get("TOPWORK_REAL")
    if not folder:
        pytest.skip("TOPWORK_REAL is not set: no real pictures and weights at hand")
    return Path(folder)


def picture(colour: tuple[int, int, int], seed: int, side: int = 48) -> Image.Image:
    """Return a picture of one colour with seeded patches: classes differ in colour, pictures in patches."""
    draw = np.random.default_rng(seed)
    patches = draw.integers(-60, 60, (6, 6, 3)).repeat(side // 6, 0).repeat(side // 6, 1)
    return Image.fromarray(np.clip(np.array(colour) + patches, 0, 255).astype("uint8"))


COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}


def make_folder(path: Path, each: int = 20, side: int = 48, first: int = 0) -> Path:
    """Write a folder with blue, green and red classes; a different *first* gives different pictures."""
    for number, (name, colour) in enumerate(COLOURS.items()):
        (path / name).mkdir(parents=True)
        for i in range(each):
            picture(colour, 1000 * number + first + i, side).save(path / name / f"{i:03}.png")
    return path


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Return a folder of 60 pictures in three classes; tests only read it."""
    return make_folder(tmp_path_factory.mktemp("pictures") / "colours")


class Files(SimpleHTTPRequestHandler):
    """Serves a folder without logging, and breaks off in the middle of each file whose name ends in ``short``."""

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
    """Serve an empty folder and return it with its address; network access is allowed, and no file is cached."""
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
    """Simulate that the package with EfficientNet-Lite0's weights is not installed."""

    def version(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(efficientnet_lite0, "MODULE", "a_package_that_is_not_installed")
    monkeypatch.setattr(efficientnet_lite0, "version", version)
