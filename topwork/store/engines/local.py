"""Extraction on this machine, in a worker process (OpenVINO) or in this process (Keras)."""

import pickle
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from signal import SIGKILL
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


class _Worker:
    """A worker process, and the folder with the files that it reads."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="topwork-")
        self.beside = Beside("topwork.store.engines.worker", {"KERAS_BACKEND": "openvino"})
        self._asked = self._answered = 0

    def ask(self, requests: Mapping[int, Request], jobs: int) -> None:
        """Send numbered requests; all are for pictures of one dataset."""
        job = Path(self._folder.name, f"job-{self._asked}")
        pixels = next(iter(requests.values())).data.pixels
        if pixels is not None:
            np.save(job.with_suffix(".npy"), pixels)
        bare = {number: replace(one, data=replace(one.data, pixels=None)) for number, one in requests.items()}
        job.write_bytes(pickle.dumps((is_command(), jobs, bare)))
        self.beside.ask(str(job))
        self._asked += 1

    def listen(self, report: Report) -> None:
        """Wait until the last requests are answered; *report* gets their events."""
        while self._answered < self._asked:
            self._answered += 1
            self.beside.answer(report if self._answered == self._asked else lambda _: None)

    def end(self, listener: Thread | None = None) -> None:
        """End the process. *listener* is the thread that may still call `listen`."""
        self.beside.process.kill()
        if listener:
            listener.join()
        self.beside.end()
        self._folder.cleanup()


_idle: ContextVar[list[_Worker] | None] = ContextVar("idle", default=None)


@contextmanager
def one_worker() -> Iterator[None]:
    """Let all extractions inside the context use the same worker process: it imports Keras and opens a network once."""
    idle: list[_Worker] = []
    token = _idle.set(idle)
    try:
        yield
    finally:
        _idle.reset(token)
        for worker in idle:
            worker.end()


def begin(requests: Iterable[Request]) -> None:
    """Inside `one_worker`, open the networks that are new to this machine, while the caller does other work.

    The next extraction raises what goes wrong, and waits for what is not done yet.
    """
    idle = _idle.get()
    new = {
        i: one
        for i, one in enumerate(requests)
        if one.backbone.runtime == "openvino" and trunk.kept_graph(one.backbone) is None
    }
    if new and idle == []:
        idle.append(_Worker())
        idle[0].ask(new, machine.jobs())


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
        self._worker: _Worker | None = None
        self.asked: set[int] = set()
        """The numbers of the fills in the worker process that are not complete yet."""

    def __enter__(self) -> Self:
        files.check()
        for number, one in enumerate(self._requests):
            if one.backbone.runtime == "openvino" and (trunk.kept_graph(one.backbone) is None or one.missing()):
                self.asked.add(number)
        if not self.asked:
            return self

        self._worker = idle.pop() if (idle := _idle.get()) else _Worker()
        try:
            self._worker.ask({number: self._requests[number] for number in sorted(self.asked)}, self._jobs)
        except BaseException:  # the disk is full: `__exit__` is not called
            self._worker.end()
            raise
        self._listener = Thread(target=self._listen, args=(self._worker,), daemon=True)
        self._listener.start()
        if all(pretrained.is_at_hand(self._requests[number].backbone) for number in self.asked):
            self._report(event="begin", what="opening the network")  # a download has a bar of its own
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if not self._worker:
            return
        idle = _idle.get()
        if kind or self.asked or idle is None:
            self._worker.end(self._listener)
        else:
            self._listener.join()
            idle.append(self._worker)

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

            about = {"term": str(request.term), "exact": request.exact, "repeated": request.repeated}
            report = partial(self._report, **about)
            with request.store() as store, gpu.exact() if request.exact else nullcontext():
                fill(request, store, runtime, report, self._jobs)
        while number in self.asked:
            event = self._events.get()
            if isinstance(event, Exception):
                raise event
            if event["event"] == "filled":
                self.asked.discard(event["number"])
            if event["event"] == "plan":
                event |= {"term": str(request.term), "repeated": request.repeated}
            self._report(**event)

    def wait_all(self, numbers: Iterable[int]) -> None:
        """Wait until the fills with these numbers are complete."""
        for number in numbers:
            self.wait(number)

    def _listen(self, worker: _Worker) -> None:
        try:
            worker.listen(self._events.put)
        except Ended as ended:
            told = f"the extraction process ended with status {ended.status} before it was done. "
            told += "What it committed is safe: run the same command again to continue."
            if ended.status == -SIGKILL:
                told += " If it ends so again, it lacks memory: use a smaller size of pictures, or a smaller network."
            self._events.put(MachineError(told))
        except Exception as error:  # raised again in `wait`
            self._events.put(error)
