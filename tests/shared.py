"""Makes what the tests need only once per test run, for all processes that share the run (``pytest -n``).

The first use of a trunk costs 7 s of processor time: a separate process imports Keras, reads the network, and converts
it. Here one process converts the trunks that several test files need.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from topwork.cut import Cut
from topwork.data.dataset import Dataset
from topwork.networks import trunk
from topwork.networks.weights import random_weights
from topwork.recipes.settings import Backbone
from topwork.store.request import Request

FOLDER = "TOPWORK_TESTS_SHARED"
"""The environment variable with the folder that a test run shares."""

TRUNKS = {
    "tiny": (
        "pool",
        "block_1_project",
        "block_2_add",
        "block_3_expand",
        "block_3_expand_relu",
        "block_6_expand",
        "block_7_expand",
        "block_7_project",
        "block_12_add",
        "block_13_expand_relu",
        "block_14_add",
        "28",
    ),
    "tiny_48": ("block_2_add", "block_3_expand_relu"),
    "mobilenet_v2_035": ("pool", "block_12_add", "100"),
}
"""The cuts that several test files train on; the last network has random weights and takes 32 pixels."""


def begin(config: pytest.Config) -> None:
    """Make the folder, and remove it at the end; a process that another one of this run started has it already."""
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="topwork-tests-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(FOLDER), ignore_errors=True))


def once(name: str, make: Callable[[Path], object]) -> Path:
    """Return the path *name*; the first process that asks creates it with *make*, and others wait until it exists."""
    path = Path(os.environ[FOLDER], name)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=path.parent) as aside:
                make(Path(aside, name))
                Path(aside, name).rename(path)
    return path


def lend(home: Path) -> None:
    """Let a TOPWORK_HOME share its graphs, converted trunks and random weights with the others of this test run."""
    home.mkdir(parents=True)
    for name in ("graphs", "trunks", "weights"):
        (home / name).symlink_to(once(name, Path.mkdir))


def copy(cut: str, backbone: Backbone) -> None:
    """Copy the shared files for one cut into TOPWORK_HOME, where a test may count and remove them."""
    convert()

    def bring(path: Path) -> None:
        path.parent.mkdir(parents=True)
        source = once(path.parent.name, Path.mkdir) / path.name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, path)

    bring(random_weights.kept(backbone))
    bring(trunk.graph_path(backbone))
    bring(Request(Cut.parse(cut).only, backbone, Dataset("/", ())).trunk.converted.parent)


def convert() -> None:
    """Make sure that the shared files contain `TRUNKS`."""
    once("converted", _fill)


def _fill(home: Path) -> None:
    """Compute the activations of one picture for each of `TRUNKS`, in a separate TOPWORK_HOME."""
    import topwork as tw
    from tests.tiny import tiny
    from topwork.store.engines.local import Extraction
    from topwork.store.runtimes import base

    known = (tiny(), tiny(48), tw.Backbone("mobilenet_v2_035", "random", 32, precision="float32"))
    networks = {one.name: base.resolved(one) for one in known}
    data = tw.read((np.stack([np.full((32, 32, 3), light, np.uint8) for light in (0, 255)]), [0, 1]))
    one = replace(data, rows=data.rows[:1])
    requests = [
        Request(Cut.parse(f"{name}@{place}").only, networks[name], one)
        for name, places in TRUNKS.items()
        for place in places
    ]
    lend(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOPWORK_HOME", str(home))
        with Extraction(requests, lambda **_: None) as extraction:
            extraction.wait_all(range(len(requests)))
