"""Extraction on this machine: fills in a worker process beside the caller (OpenVINO), or here (Keras)."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Self

import numpy as np

from topwork import errors
from topwork.data.dataset import Dataset
from topwork.networks import trunk
from topwork.networks.weights import pretrained
from topwork.store.fill import fill
from topwork.store.request import Fill, Report, Shot, Wanted
from topwork.store.runtimes import base
from topwork.store.runtimes.base import Pixels
from topwork.system import files, gpu, machine


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
            [sys.executable, "-m", "topwork.store.engines.worker", str(job)],
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
    from topwork.store.runtimes.keras import Keras

    if trunk.kept_graph(wanted.backbone) and not wanted.missing():
        return
    opened = open_backbone(wanted.backbone, pretrained.weights_file(wanted.backbone))
    trunk.keep_graph(wanted.backbone, opened.graph)
    below = wanted.trunk()
    with wanted.store() as store:
        source = Fill(below, wanted.shots, data.root, data.pixels, wanted.views)

        @cache
        def runtime() -> base.Runtime:
            return Pixels() if below.is_pixels else Keras(trunk_of(opened, below.frontier))

        with gpu.exact() if wanted.exact else nullcontext():
            fill(source, store, runtime, partial(report, exact=wanted.exact, repeated=wanted.repeated), jobs)
