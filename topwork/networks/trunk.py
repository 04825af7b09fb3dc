"""A trunk: one backbone below one frontier, what identifies it in the store, and where its converted file lies.

Resolving a cut needs the backbone's graph. It is read from Keras once and kept as JSON, so that later commands
know every place, shape and key without building a network, or even importing Keras.
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
    """What is below a cut.

    Args:
        backbone: with runtime and precision decided (`topwork.store.runtimes.base.resolved`).
        weights: what identifies its weights (`topwork.networks.weights.pretrained.identity`).
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
        """How pictures are brought to the trunk's input."""
        side = catalogue.size(self.backbone)
        return Fit((side, side), self.backbone.fit, self.backbone.resample)

    @property
    def is_pixels(self) -> bool:
        """Whether nothing is below: the cut ``x@input``."""
        return self.frontier.tensors == ((0, 0),)

    @property
    def above(self) -> list[Node]:
        """The nodes between the cut and the end: their weights are what can train."""
        mask = self.graph.ancestors[self.end] & ~self.frontier.below
        return [node for i, node in enumerate(self.graph.nodes) if mask >> i & 1]

    @cached_property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """Shape and dtype of each tensor that the trunk gives for one picture."""
        nodes = self.graph.nodes
        return tuple(TensorSpec(nodes[i].shapes[k], nodes[i].dtype) for i, k in self.frontier.tensors)

    @cached_property
    def description(self) -> dict[str, Any]:
        """The key of the store: everything that the activations depend on, but for the pictures."""
        return self._descriptions[0]

    @property
    def folder(self) -> Path:
        """Where the activations lie."""
        return self._folder_of(self.description)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where they may lie: with the ``keras`` runtime each backend has a folder, that of this process first."""
        return tuple(map(self._folder_of, self._descriptions))

    @property
    def converted(self) -> Path:
        """Where the trunk lies as OpenVINO IR, whether it is there or not."""
        return home() / "trunks" / f"{self.backbone.name}-{digest(self._network)}" / "trunk.xml"

    @property
    def _network(self) -> dict[str, Any]:
        names = [f"{self.graph.nodes[i].name}:{k}" for i, k in self.frontier.tensors]
        scale = builder.scale(self.backbone)
        size = catalogue.size(self.backbone)
        network = {"backbone": self.graph.name, "weights": self.weights, **_build(self.backbone)}
        return {**network, "size": size, "scale": scale, "tensors": names}

    @property
    def _descriptions(self) -> list[dict[str, Any]]:
        """The key with each runtime that it may have; first that of this process's backend."""
        runtimes = ["openvino"]
        if self.backbone.runtime != "openvino":
            runtimes = [f"keras-{name}" for name in dict.fromkeys((keras_backend.name(), *keras_backend.NAMES))]
        rule = {"rule": self.fit.id}
        if self.is_pixels:
            return [rule] * len(runtimes)
        network = self._network
        precision = self.backbone.precision
        return [{**rule, **network, "runtime": runtime, "precision": precision} for runtime in runtimes]

    def _folder_of(self, description: dict[str, Any]) -> Path:
        name = "pixels" if self.is_pixels else self.backbone.name
        return home() / "store" / f"{name}-{digest(description)}"


def kept_graph(backbone: Backbone) -> Graph | None:
    """The backbone's graph from disk, or ``None`` if it was never read on this machine."""
    path = graph_path(backbone)
    try:
        return _read_graph(path)
    except OSError:
        return None


@lru_cache(maxsize=16)
def _read_graph(path: Path) -> Graph:
    """A file that stands there never changes, and what was read outlives it: its name holds all that it depends on."""
    return Graph.from_json(json.loads(path.read_text(encoding="utf-8")))


def known_graph(backbone: Backbone) -> Graph:
    """The backbone's graph from disk, where it must be by now."""
    graph = kept_graph(backbone)
    assert graph is not None, f"the graph of {backbone.name} was never kept"
    return graph


def keep_graph(backbone: Backbone, graph: Graph) -> None:
    """Keep a backbone's graph for `kept_graph`; it appears whole.

    Raises:
        StoreError: nothing can be written there.
    """
    path = graph_path(backbone)
    with writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as aside:
            aside.write_text(json.dumps(graph.as_json()), encoding="utf-8")


def graph_path(backbone: Backbone) -> Path:
    """Where a backbone's graph is kept, whether it is there or not."""
    network = pretrained.identity(backbone) if backbone.model else backbone.name
    about = {"network": network, "size": catalogue.size(backbone), "keras": version("keras"), "format": 1}
    about |= {"scale": builder.scale(backbone), **_build(backbone)}
    return home() / "graphs" / f"{backbone.name}-{digest(about)}.json"


def _build(backbone: Backbone) -> dict[str, int]:
    """Part of the keys where topwork's own code builds the network."""
    version = builder.version_of(backbone)
    return {"build": version} if version else {}
