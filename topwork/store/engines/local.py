"""Extraction on this machine, in a worker process (OpenVINO) or in this process (Keras)."""

import pickle
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Self

import numpy as np

from topwork.errors import MachineError
from topwork.networks import trunk
from topwork.networks.weights import pretrained
from topwork.store.fill import fill
from topwork.store.request import Report, Request
from topwork.store.runtimes import base
from topwork.store.runtimes.base import Pixels
from topwork.system import files, gpu, machine
from topwork.system.advice import is_command
from topwork.system.processes import Beside, Ended


class Extraction:
    """Several fills, one after another: in one worker process (OpenVINO), or inside `wait` (Keras).

    A context manager: if the worker still runs at the end of the ``with``, it is stopped; the activations that it
    committed stay in the store.

    Args:
        requests: one per fill; all are for pictures of one dataset.
        report: called with each event.
        jobs: how many processors to use.
    """

    def __init__(self, requests: Sequence[Request], report: Report, jobs: int | None = None) -> None:
        self._requests, self._report = list(requests), report
        self._jobs = jobs or machine.jobs()
        self._events: SimpleQueue[dict[str, Any] | Exception] = SimpleQueue()
        self._worker: Beside | None = None
        self.asked: set[int] = set()
        """The numbers of the fills in the worker process that are not complete yet."""

    def __enter__(self) -> Self:
        files.check()
        for number, one in enumerate(self._requests):
            if one.backbone.runtime == "openvino" and (trunk.kept_graph(one.backbone) is None or one.missing()):
                self.asked.add(number)
        if not self.asked:
            return self

        self._scratch = tempfile.TemporaryDirectory(prefix="topwork-")
        job = Path(self._scratch.name, "job")
        pixels = next(iter(self._requests)).data.pixels
        if pixels is not None:
            np.save(job.with_name("pixels.npy"), pixels)
        asked = {i: replace(one, data=replace(one.data, pixels=None)) for i, one in enumerate(self._requests)}
        job.write_bytes(pickle.dumps((is_command(), self._jobs, {i: asked[i] for i in sorted(self.asked)})))
        self._worker = Beside("topwork.store.engines.worker", {"KERAS_BACKEND": "openvino"})
        self._worker.ask(str(job))
        self._listener = Thread(target=self._listen, args=(self._worker,), daemon=True)
        self._listener.start()
        self._report(event="begin", what="opening the network")
        return self

    def __exit__(self, *_: object) -> None:
        if self._worker:
            self._worker.process.kill()
            self._listener.join()
            self._scratch.cleanup()

    def wait(self, number: int) -> None:
        """Wait until fill *number* is complete.

        Raises:
            TopworkError: the error that stopped the fill.
        """
        request = self._requests[number]
        if request.backbone.runtime == "keras" and (trunk.kept_graph(request.backbone) is None or request.missing()):
            from topwork.networks.halves import trunk as trunk_of
            from topwork.networks.keras_graph import open_backbone
            from topwork.store.runtimes.keras import Keras

            opened = open_backbone(request.backbone, pretrained.weights_file(request.backbone))
            trunk.keep_graph(request.backbone, opened.graph)
            below = request.trunk

            @cache
            def runtime() -> base.Runtime:
                return Pixels() if below.is_pixels else Keras(trunk_of(opened, below.frontier))

            report = partial(self._report, exact=request.exact, repeated=request.repeated)
            with request.store() as store, gpu.exact() if request.exact else nullcontext():
                fill(request, store, runtime, report, self._jobs)
        while number in self.asked:
            event = self._events.get()
            if isinstance(event, Exception):
                raise event
            if event["event"] == "filled":
                self.asked.discard(event["number"])
            if event["event"] == "plan":
                event["repeated"] = request.repeated
            self._report(**event)

    def wait_all(self, numbers: Iterable[int]) -> None:
        """Wait until the fills with these numbers are complete."""
        for number in numbers:
            self.wait(number)

    def _listen(self, worker: Beside) -> None:
        try:
            worker.answer(self._events.put)
        except Ended as ended:
            told = f"the extraction process ended with status {ended.status} before it was done. "
            told += "What it committed is safe: run the same command again to continue."
            self._events.put(MachineError(told))
        except Exception as error:  # raised again in `wait`
            self._events.put(error)
        worker.end()
