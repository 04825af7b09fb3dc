"""Requests to the store: which views of which pictures one trunk is to give, under which keys, and in which store.

`gathered` opens the stores of several requests as what a phase trains on.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import NamedTuple

import numpy as np

from topwork.cut import Term
from topwork.data import views
from topwork.data.dataset import Dataset, Row
from topwork.data.pictures import decode, fit_array
from topwork.data.views import key as view_key
from topwork.errors import CutError, DatasetError, nearest
from topwork.networks import trunk
from topwork.networks.graph import Graph
from topwork.networks.trunk import Trunk
from topwork.networks.weights import pretrained
from topwork.recipes.settings import NO_VIEWS, Backbone, Views
from topwork.store.examples import Part, Source
from topwork.store.store import Store, disk_bytes, key

Report = Callable[..., None]
"""Called with keyword ``event`` and what belongs to it."""


def resolve(term: Term, backbone: Backbone, graph: Graph) -> Trunk:
    """The trunk below one term of a cut.

    Raises:
        CutError: the graph does not have the term's place or end.
    """
    frontier = graph.resolve(term.place, term.end)
    return Trunk(backbone, pretrained.identity(backbone), graph, frontier, graph.end(term.end))


class Shot(NamedTuple):
    """One view of one picture: its path, the SHA-256 of its content, and the view's number."""

    path: str
    content: str
    view: int = 0


@dataclass(frozen=True)
class Fill:
    """What one trunk is to give: for which views of which pictures, where these lie, and how views are drawn."""

    trunk: Trunk
    shots: Sequence[Shot]
    root: str
    pixels: np.ndarray | None = None
    views: Views = NO_VIEWS

    def key(self, shot: Shot) -> bytes:
        """What a shot's activations are stored under."""
        return key(shot.content, views.key(self.views, shot.view))

    def load(self, shot: Shot) -> np.ndarray:
        """One view of a picture as the trunk takes it: uint8 ``[side, side, 3]``.

        Raises:
            PictureError: the picture cannot be decoded.
            DatasetError: it is gone, or another one by now; that says nothing of its content, so nothing is recorded.
        """
        found, fit = self._picture(shot.path, shot.content), self.trunk.fit
        return views.view(found, self.views, shot.view, shot.content, fit.resample) if shot.view else found

    def _picture(self, path: str, content: str) -> np.ndarray:
        """View 0."""
        if self.pixels is not None:
            return fit_array(self.pixels[int(path[2:-1])], self.trunk.fit)
        file = Path(self.root, path)
        try:
            data = file.read_bytes()
        except OSError as error:
            raise DatasetError(
                f"{str(file)!r} was there when the data was read, and cannot be opened now: {error.strerror}. "
                "Put it back, and run the same again: what is in the store stays."
            ) from None
        if sha256(data).hexdigest() != content:
            raise DatasetError(
                f"{str(file)!r} changed after the data was read. Run the same again: what is in the store stays."
            )
        return decode(data, self.trunk.fit, inf)  # what is too large was left out when the data was read


def store_of(below: Trunk, pictures: int, exact: bool = False) -> Store:
    """The store of a trunk's activations; *exact*: the one that keeps float32 whatever the values."""
    folder = folder_of(below, exact)
    estimate = disk_bytes(below.tensors, pictures, "float32" if exact else "float16")
    return Store(
        folder, below.tensors, below.description, dtype="float32" if exact else "auto", estimate_bytes=estimate
    )


def folder_of(below: Trunk, exact: bool = False) -> Path:
    """Where that store lies."""
    return folders_of(below, exact)[0]


def folders_of(below: Trunk, exact: bool = False) -> tuple[Path, ...]:
    """Where it may lie: with the ``keras`` runtime each backend has a store of its own, this process's first."""
    return tuple(folder.with_name(folder.name + "-float32") if exact else folder for folder in below.folders)


@dataclass(frozen=True)
class Wanted:
    """One fill as it is asked for.

    Args:
        term: of a cut.
        backbone: its options, runtime decided.
        rows: whose picture is wanted: that of the term's column, the *column*-th of the dataset.
        exact: float32 throughout.
        views: of training rows; others have the picture alone.
    """

    term: Term
    backbone: Backbone
    rows: tuple[Row, ...]
    exact: bool = False
    views: Views = NO_VIEWS
    column: int = 0

    def of(self, data: Dataset) -> "Wanted":
        """The same for all rows of a dataset, which has the column that the term names.

        Raises:
            CutError: it has none of that name.
        """
        name = self.term.picture
        if name is not None and name not in data.columns:
            known = ", ".join(map(repr, data.columns))
            raise CutError(
                f"'{self.term}' names the picture {name!r}: the data's pictures are {known}"
                f"{nearest(name, data.columns) or '.'}"
            )
        return replace(self, rows=data.rows, column=data.columns.index(name) if name is not None else 0)

    @property
    def shots(self) -> list[Shot]:
        """Every view of every row's picture."""
        return [shot for row in self.rows for shot in self.shots_of(row)]

    @property
    def repeated(self) -> int:
        """How many of them are equal to another: these are computed once."""
        shots = self.shots
        return len(shots) - len({self.key(shot) for shot in shots})

    def shots_of(self, row: Row) -> list[Shot]:
        """The views of one row's picture."""
        path, content = row.pictures[self.column]
        return [Shot(path, content, view) for view in range(self.views.count if row.split == "train" else 1)]

    def key(self, shot: Shot) -> bytes:
        """What a shot's activations are stored under."""
        return key(shot.content, view_key(self.views, shot.view))

    @property
    def source(self) -> Backbone:
        """The backbone to run: exact activations are float32 throughout."""
        return replace(self.backbone, precision="float32") if self.exact else self.backbone

    def missing(self) -> list[Shot]:
        """What the store lacks; everything where the backbone's graph is not known yet."""
        graph = trunk.kept_graph(self.backbone)
        if graph is None:
            return self.shots
        keys = {self.key(shot): shot for shot in self.shots}
        with self.store(graph) as store:
            return [keys[k] for k in store.missing(keys)]

    def trunk(self, graph: Graph | None = None) -> Trunk:
        """The trunk; its backbone's graph must have been kept where it is not given."""
        return resolve(self.term, self.source, graph or trunk.known_graph(self.backbone))

    def store(self, graph: Graph | None = None) -> Store:
        """The store that the fill goes to."""
        return store_of(self.trunk(graph), len(self.shots), self.exact)

    def folder(self) -> Path:
        """Where that store lies."""
        return folder_of(self.trunk(), self.exact)


def failures(wanted: Wanted) -> dict[str, str]:
    """Digest -> reason for the pictures of a fill that have no activations."""
    contents = {wanted.key(shot): shot.content for shot in wanted.shots}
    with wanted.store() as store:
        return {contents[k]: reason for k, reason in store.failures(contents).items()}


@contextmanager
def gathered(wanted: Sequence[Wanted], classes: Sequence[str]) -> Iterator[Callable[[Sequence[Row]], Part]]:
    """Open the stores of several fills, one a term, each store once.

    Gives:
        A function from rows to their part; training rows have as many views as the fills gave them.
    """
    where = {label: i for i, label in enumerate(classes)}
    with ExitStack() as stack:
        opened: dict[Path, Store] = {}
        folders = [one.folder() for one in wanted]
        for one, folder in zip(wanted, folders):
            if folder not in opened:
                opened[folder] = stack.enter_context(one.store())

        def part(rows: Sequence[Row]) -> Part:
            views = len(wanted[0].shots_of(rows[0])) if rows else 1
            sources = []
            for one, folder in zip(wanted, folders):
                shots = [one.shots_of(row) for row in rows]
                keys = [one.key(some[view]) for view in range(views) for some in shots]
                sources.append(Source.of(opened[folder], keys))
            labels = np.array([where[row.label] for row in rows], np.int64)
            return Part(tuple(sources), labels, [row.content for row in rows], views)

        yield part


def stored(wanted: Sequence[Wanted]) -> list[list[str] | None]:
    """The dtypes on disk of each fill's tensors."""
    found = []
    for one in wanted:
        with one.store() as store:
            found.append(store.stored)
    return found
