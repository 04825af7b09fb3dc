"""A home filled by hand, for a network of three nodes: no Keras, no pictures."""

import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from topwork.data.dataset import Dataset, Row
from topwork.networks import trunk
from topwork.networks.graph import Graph, Node
from topwork.networks.weights import random_weights as untrained
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone, Phase
from topwork.runs.creation import create
from topwork.store import plan
from topwork.store.request import Request

NAME = "mobilenet_025"
NET = Backbone(NAME, "random", 32, runtime="openvino", precision="float32")
GRAPH = Graph(
    NAME,
    (
        Node("input", "InputLayer", (), ((32, 32, 3),), "uint8"),
        Node("conv", "Conv2D", ((0, 0),), ((4, 4, 8),), layer=1),
        Node("other", "Conv2D", ((1, 0),), ((2, 2, 8),), layer=2),
        Node("pool", "GlobalAveragePooling2D", ((2, 0),), ((8,),)),
    ),
    2,
    3,
)
DATA = Dataset("/data", (Row("a.png", "0" * 64, "x", "train"), Row("b.png", "1" * 64, "y", "test")))
LONG_AGO = 1_000_000_000


def recipe(*cuts: str, **options) -> Recipe:
    phases = tuple(Phase(f"{NAME}@{cut}") for cut in cuts)
    return Recipe(phases, backbones={NAME: replace(NET, **options)}).checked()


def run(path: Path, *cuts: str, **options) -> Path:
    """Create a run folder for these cuts, as if the run had just begun."""
    return create(path, recipe(*cuts, **options), DATA).path


def request(cut: str, exact: bool = False, rows: int = 0, **options) -> Request:
    """Return a request for *rows* pictures, which do not exist as files."""
    step = plan.unchecked(recipe(cut, **options))[0]
    pictures = tuple(Row(f"{n}.png", sha256(b"%d" % n).hexdigest(), "x") for n in range(rows))
    data = Dataset("/data", pictures)
    return step.exact(data)[0] if exact else step.requests[0].of(data)


def fill(cut: str, rows: int = 10, exact: bool = False, **options) -> Path:
    """Fill a store with *rows* rows and return its folder."""
    ask = request(cut, exact, rows, **options)
    trunk.keep_graph(ask.backbone, GRAPH)
    with ask.store() as store:
        tensor = store.tensors[0]
        draw = np.random.default_rng(0)
        values = (
            draw.uniform(1, 2, (rows, *tensor.shape))
            if tensor.dtype == "float32"
            else draw.integers(0, 9, (rows, *tensor.shape))
        )
        store.write(list(ask.by_key), [values.astype(tensor.dtype)])
    return store.folder


def convert(cut: str, **options) -> Path:
    """Write files that look like a converted trunk, and return their folder."""
    path = request(cut, **options).trunk_in(GRAPH).converted
    path.parent.mkdir(parents=True)
    path.write_text("<net/>")
    path.with_suffix(".bin").write_bytes(bytes(5000))
    return path.parent


def random_weights() -> Path:
    """Write a file in place of the network's random weights."""
    path = untrained.kept(NET)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(9000))
    return path


def aged(path: Path) -> Path:
    """Mark a path as last used long ago, and return it."""
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path
