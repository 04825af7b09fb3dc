"""A trunk: the part of a backbone below a frontier, with its key in the store and the path of its converted file.

To resolve a cut, the backbone's graph is needed. It is read from Keras once and saved as JSON. Later commands find
every place, shape and key in this file, and do not build a network or import Keras.
"""

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from topwork.data.pictures import Fit
from topwork.networks.backbones import builder, catalogue
from topwork.networks.graph import Frontier, Graph, Node, TensorSpec
from topwork.networks.weights import pretrained
from topwork.recipes.settings import Backbone
from topwork.system import keras_backend
from topwork.system.files import digest, home, writing, written_whole


@dataclass(frozen=True)
class Trunk:
    """The part of a backbone below a cut.

    Args:
        backbone: the backbone, with a definite runtime (`topwork.store.runtimes.base.resolved`). The store also needs a
            definite precision (`topwork.store.precision.settled`).
        weights: the identity of its weights (`topwork.networks.weights.pretrained.identity`).
        graph: the backbone's graph.
        frontier: the tensors that cross the cut.
        end: the node where the backbone ends.
    """

    backbone: Backbone
    weights: str
    graph: Graph
    frontier: Frontier
    end: int

    @property
    def fit(self) -> Fit:
        """How pictures are resized for the trunk's input."""
        side = catalogue.size(self.backbone)
        return Fit((side, side), self.backbone.fit, self.backbone.resample)

    @property
    def is_pixels(self) -> bool:
        """Whether nothing is below the cut, as for ``x@input``."""
        return self.frontier.tensors == ((0, 0),)

    @property
    def above(self) -> list[Node]:
        """The nodes between the cut and the end; their weights can be trained."""
        mask = self.graph.ancestors[self.end] & ~self.frontier.below
        return [node for i, node in enumerate(self.graph.nodes) if mask >> i & 1]

    @cached_property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """The shape and dtype, for one picture, of each tensor that the trunk computes."""
        nodes = self.graph.nodes
        return tuple(TensorSpec(nodes[i].shapes[k], nodes[i].dtype) for i, k in self.frontier.tensors)

    @cached_property
    def description(self) -> dict[str, Any]:
        """The key of the store: everything that the activations depend on, except the pictures."""
        return self._descriptions[0]

    @property
    def folder(self) -> Path:
        """The folder of the activations."""
        return self.folders[0]

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders where the activations may be.

        With the ``keras`` runtime, there is one folder per backend; the folder of this process's backend is the first.
        """
        name = "pixels" if self.is_pixels else self.backbone.name
        return tuple(home() / "store" / f"{name}-{digest(each)}" for each in self._descriptions)

    @property
    def converted(self) -> Path:
        """The path of the trunk as OpenVINO IR, whether it exists or not."""
        return home() / "trunks" / f"{self.backbone.name}-{digest(self._network)}" / "trunk.xml"

    @property
    def _network(self) -> dict[str, Any]:
        names = [f"{self.graph.nodes[i].name}:{k}" for i, k in self.frontier.tensors]
        scale = builder.scale(self.backbone)
        size = catalogue.size(self.backbone)
        network: dict[str, Any] = {"backbone": self.graph.name, "weights": self.weights}
        if built := builder.version_of(self.backbone):  # 0 for networks that topwork does not build
            network |= {"build": built}
        return {**network, "size": size, "scale": scale, "tensors": names}

    @property
    def _descriptions(self) -> list[dict[str, Any]]:
        """The store's key for each of `folders`, in the same order."""
        runtimes = ["openvino"]
        if self.backbone.runtime != "openvino":
            runtimes = [f"keras-{name}" for name in dict.fromkeys((keras_backend.name(), *keras_backend.NAMES))]
        rule = {"rule": self.fit.id}
        if self.is_pixels:
            return [rule] * len(runtimes)
        network = self._network
        precision = self.backbone.precision
        assert precision != "auto", "the precision must be settled before the store is used"
        return [{**rule, **network, "runtime": runtime, "precision": precision} for runtime in runtimes]


def kept_graph(backbone: Backbone) -> Graph | None:
    """Load the backbone's graph from disk; ``None`` if it was not saved on this machine."""
    path = graph_path(backbone)
    try:
        return _read_graph(path)
    except OSError:
        return None


@lru_cache(maxsize=16)
def _read_graph(path: Path) -> Graph:
    """Read a graph file, once per process. The file never changes: its name contains the hash of all it depends on."""
    return Graph.from_json(json.loads(path.read_text(encoding="utf-8")))


def known_graph(backbone: Backbone) -> Graph:
    """Load the backbone's graph from disk; it must have been saved before."""
    graph = kept_graph(backbone)
    assert graph is not None, f"the graph of {backbone.name} was never kept"
    return graph


def keep_graph(backbone: Backbone, graph: Graph) -> None:
    """Save a backbone's graph for `kept_graph`; the file appears complete or not at all.

    Raises:
        StoreError: the folder cannot be written to.
    """
    path = graph_path(backbone)
    with writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as aside:
            aside.write_text(json.dumps(graph.as_json()), encoding="utf-8")


def graph_path(backbone: Backbone) -> Path:
    """Return the path of a backbone's graph, whether it exists or not."""
    network = pretrained.identity(backbone) if backbone.model else backbone.name
    about = {"network": network, "size": catalogue.size(backbone), "keras": version("keras"), "format": 1}
    about |= {"scale": builder.scale(backbone)}
    if built := builder.version_of(backbone):  # 0 for networks that topwork does not build
        about |= {"build": built}
    return home() / "graphs" / f"{backbone.name}-{digest(about)}.json"
