"""Fill the store in one process: threads decode pictures, the trunk runs, and batches are committed."""

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
"""A batch is committed after this many rows or bytes; a killed process loses at most one batch."""


def fill(request: Request, store: Store, runtime: Callable[[], Runtime], report: Report, jobs: int) -> None:
    """Compute and commit the activations that are missing for *request*.

    Pictures that cannot be read are recorded as failures.

    Raises:
        StoreError: the disk has too little space.
    """
    shots = request.by_key
    while missing := store.missing(shots):  # repeats only if the store changes from float16 to float32
        needed = store.disk_bytes(len(missing))
        room(store.folder, needed)
        ready = runtime()
        todo = [(k, shots[k]) for k in missing]
        about: dict[str, float] = {"pictures": len(todo), "total": len(shots), "bytes": needed}
        about["views"] = any(shot.view for _, shot in todo)

        if len(todo) >= 20 * COMMIT_ROWS:  # a long fill: estimate its time on blank pixels and 4 pictures
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
    """Yield batches of decoded pictures, in order; threads decode a few batches ahead.

    Pictures that cannot be read are recorded as failures and skipped. The key of each decoded picture is appended to
    *waiting*.
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
