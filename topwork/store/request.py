"""A request to the store: the trunk, the pictures and views for which it must run, and whether in exact float32.

`topwork.store.plan` or `topwork.store.extract` makes a request. It is sent unchanged to the process that fills the
store. It also determines the key under which each result is stored.
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
"""A function that is called with the keyword ``event`` (the event's name) and more keywords with its details."""

NO_PICTURES = Dataset("", ())


class Shot(NamedTuple):
    """One view of one picture: its path, the SHA-256 of its content, and the view's number."""

    path: str
    content: str
    view: int = 0


@dataclass(frozen=True)
class Request:
    """A request for the activations of a dataset at one term of a cut.

    Args:
        term: the term; the trunk ends at its place.
        backbone: the backbone's options; the runtime is already chosen.
        data: the dataset; the term names the column of its pictures.
        views: the views of training rows; other rows have only view 0, the picture itself.
        exact: whether everything is computed and stored in float32.
    """

    term: Term
    backbone: Backbone
    data: Dataset = field(default=NO_PICTURES, repr=False)
    views: Views = NO_VIEWS
    exact: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """Return only the fields, without values that were derived from them: the other process derives its own."""
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def of(self, data: Dataset) -> "Request":
        """Return the same request for all rows of a dataset, which must have the column that the term names.

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
        """The frozen part; the graph of its backbone must already be saved."""
        return self.trunk_in(trunk.known_graph(self.backbone))

    def trunk_in(self, graph: Graph) -> Trunk:
        """Return the frozen part of a backbone's graph; if *exact* is true, its precision is float32.

        Raises:
            CutError: the graph does not have the term's place or end.
        """
        return resolve(self.term, replace(self.backbone, precision="float32") if self.exact else self.backbone, graph)

    @cached_property
    def shots(self) -> list[Shot]:
        """All views of the pictures of all rows."""
        return [shot for row in self.data.rows for shot in self.shots_of(row)]

    def shots_of(self, row: Row) -> list[Shot]:
        """Return the views of one row's picture."""
        column = 0 if self.term.picture is None else self.data.columns.index(self.term.picture)
        path, content = row.pictures[column]
        return [Shot(path, content, view) for view in range(self.views.count if row.split == "train" else 1)]

    @cached_property
    def by_key(self) -> dict[bytes, Shot]:
        """Key -> shot; equal shots have one entry."""
        return {self.key(shot): shot for shot in self.shots}

    def key(self, shot: Shot) -> bytes:
        """Return the key of a shot's activations in the store."""
        return key(shot.content, views.key(self.views, shot.view))

    @property
    def repeated(self) -> int:
        """The number of shots that are equal to an earlier shot, and so are not computed again."""
        return len(self.shots) - len(self.by_key)

    def load(self, shot: Shot) -> np.ndarray:
        """Return one view of a picture as an input of the trunk: uint8 ``[side, side, 3]``.

        Raises:
            PictureError: the picture cannot be decoded.
            DatasetError: the file is missing or has changed since the data was read. The store
                does not record this as a failure of the picture: its key stands for the earlier content.
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
            picture = decode(data, fit, inf)  # pictures that are too large were skipped when the data was read
        return views.view(picture, self.views, shot.view, shot.content, fit.resample) if shot.view else picture

    def store(self) -> Store:
        """Open the store of these activations; *exact* activations have a separate store, always in float32."""
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
        """The folder of the store that `store` opens."""
        return folders_of(self.trunk, self.exact)[0]

    def missing(self) -> list[Shot]:
        """Return the shots that are missing in the store; all shots if the backbone's graph is not saved yet."""
        if trunk.kept_graph(self.backbone) is None:
            return self.shots
        with self.store() as store:
            return [self.by_key[k] for k in store.missing(self.by_key)]


def resolve(term: Term, backbone: Backbone, graph: Graph) -> Trunk:
    """Return the trunk below one term of a cut.

    Raises:
        CutError: the graph does not have the term's place or end.
    """
    frontier = graph.resolve(term.place, term.end)
    return Trunk(backbone, pretrained.identity(backbone), graph, frontier, graph.end(term.end))


def folders_of(below: Trunk, exact: bool = False) -> tuple[Path, ...]:
    """Return the folders where a trunk's store may be.

    With the runtime ``keras``, there is one folder per backend; the first is for the backend of this process.
    """
    return tuple(folder.with_name(folder.name + "-float32") if exact else folder for folder in below.folders)
