"""Extraction: the trunk runs once per picture, and what it gives goes to the store.

Fills run in a worker process beside (OpenVINO) or here (Keras), and only for what the store lacks.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Self

import numpy as np

from topwork import errors, runtimes
from topwork.cut import INPUT, POOL, Cut, Term
from topwork.data.dataset import Dataset, Row
from topwork.data.views import key as view_key
from topwork.errors import CutError, nearest
from topwork.fill import Fill, Report, Shot, fill, folder_of, store_of
from topwork.networks import trunk
from topwork.networks.backbones import catalogue as backbones
from topwork.networks.graph import Graph
from topwork.networks.trunk import Trunk
from topwork.networks.weights import pretrained
from topwork.recipes.settings import NO_VIEWS, Backbone, Views
from topwork.runtimes.pixels import Pixels
from topwork.store import Store, key
from topwork.system import files, gpu, machine
from topwork.system.keras_settings import ours
from topwork.system.messages import Watch


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
        return trunk.resolve(self.term, self.source, graph or trunk.known_graph(self.backbone))

    def check(self, learn: bool = False) -> None:
        """Refuse an unknown backbone or place before anything begins; learn the backbone's graph first where it must.

        Args:
            learn: learn it in any case.

        Raises:
            UnknownBackbone, CutError: nothing of that name.
        """
        if not self.backbone.model:
            backbones.record(self.backbone.name)
        easy = {self.term.place, self.term.end} <= {POOL, INPUT} and not learn
        if trunk.kept_graph(self.backbone) is None and not easy:
            with Extraction(Dataset("", ()), [replace(self, rows=())], lambda event, **_: None) as extraction:
                extraction.wait(0)
        if not easy:
            self.trunk()

    def store(self, graph: Graph | None = None) -> Store:
        """The store that the fill goes to."""
        return store_of(self.trunk(graph), len(self.shots), self.exact)

    def folder(self) -> Path:
        """Where that store lies."""
        return folder_of(self.trunk(), self.exact)


class Extraction:
    """Several fills, done one after another beside the caller (OpenVINO) or when they are waited for (Keras).

    A context manager: a worker that is still running at the end is stopped; what it committed stays.
    """

    def __init__(self, data: Dataset, wanted: Sequence[Wanted], report: Report, jobs: int | None = None) -> None:
        self._data, self._wanted, self._report = data, list(wanted), report
        self._jobs = jobs or machine.jobs()
        self._events: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._worker: subprocess.Popen[str] | None = None
        self._asked: set[int] = set()

    def __enter__(self) -> Self:
        files.check()
        beside = [(i, w, w.missing()) for i, w in enumerate(self._wanted) if w.backbone.runtime == "openvino"]
        fills = [_job(i, w, shots) for i, w, shots in beside if shots or trunk.kept_graph(w.backbone) is None]
        if fills:
            self._asked = {fill["number"] for fill in fills}
            self._start(fills)
        return self

    def __exit__(self, *_: object) -> None:
        if self._worker:
            self._worker.kill()
            self._listener.join()
            self._worker.communicate()  # closes its pipes
            self._scratch.cleanup()

    def wait(self, number: int) -> None:
        """Come back when fill *number* is whole.

        Raises:
            TopworkError: whatever stopped it.
        """
        wanted = self._wanted[number]
        if wanted.backbone.runtime == "keras":
            _here(wanted, self._data, self._report, self._jobs)
        while number in self._asked:
            event = self._events.get()
            if event["event"] == "error":
                raise getattr(errors, event["kind"])(event["message"])
            if event["event"] == "filled":
                self._asked.discard(event["number"])
            if event["event"] == "plan":
                event["repeated"] = wanted.repeated
            self._report(**event)

    def wait_all(self, numbers: Iterable[int]) -> None:
        """Come back when each of these fills is whole."""
        for number in numbers:
            self.wait(number)

    def _start(self, fills: list[dict[str, Any]]) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="topwork-")
        job = Path(self._scratch.name, "job.json")
        about: dict[str, Any] = {"fills": fills, "root": self._data.root, "jobs": self._jobs, "pixels": None}
        if self._data.pixels is not None:
            about["pixels"] = str(job.with_name("pixels.npy"))
            np.save(about["pixels"], self._data.pixels)
        job.write_text(json.dumps(about), encoding="utf-8")
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "topwork.worker", str(job)],
            stdin=subprocess.PIPE,  # never written to: the worker stops when it closes
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=os.environ | {"KERAS_BACKEND": "openvino", "PYTHONIOENCODING": "utf-8"},
            process_group=0,  # Ctrl-C is for this process, which stops the worker
        )
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._worker and self._worker.stdout
        for line in self._worker.stdout:
            self._events.put(json.loads(line))
        status = self._worker.wait()
        self._events.put(
            {
                "event": "error",
                "kind": "MachineError",
                "message": f"the extraction process ended with status {status} before it was done. "
                "What it committed is safe: run the same command again to go on.",
            }
        )


@ours()
def extract(data: Dataset, cut: str, backbone: Backbone | None = None, jobs: int | None = None) -> Wanted:
    """Fill the store with the activations of *data* at *cut*; pictures that cannot be read are recorded there."""
    Cut.parse(cut).only  # noqa: B018
    (wanted,) = asked(data, cut, [backbone] if backbone else ())
    fill_all(data, [wanted], jobs)
    return wanted


def asked(data: Dataset, cut: str, backbones: Sequence[Backbone] = ()) -> list[Wanted]:
    """The fills of *data* that *cut* stands for, one a term; every word is checked, nothing is computed.

    Args:
        data: whose pictures.
        cut: of one term or a sum.
        backbones: options of those that the cut names; of the others the defaults.

    Raises:
        UnknownBackbone, CutError: nothing of that name, or options of a backbone that the cut does not name.
    """
    terms = Cut.parse(cut).terms
    given = {one.name: one for one in backbones}
    names = {term.backbone: given.get(term.backbone, Backbone(term.backbone)) for term in terms}
    for name in given:
        if name not in names:
            raise CutError(
                f"options are given of {name!r}, and the cut {cut!r} does not name it{nearest(name, names) or '.'}"
            )
    ready = {name: runtimes.resolved(pretrained.on_disk(one)) for name, one in names.items()}
    wanted = [Wanted(term, ready[term.backbone], ()).of(data) for term in terms]
    for one in wanted:
        one.check()
    return wanted


def fill_all(data: Dataset, wanted: Sequence[Wanted], jobs: int | None = None) -> None:
    """Fill the store with all that is *wanted* of *data*, and tell how it goes."""
    with Watch() as watch, Extraction(data, wanted, watch.report, jobs) as extraction:
        extraction.wait_all(range(len(wanted)))


def failures(wanted: Wanted) -> dict[str, str]:
    """Digest -> reason for the pictures of a fill that have no activations."""
    contents = {wanted.key(shot): shot.content for shot in wanted.shots}
    with wanted.store() as store:
        return {contents[k]: reason for k, reason in store.failures(contents).items()}


def _job(number: int, wanted: Wanted, shots: list[Shot]) -> dict[str, Any]:
    return {
        "number": number,
        "term": str(wanted.term),
        "backbone": asdict(wanted.backbone),
        "exact": wanted.exact,
        "shots": shots,
        "views": asdict(wanted.views),
    }


def _here(wanted: Wanted, data: Dataset, report: Report, jobs: int) -> None:
    """Fill in this process, with Keras."""
    from topwork.networks.halves import trunk as trunk_of
    from topwork.networks.keras_graph import open_backbone
    from topwork.runtimes.keras import Keras

    if trunk.kept_graph(wanted.backbone) and not wanted.missing():
        return
    opened = open_backbone(wanted.backbone, pretrained.weights_file(wanted.backbone))
    trunk.keep_graph(wanted.backbone, opened.graph)
    below = wanted.trunk()
    with wanted.store() as store:
        source = Fill(below, wanted.shots, data.root, data.pixels, wanted.views)

        @cache
        def runtime() -> runtimes.Runtime:
            return Pixels() if below.is_pixels else Keras(trunk_of(opened, below.frontier))

        with gpu.exact() if wanted.exact else nullcontext():
            fill(source, store, runtime, partial(report, exact=wanted.exact, repeated=wanted.repeated), jobs)
