"""The precision ``"auto"`` of a trunk: bfloat16 if it changes the activations of these pictures little, else float32.

The model that a run ends with computes in float32. If the activations that its head was trained on came from bfloat16,
they must be nearly equal. For photographs they are. For pictures that differ little from each other, such as digits on
a plain ground, rounding shifts the activations as far as the pictures themselves do.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from heapq import nsmallest
from typing import Any

import numpy as np

from topwork.cut import INPUT
from topwork.recipes.settings import NO_VIEWS, Backbone
from topwork.store.engines.local import Extraction
from topwork.store.examples import StoredActivations, features
from topwork.store.request import Report, Request
from topwork.system.messages import counted, say

SAMPLE = 16
"""How many pictures are computed in both precisions. With 8, 16, 32 and 128 pictures, the shift hardly changed."""

MOST = 0.3
"""The largest shift (see `shift`) with which bfloat16 is used.

Measured with three networks (docs/log.md): 0.05 to 0.17 on photographs. On digits 0.5 to 1.2 with two of them, and 0.08
to 0.11 with the third; a head on one of the two lost 0.035 and 0.040 of accuracy.
"""


def settled(
    requests: Sequence[Request], report: Report, jobs: int | None = None, meanwhile: Callable[[], object] = tuple
) -> list[Request]:
    """Return the requests with a definite precision in place of each ``"auto"``.

    The first request of each backbone decides. The same pictures of a dataset are compared each time, and the result is
    read from the store, unless the store lacks it.

    Args:
        requests: requests for pictures of one dataset.
        report: called with the events of opening a network.
        jobs: the number of processors to use.
        meanwhile: called while pictures are computed, if any have to be.
    """
    first: dict[Backbone, Request] = {}
    for one in requests:
        if one.backbone.precision == "auto":
            first.setdefault(one.backbone, one)
    trials = {backbone: _trial(one) for backbone, one in first.items() if one.term.place != INPUT}
    pairs = [one for pair in trials.values() for one in pair]

    def opening(event: str, **about: Any) -> None:
        if event not in ("plan", "progress"):
            report(event=event, **about)

    with Extraction(pairs, opening, jobs) as extraction:
        is_new = bool(extraction.asked)
        if is_new:
            meanwhile()
        extraction.wait_all(range(len(pairs)))
    chosen = {backbone: replace(backbone, precision="float32") for backbone in first}
    for backbone, pair in trials.items():
        found = shift(*pair)
        if found <= MOST:
            chosen[backbone] = replace(backbone, precision="bfloat16")
        if is_new:
            count = counted(len(pair[0].data.rows), "picture")
            say(
                f"{backbone.name} runs in {chosen[backbone].precision}: on {count} bfloat16 shifts activations by "
                f"{found:.2f} standard deviations (limit {MOST:g})."
            )
    return [replace(one, backbone=chosen[one.backbone]) if one.backbone in chosen else one for one in requests]


def independent(requests: Sequence[Request]) -> list[Request]:
    """Return the requests with bfloat16 in place of each ``"auto"``: no picture's activations depend on others."""
    found = []
    for one in requests:
        precision = "bfloat16" if one.backbone.precision == "auto" else one.backbone.precision
        found.append(replace(one, backbone=replace(one.backbone, precision=precision)))
    return found


def _trial(request: Request) -> tuple[Request, Request]:
    """Return requests for the same few pictures in bfloat16 and in float32."""
    by_content = {request.shots_of(row)[0].content: row for row in request.data.rows}
    rows = tuple(by_content[content] for content in nsmallest(SAMPLE, by_content))
    backbone = replace(request.backbone, precision="bfloat16")
    fast = replace(request, backbone=backbone, data=replace(request.data, rows=rows), views=NO_VIEWS)
    return fast, replace(fast, exact=True)


def shift(fast: Request, exact: Request) -> float:
    """Return how far activations of two precisions differ, as a share of their deviation between pictures.

    Maps are averaged over their positions. With ``a`` the features in float32 and ``b`` in bfloat16, both ``[n, d]``,
    the shift is the square root of ``mean((b - a)^2) / mean(var(a))``. It is 0 for fewer than two readable pictures.
    """
    with StoredActivations([fast]) as stored, StoredActivations([exact]) as wanted:
        bad = stored.failures() | wanted.failures()
        rows = fast.data.without(bad).rows
        if len(rows) < 2:
            return 0.0
        a, b = features(wanted, rows), features(stored, rows)
    deviation = float(np.mean(np.var(a, axis=0)))
    difference = float(np.mean((b - a) ** 2))
    return (difference / deviation) ** 0.5 if deviation else 0.0
