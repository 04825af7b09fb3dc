"""A request to the store: which views of which pictures one trunk must compute, and how exactly.

A request is made once (`topwork.store.plan`, `topwork.store.extract`), is sent unchanged to the process that fills the
store, and gives the key under which each result is stored.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from topwork.cut import Term
from topwork.data import views
from topwork.data.dataset import Dataset, Row
from topwork.data.pictures import decode, fit_array
from topwork.errors import CutError, DatasetError, nearest
from topwork.networks import trunk
from topwork.networks.graph import Graph
from topwork.networks.trunk import Trunk
from topwork.networks.weights import pretrained
from topwork.recipes.settings import NO_VIEWS, Backbone, Views
from topwork.store.store import Store, disk_bytes, key

Report = Callable[..., None]
"""Called with the keyword ``event`` and the facts about it."""

NO_PICTURES = Dataset("", ())


class Shot(NamedTuple):
    """One view of one picture: its path, the SHA-256 of its content, and the view's number."""

    path: str
    content: str
    view: int = 0


@dataclass(frozen=True)
class Request:
    """The activations that are requested.

    Args:
        term: a term of a cut: where the trunk ends.
        backbone: its options; the runtime is decided already.
        data: the dataset; the term names the column of its pictures.
        views: the views of training rows; other rows have the picture only.
        exact: whether all is computed and stored in float32.
    """

    term: Term
    backbone: Backbone
    data: Dataset = field(default=NO_PICTURES, repr=False)
    views: Views = NO_VIEWS
    exact: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """Only the fields, not what was derived from them: the other process makes its own trunk."""
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def of(self, data: Dataset) -> "Request":
        """The same request for all rows of a dataset, which must have the column that the term names.

        Raises:
            CutError: the dataset does not have that column.
        """
        name = self.term.picture
        if name is not None and name not in data.columns:
            known = ", ".join(map(repr, data.columns))
            raise CutError(
                f"'{self.term}' names the picture {name!r}: the data's pictures are {known}"
                f"{nearest(name, data.columns) or '.'}"
            )
        return replace(self, data=data)

    @cached_property
    def trunk(self) -> Trunk:
        """The frozen part; the graph of its backbone must be known."""
        return self.trunk_in(trunk.known_graph(self.backbone))

    def trunk_in(self, graph: Graph) -> Trunk:
        """The frozen part of a backbone's graph; exact activations are float32 throughout.

        Raises:
            CutError: the graph does not have the term's place or end.
        """
        return resolve(self.term, replace(self.backbone, precision="float32") if self.exact else self.backbone, graph)

    @cached_property
    def shots(self) -> list[Shot]:
        """Every view of every row's picture."""
        return [shot for row in self.data.rows for shot in self.shots_of(row)]

    def shots_of(self, row: Row) -> list[Shot]:
        """The views of one row's picture."""
        column = 0 if self.term.picture is None else self.data.columns.index(self.term.picture)
        path, content = row.pictures[column]
        return [Shot(path, content, view) for view in range(self.views.count if row.split == "train" else 1)]

    @cached_property
    def by_key(self) -> dict[bytes, Shot]:
        """The shots by their keys; equal shots have one entry."""
        return {self.key(shot): shot for shot in self.shots}

    def key(self, shot: Shot) -> bytes:
        """The key of a shot's activations in the store."""
        return key(shot.content, views.key(self.views, shot.view))

    @property
    def repeated(self) -> int:
        """How many shots are equal to an earlier one and are not computed again."""
        return len(self.shots) - len(self.by_key)

    def load(self, shot: Shot) -> np.ndarray:
        """One view of a picture as the trunk takes it: uint8 ``[side, side, 3]``.

        Raises:
            PictureError: the picture cannot be decoded.
            DatasetError: the file is gone or has changed; this is not recorded, as it says nothing about its content.
        """
        found, fit = self.data.picture(shot.path), self.trunk.fit
        if isinstance(found, np.ndarray):
            picture = fit_array(found, fit)
        else:
            file = Path(found)
            try:
                data = file.read_bytes()
            except OSError as error:
                raise DatasetError(
                    f"{str(file)!r} existed when the data was read but cannot be opened now: {error.strerror}. "
                    "Put it back and try again: what is in the store stays."
                ) from None
            if sha256(data).hexdigest() != shot.content:
                raise DatasetError(
                    f"{str(file)!r} changed after the data was read. Try again: what is in the store stays."
                )
            picture = decode(data, fit, inf)  # what is too large was skipped when the data was read
        return views.view(picture, self.views, shot.view, shot.content, fit.resample) if shot.view else picture

    def store(self) -> Store:
        """Open the store of these activations; *exact* activations have a store of their own, always in float32."""
        below, dtype = self.trunk, "float32" if self.exact else "float16"
        return Store(
            self.folder,
            below.tensors,
            below.description,
            dtype="float32" if self.exact else "auto",
            estimate_bytes=disk_bytes(below.tensors, len(self.shots), dtype),
        )

    @property
    def folder(self) -> Path:
        """The folder of that store."""
        return folders_of(self.trunk, self.exact)[0]

    def missing(self) -> list[Shot]:
        """The shots that are missing in the store; all of them if the backbone's graph is not known yet."""
        if trunk.kept_graph(self.backbone) is None:
            return self.shots
        with self.store() as store:
            return [self.by_key[k] for k in store.missing(self.by_key)]


def resolve(term: Term, backbone: Backbone, graph: Graph) -> Trunk:
    """The trunk below one term of a cut.

    Raises:
        CutError: the graph does not have the term's place or end.
    """
    frontier = graph.resolve(term.place, term.end)
    return Trunk(backbone, pretrained.identity(backbone), graph, frontier, graph.end(term.end))


def folders_of(below: Trunk, exact: bool = False) -> tuple[Path, ...]:
    """Folders where a trunk's store may be: with the runtime ``keras`` one per backend, this process's first."""
    return tuple(folder.with_name(folder.name + "-float32") if exact else folder for folder in below.folders)
