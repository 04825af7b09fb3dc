"""Choosing: which network, and how much of it, separates the classes of *these* pictures, and at what cost.

Each candidate's activations are computed once, as for training, and stay in the store. A linear probe measures how well
a linear head can classify these activations. Only a run can measure how much fine-tuning would add.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import islice, zip_longest
from math import prod
from typing import Any

import numpy as np

from topwork.cut import Cut
from topwork.data.dataset import Dataset
from topwork.data.folds import folds, most
from topwork.data.quality import glance
from topwork.data.readers import read
from topwork.errors import DatasetError, UsageError
from topwork.networks import places
from topwork.scoring import metrics
from topwork.scoring.choosing import candidates
from topwork.scoring.choosing.choice import Candidate, Choice, ranked
from topwork.scoring.choosing.probe import logme, probe
from topwork.store.engines.local import Extraction, one_worker
from topwork.store.examples import StoredActivations, features
from topwork.store.extract import Watch, requested
from topwork.store.precision import settled
from topwork.store.request import Request
from topwork.system.keras_settings import ours
from topwork.system.messages import say, with_progress

PICTURES, EACH = 500, 10
"""The default number of pictures: `PICTURES`, or `EACH` per class if that is more in total."""
FOLDS = 5
TIMED = 20
"""The time per picture is reported only if at least this many pictures were computed."""


@ours()
@with_progress
@one_worker()
def choose(
    data: Any,
    cuts: Sequence[str] = (),
    *,
    weights: str = "imagenet",
    size: int | None = None,
    pictures: int | None = None,
    seed: int = 0,
    jobs: int | None = None,
    progress: bool = True,  # noqa: ARG001
) -> Choice:
    """Compare backbones, and places where they can end, on some of the pictures outside the test part.

    Args:
        data: a dataset from `topwork.read`, or anything that it accepts.
        cuts: the cuts to compare. By default, these are ``pool`` and earlier places of all backbones that have an
            ImageNet file on this machine, or of the backbone that the file in *weights* belongs to.
        weights, size: used for all backbones; see `topwork.Backbone`.
        pictures: use at most this many pictures, with the classes as balanced as possible; by default, 500, or 10 per
            class if that is more.
        seed: the seed for drawing the pictures and the folds.
        jobs: the number of processors to use.
        progress: whether to show progress bars and lines.

    Raises:
        UsageError: *weights* does not name the backbones to compare, or *pictures* is too small for the classes.
        UnknownBackbone, CutError: there is no backbone or place with that name.
        WeightsError: weights are not on this machine and cannot be downloaded.
        DatasetError: a class has only one picture outside the test part, or there is only one class.

    Example:
        >>> import topwork as tw
        >>> found = tw.choose("flowers/")  # doctest: +SKIP
        >>> found.proposed.cut, found.text  # doctest: +SKIP
    """
    parsed = [Cut.parse(cut) for cut in cuts]
    networks = candidates.networks(parsed, weights, size)
    rows = data if isinstance(data, Dataset) else read(data)
    some = subset(rows, pictures or max(PICTURES, EACH * len(rows.classes)), seed)
    _folds(some, seed)  # refuses a class with a single picture before anything is computed
    candidates.learn(networks)
    compared = dict.fromkeys(parsed or [cut for one in networks for cut in places.cuts_of(one)])
    fills = [requested(some, cut, [one for one in networks if one.name in cut.backbones]) for cut in compared]

    each: list[float | None] = []
    with _Timer() as timer:
        every = settled([one for requests in fills for one in requests], timer.report, jobs)
        again = iter(every)
        fills = [list(islice(again, len(requests))) for requests in fills]
    with timer, Extraction(every, timer.report, jobs) as extraction:
        for number in range(len(every)):
            timer.milliseconds = None
            extraction.wait(number)
            each.append(timer.milliseconds)
    bad: dict[str, str] = {}
    for requests in fills:
        with StoredActivations(requests) as stored:
            bad |= stored.failures()
    used = some.without(bad)
    _refuse_one_class(used.classes)

    dealt = _folds(used, seed)
    tests = [[i for i, row in enumerate(fold.rows) if row.split == "test"] for fold in dealt]
    found = []
    times = iter(each)
    for requests in fills:
        took = [next(times) for _ in requests]
        # The time is None if the store already had the activations of a term.
        time = None if None in took else sum(filter(None, took))
        found.append(_candidate(used, requests, time, tests, len(rows.rows)))
    for line in glance.lines(rows):
        say(line)
    return Choice(ranked(found), len(used.rows), len(tests), used.left_out)


def subset(data: Dataset, count: int, seed: int = 0) -> Dataset:
    """Return at most *count* rows outside the test part, with the classes as balanced as possible.

    Of equal pictures, only one is used. The rows are drawn by content, so that most of them stay the same if pictures
    are added later.

    Raises:
        UsageError: *count* is less than two per class.
        DatasetError: there is only one class.

    Example:
        >>> from topwork.data.dataset import Row
        >>> rows = tuple(Row(f"{i}.png", str(i), "ab"[i > 5], "train") for i in range(10))
        >>> [row.label for row in subset(Dataset("/d", rows), 6).rows]
        ['a', 'a', 'a', 'b', 'b', 'b']
    """
    once = {row.content: row for row in reversed(data.rows) if row.split != "test"}
    labels = sorted({row.label for row in once.values()})
    _refuse_one_class(labels)
    if count < 2 * len(labels):
        raise UsageError(
            f"cannot choose with {count} pictures of {len(labels)} classes: at least {2 * len(labels)} were expected, "
            "two per class."
        )
    drawn = sorted(once.values(), key=lambda row: sha256(f"{seed} {row.content}".encode()).digest())
    turns = zip_longest(*([row for row in drawn if row.label == label] for label in labels))
    kept = {id(row) for row in [row for turn in turns for row in turn if row][:count]}
    return replace(data, rows=tuple(row for row in data.rows if id(row) in kept))


def _folds(rows: Dataset, seed: int) -> list[Dataset]:
    """Divide rows into `FOLDS` folds, or into fewer if a class has fewer independent pictures, but at least two."""
    return folds(rows, max(2, min(FOLDS, most(rows))), seed)


def _refuse_one_class(labels: Collection[str]) -> None:
    if len(labels) < 2:
        raise DatasetError(
            "cannot choose with fewer than two classes among the pictures that can be read and are not of the "
            "test part: add pictures, or draw another split."
        )


class _Timer(Watch):
    """Shows the events of an extraction, and measures the time per picture."""

    milliseconds: float | None = None

    def report(self, event: str, **about: Any) -> None:
        super().report(event, **about)
        if event == "progress" and about["done"] == about["total"] >= TIMED:
            self.milliseconds = 1000 * about["seconds"] / about["total"]


def _candidate(
    data: Dataset, requests: Sequence[Request], time: float | None, tests: Sequence[list[int]], pictures: int
) -> Candidate:
    with StoredActivations(requests) as stored:
        values, widths = features(stored, data.rows), stored.widths()
        one_picture = disk = 0
        for reader in stored.readers:
            sizes = zip(reader.tensors, reader.stored or ())
            one_picture += sum(prod(tensor.shape) * np.dtype(dtype).itemsize for tensor, dtype in sizes)
            disk += reader.disk_bytes(pictures)
    labels = np.array([row.label for row in data.rows])
    right = probe(values, labels, tests, widths)
    return Candidate(
        cut=" + ".join(str(one.term) for one in requests),
        accuracy=metrics.share(int(right.sum()), len(right)),
        right=right,
        logme=logme(values, labels),
        features=values.shape[1],
        **_work(requests),
        kilobytes=one_picture / 1024,
        disk_bytes=disk,
        milliseconds=time,
    )


def _work(requests: Sequence[Request]) -> dict[str, int]:
    """Return the parameters and multiply-adds of a cut.

    Terms with the same backbone and picture share operations; these count once.
    """
    below: Counter[Any] = Counter()
    needed: Counter[Any] = Counter()
    trunks = {(one.term.backbone, one.term.picture): one.trunk for one in requests}
    for one in requests:
        key, trunk = (one.term.backbone, one.term.picture), one.trunk
        below[key] |= trunk.frontier.below
        needed[key] |= trunk.graph.ancestors[trunk.end]

    work = {"parameters": 0, "macs": 0, "macs_above": 0}
    for key, trunk in trunks.items():
        for i, node in enumerate(trunk.graph.nodes):
            if not needed[key] >> i & 1:
                continue
            if below[key] >> i & 1:
                work["parameters"] += node.parameters
                work["macs"] += node.macs
            else:
                work["macs_above"] += node.macs
    return work
