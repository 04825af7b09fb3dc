"""Filling the store in one process: threads decode, the trunk runs, batches are committed."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice

import numpy as np

from topwork.errors import PictureError
from topwork.store.request import Report, Request, Shot
from topwork.store.runtimes.base import BATCH, Runtime
from topwork.store.store import Store
from topwork.system import machine
from topwork.system.files import room

COMMIT_ROWS, COMMIT_BYTES = 256, 32_000_000
"""Rows and bytes after which a batch is committed; a killed process loses at most this much."""


def fill(request: Request, store: Store, runtime: Callable[[], Runtime], report: Report, jobs: int) -> None:
    """Compute and commit what is missing for *request*; pictures that cannot be read are recorded as failures.

    Raises:
        StoreError: the disk has too little space.
    """
    shots = request.by_key
    while missing := store.missing(shots):  # a second time only where float32 takes over from float16
        needed = store.disk_bytes(len(missing))
        room(store.folder, needed)
        ready = runtime()
        todo = [(k, shots[k]) for k in missing]
        about: dict[str, float] = {"pictures": len(todo), "bytes": needed, "views": any(shot.view for _, shot in todo)}

        if len(todo) >= 20 * COMMIT_ROWS:  # it will take long: measured on blank pixels and the first pictures
            blanks = [np.zeros((BATCH, *request.trunk.fit.size, 3), np.uint8)] * (ready.trial // BATCH)
            list(ready.stream(iter(blanks)))
            start = time.perf_counter()
            list(ready.stream(iter(blanks)))
            trunk_seconds = (time.perf_counter() - start) / ready.trial

            start = time.perf_counter()
            for _, shot in todo[:4]:
                with suppress(PictureError):
                    request.load(shot)
            decode_seconds = (time.perf_counter() - start) / 4 / machine.jobs()
            together = max if ready.beside else sum
            about["seconds"] = len(todo) * together((trunk_seconds, decode_seconds))

        report(event="plan", **about)
        _pass(request, store, ready, todo, report, jobs)


def _pass(
    request: Request, store: Store, ready: Runtime, todo: list[tuple[bytes, Shot]], report: Report, jobs: int
) -> None:
    keys: list[bytes] = []
    arrays: list[list[np.ndarray]] = []
    start, done, due = time.perf_counter(), 0, min(COMMIT_ROWS, max(1, COMMIT_BYTES // store.disk_bytes(1)))
    waiting: deque[bytes] = deque()
    with ThreadPoolExecutor(jobs) as pool:
        for outputs in ready.stream(_batches(request, store, todo, pool, jobs, waiting)):
            keys += [waiting.popleft() for _ in range(len(outputs[0]))]
            arrays.append(outputs)
            if len(keys) >= due:
                store.write(keys, [np.concatenate(tensor) for tensor in zip(*arrays)])
                done += len(keys)
                keys, arrays = [], []
                report(event="progress", done=done, total=len(todo), seconds=time.perf_counter() - start)
    if keys:
        store.write(keys, [np.concatenate(tensor) for tensor in zip(*arrays)])
    report(event="progress", done=len(todo), total=len(todo), seconds=time.perf_counter() - start)


def _batches(
    request: Request,
    store: Store,
    todo: list[tuple[bytes, Shot]],
    pool: ThreadPoolExecutor,
    jobs: int,
    waiting: deque[bytes],
) -> Iterator[np.ndarray]:
    """Decode in threads, a few batches ahead, in order; pictures that cannot be read are recorded and skipped.

    The keys of what is decoded are appended to *waiting*.
    """
    ahead: deque[tuple[bytes, Future]] = deque()
    rest = iter(todo)
    batch: list[np.ndarray] = []
    while True:
        for picture, shot in islice(rest, 4 * jobs * BATCH - len(ahead)):
            ahead.append((picture, pool.submit(request.load, shot)))
        if not ahead:
            break
        picture, future = ahead.popleft()
        try:
            batch.append(future.result())
        except PictureError as error:
            store.fail(picture, str(error))
            continue
        waiting.append(picture)
        if len(batch) == BATCH:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)
