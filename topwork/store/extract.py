"""Extraction: run the trunk once per picture, and write its activations to the store.

A fill computes only the activations that are missing in the store. It runs in a worker process (OpenVINO) or in this
process (Keras).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

from topwork.cut import INPUT, POOL, Cut
from topwork.data.dataset import Dataset
from topwork.errors import CutError, UsageError, nearest
from topwork.networks import trunk
from topwork.networks.backbones import catalogue
from topwork.networks.weights import official, pretrained
from topwork.recipes.settings import Backbone
from topwork.store.engines.local import Extraction, one_worker
from topwork.store.precision import settled
from topwork.store.request import NO_PICTURES, Request
from topwork.store.runtimes import base
from topwork.system.keras_settings import ours
from topwork.system.messages import Bar, counted, duration, say, size


@ours()
@one_worker()
def extract(data: Dataset, cut: str, backbone: Backbone | None = None, jobs: int | None = None) -> Request:
    """Fill the store with the activations of *data* at *cut*, which must be one term; return the request.

    Pictures that cannot be read are recorded in the store as failures.
    """
    parsed = Cut.parse(cut)
    _ = parsed.only
    (request,) = fill_all(requested(data, parsed, [backbone] if backbone else ()), jobs)
    return request


def asked(cut: str | None, weights: str = "imagenet", size: int | None = None) -> tuple[Cut, list[Backbone]]:
    """Return the cut that a user asked for, and the options of its backbones.

    Args:
        cut: by default, ``pool`` of the default network; a line says which that is.
        weights, size: used for all backbones.

    Raises:
        UsageError: weights came without a cut.
        CutError: the cut cannot be parsed.
    """
    if cut is not None:
        parsed = Cut.parse(cut)
        return parsed, [Backbone(name, weights, size) for name in parsed.backbones]
    if weights != "imagenet":
        raise UsageError(f"weights = {weights!r} came without a cut: name one, as in 'mobilenet_v2@pool'.")
    backbone, why = official.default(size)
    say(why)
    return Cut.parse(f"{backbone.name}@pool"), [replace(backbone, size=size)]


def requested(data: Dataset, cut: Cut, backbones: Sequence[Backbone] = ()) -> list[Request]:
    """Return the requests for *data* at *cut*, one per term. The names are checked; no activations are computed.

    Args:
        data: the dataset with the pictures.
        cut: one term or a sum.
        backbones: options of backbones in the cut; the other backbones get the defaults.

    Raises:
        UnknownBackbone, CutError: a name is unknown, or there are options for a backbone that is not in the cut.
    """
    given = {one.name: one for one in backbones}
    names = {name: given.get(name, Backbone(name)) for name in cut.backbones}
    for name in given:
        if name not in names:
            raise CutError(
                f"options are given for {name!r}, but the cut {str(cut)!r} does not name it"
                f"{nearest(name, names) or '.'}"
            )
    ready = {name: base.resolved(pretrained.on_disk(one)) for name, one in names.items()}
    requests = [Request(term, ready[term.backbone]).of(data) for term in cut.terms]
    for one in requests:
        check(one)
    return requests


def check(request: Request, learn: bool = False) -> None:
    """Check that the backbone and the places of a request exist, before any work begins.

    If the check needs the backbone's graph and it is not saved yet, the backbone is built first.

    Args:
        request: the request to check; its pictures play no part.
        learn: whether to make sure that the graph is saved even if the check does not need it.

    Raises:
        UnknownBackbone, CutError: a name is unknown.
    """
    if not request.backbone.model:
        catalogue.record(request.backbone.name)
    easy = {request.term.place, request.term.end} <= {POOL, INPUT} and not learn
    if trunk.kept_graph(request.backbone) is None and not easy:
        with Extraction([replace(request, data=NO_PICTURES)], lambda event, **_: None) as extraction:
            extraction.wait(0)
    if not easy:
        _ = request.trunk


def fill_all(requests: Sequence[Request], jobs: int | None = None) -> list[Request]:
    """Fill the store with all requested activations, and show progress. Return the requests, with their precision."""
    with Watch() as watch:
        decided = settled(requests, watch.report, jobs)
        with Extraction(decided, watch.report, jobs) as extraction:
            extraction.wait_all(range(len(decided)))
    return decided


class Watch:
    """Show the events of an extraction as lines and a bar; a context manager that removes the bar at its end."""

    def __init__(self) -> None:
        self._bar, self._noun = Bar("trunk"), "picture"
        self.seconds: dict[str, float] = {}
        """How long it took to convert, compile and run the trunk, in seconds: ``convert``, ``compile``, ``extract``."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def report(self, event: str, **about: Any) -> None:
        """Show one event, and record how long its step took."""
        name = {"converted": "convert", "compiled": "compile", "progress": "extract"}.get(event)
        if name and (event != "progress" or about["done"] == about["total"]):
            self.seconds[name] = self.seconds.get(name, 0.0) + about["seconds"]
        if event == "begin":
            self._bar.start(about["what"])
        elif event == "plan":
            expected = f"about {duration(about['seconds'])} and " if "seconds" in about else ""
            exactly = " in float32, for the test scores" if about.get("exact") else ""
            self._noun = "view" if about.get("views") else "picture"
            different = "different " if about.get("repeated") else ""
            todo, total = about["pictures"], about["total"]
            count = counted(total, different + self._noun)
            stored = "" if todo == total else f"; {total - todo:,} in the store"
            count = count if todo == total else f"{todo:,} of {count}"
            say(f"{about['term']}: {count} to compute{exactly}, {expected}{size(about['bytes'])} on disk{stored}")
            self._bar.start()
            self._bar.update(0, about["pictures"])
        elif event == "progress":
            pace = about["done"] / about["seconds"]
            self._bar.update(about["done"], about["total"], f"{pace:.0f} {self._noun}s/s")
        elif event == "filled":
            self._bar.stop()
