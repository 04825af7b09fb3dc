"""Extraction: the trunk runs once per picture, and its activations go to the store.

Fills run in a worker process (OpenVINO) or in this process (Keras), and only for what is missing in the store.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

from topwork.cut import INPUT, POOL, Cut
from topwork.data.dataset import Dataset
from topwork.errors import CutError, nearest
from topwork.networks import trunk
from topwork.networks.backbones import catalogue
from topwork.networks.weights import pretrained
from topwork.recipes.settings import Backbone
from topwork.store.engines.local import Extraction
from topwork.store.request import NO_PICTURES, Request
from topwork.store.runtimes import base
from topwork.system.keras_settings import ours
from topwork.system.messages import Bar, counted, duration, say, size


@ours()
def extract(data: Dataset, cut: str, backbone: Backbone | None = None, jobs: int | None = None) -> Request:
    """Fill the store with the activations of *data* at *cut*; pictures that cannot be read are recorded there."""
    parsed = Cut.parse(cut)
    _ = parsed.only
    (request,) = requested(data, parsed, [backbone] if backbone else ())
    fill_all([request], jobs)
    return request


def requested(data: Dataset, cut: Cut, backbones: Sequence[Backbone] = ()) -> list[Request]:
    """The requests for *data* at *cut*, one per term; names are checked, nothing is computed.

    Args:
        data: the dataset with the pictures.
        cut: one term or a sum.
        backbones: options of backbones in the cut; the others have the defaults.

    Raises:
        UnknownBackbone, CutError: an unknown name, or options of a backbone that is not in the cut.
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
    """Refuse an unknown backbone or place before any work begins; learn the backbone's graph first if needed.

    Args:
        request: for any pictures.
        learn: whether to learn the graph in any case.

    Raises:
        UnknownBackbone, CutError: the name is unknown.
    """
    if not request.backbone.model:
        catalogue.record(request.backbone.name)
    easy = {request.term.place, request.term.end} <= {POOL, INPUT} and not learn
    if trunk.kept_graph(request.backbone) is None and not easy:
        with Extraction([replace(request, data=NO_PICTURES)], lambda event, **_: None) as extraction:
            extraction.wait(0)
    if not easy:
        _ = request.trunk


def fill_all(requests: Sequence[Request], jobs: int | None = None) -> None:
    """Fill the store with all requested activations, and report progress."""
    with Watch() as watch, Extraction(requests, watch.report, jobs) as extraction:
        extraction.wait_all(range(len(requests)))


class Watch:
    """Shows the events of an extraction; a context manager, so that the bar ends with it."""

    def __init__(self) -> None:
        self._bar, self._noun = Bar("trunk", "pictures"), "picture"
        self.seconds: dict[str, float] = {}
        """How long converting, compiling and running the trunk took, in seconds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def report(self, event: str, **about: Any) -> None:
        """Announce the work, show its progress, and record how long it took."""
        name = {"converted": "convert", "compiled": "compile", "progress": "extract"}.get(event)
        if name and (event != "progress" or about["done"] == about["total"]):
            self.seconds[name] = self.seconds.get(name, 0.0) + about["seconds"]
        if event == "plan":
            expected = f"about {duration(about['seconds'])} and " if "seconds" in about else ""
            exactly = " in float32, to measure what is shipped" if about.get("exact") else ""
            self._noun = "view" if about.get("views") else "picture"
            different = "different " if about.get("repeated") else ""
            count = counted(about["pictures"], different + self._noun)
            say(f"trunk: {count} to compute{exactly}, {expected}{size(about['bytes'])} on disk")
            self._bar.start()
        elif event == "progress":
            pace = about["done"] / about["seconds"]
            self._bar.update(about["done"], about["total"], f"{pace:.0f} {self._noun}s/s")
        elif event == "filled":
            self._bar.stop()
