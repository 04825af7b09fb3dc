"""Filling the store in one process: decoding in threads, the trunk's requests in flight, commits in between."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from math import inf
from pathlib import Path
from typing import NamedTuple

import numpy as np

from topwork.data import views
from topwork.data.pictures import decode, fit_array
from topwork.errors import DatasetError, PictureError
from topwork.networks.trunk import Trunk
from topwork.recipes.settings import NO_VIEWS, Views
from topwork.runtimes import BATCH, Runtime
from topwork.store import Store, disk_bytes, key
from topwork.system import machine
from topwork.system.files import room

Report = Callable[..., None]
"""Called with keyword ``event`` and what belongs to it."""

COMMIT_ROWS, COMMIT_BYTES = 256, 32_000_000
"""A commit is due after so many rows or bytes: what a kill can lose."""


class Shot(NamedTuple):
    """One view of one picture: its path, the SHA-256 of its content, and the view's number."""

    path: str
    content: str
    view: int = 0


@dataclass(frozen=True)
class Fill:
    """What one trunk is to give: for which views of which pictures, where these lie, and how views are drawn."""

    trunk: Trunk
    shots: Sequence[Shot]
    root: str
    pixels: np.ndarray | None = None
    views: Views = NO_VIEWS

    def key(self, shot: Shot) -> bytes:
        """What a shot's activations are stored under."""
        return key(shot.content, views.key(self.views, shot.view))

    def load(self, shot: Shot) -> np.ndarray:
        """One view of a picture as the trunk takes it: uint8 ``[side, side, 3]``.

        Raises:
            PictureError: the picture cannot be decoded.
            DatasetError: it is gone, or another one by now; that says nothing of its content, so nothing is recorded.
        """
        found, fit = self._picture(shot.path, shot.content), self.trunk.fit
        return views.view(found, self.views, shot.view, shot.content, fit.resample) if shot.view else found

    def _picture(self, path: str, content: str) -> np.ndarray:
        """View 0."""
        if self.pixels is not None:
            return fit_array(self.pixels[int(path[2:-1])], self.trunk.fit)
        file = Path(self.root, path)
        try:
            data = file.read_bytes()
        except OSError as error:
            raise DatasetError(
                f"{str(file)!r} was there when the data was read, and cannot be opened now: {error.strerror}. "
                "Put it back, and run the same again: what is in the store stays."
            ) from None
        if sha256(data).hexdigest() != content:
            raise DatasetError(
                f"{str(file)!r} changed after the data was read. Run the same again: what is in the store stays."
            )
        return decode(data, self.trunk.fit, inf)  # what is too large was left out when the data was read


def store_of(below: Trunk, pictures: int, exact: bool = False) -> Store:
    """The store of a trunk's activations; *exact*: the one that keeps float32 whatever the values."""
    folder = folder_of(below, exact)
    estimate = disk_bytes(below.tensors, pictures, "float32" if exact else "float16")
    return Store(
        folder, below.tensors, below.description, dtype="float32" if exact else "auto", estimate_bytes=estimate
    )


def folder_of(below: Trunk, exact: bool = False) -> Path:
    """Where that store lies."""
    return folders_of(below, exact)[0]


def folders_of(below: Trunk, exact: bool = False) -> tuple[Path, ...]:
    """Where it may lie: with the ``keras`` runtime each backend has a store of its own, this process's first."""
    return tuple(folder.with_name(folder.name + "-float32") if exact else folder for folder in below.folders)


def fill(source: Fill, store: Store, runtime: Callable[[], Runtime], report: Report, jobs: int) -> None:
    """Compute and commit what the store lacks of *source*; pictures that cannot be read are recorded as failures.

    Raises:
        StoreError: the disk cannot hold it.
    """
    shots = {source.key(shot): shot for shot in source.shots}
    while missing := store.missing(shots):  # a second time only where float32 takes over from float16
        needed = store.disk_bytes(len(missing))
        room(store.folder, needed)
        ready = runtime()
        report(
            event="plan",
            pictures=len(missing),
            bytes=needed,
            views=any(shots[k].view for k in missing),
            **_pace(source, ready, [shots[k] for k in missing]),
        )
        _pass(source, store, ready, [(k, shots[k]) for k in missing], report, jobs)


def _pass(
    source: Fill, store: Store, ready: Runtime, todo: list[tuple[bytes, Shot]], report: Report, jobs: int
) -> None:
    keys: list[bytes] = []
    arrays: list[list[np.ndarray]] = []
    start, done, due = time.perf_counter(), 0, min(COMMIT_ROWS, max(1, COMMIT_BYTES // store.disk_bytes(1)))
    waiting: deque[bytes] = deque()
    with ThreadPoolExecutor(jobs) as pool:
        for outputs in ready.stream(_batches(_decoded(source, store, todo, pool, jobs), waiting)):
            keys += [waiting.popleft() for _ in range(len(outputs[0]))]
            arrays.append(outputs)
            if len(keys) >= due:
                done += _commit(store, keys, arrays)
                report(event="progress", done=done, total=len(todo), seconds=time.perf_counter() - start)
    _commit(store, keys, arrays)
    report(event="progress", done=len(todo), total=len(todo), seconds=time.perf_counter() - start)


def _commit(store: Store, keys: list[bytes], arrays: list[list[np.ndarray]]) -> int:
    count = len(keys)
    if count:
        store.write(keys, [np.concatenate(tensor) for tensor in zip(*arrays)])
    keys.clear()
    arrays.clear()
    return count


def _decoded(
    source: Fill, store: Store, todo: list[tuple[bytes, Shot]], pool: ThreadPoolExecutor, jobs: int
) -> Iterator[tuple[bytes, np.ndarray]]:
    """Decode in threads, a few batches ahead, in order; what cannot be read is recorded and skipped."""
    ahead: deque[tuple[bytes, Future]] = deque()
    rest = iter(todo)
    while True:
        for picture, shot in islice(rest, 4 * jobs * BATCH - len(ahead)):
            ahead.append((picture, pool.submit(source.load, shot)))
        if not ahead:
            return
        picture, future = ahead.popleft()
        try:
            yield picture, future.result()
        except PictureError as error:
            store.fail(picture, str(error))


def _batches(decoded: Iterator[tuple[bytes, np.ndarray]], waiting: deque[bytes]) -> Iterator[np.ndarray]:
    while batch := list(islice(decoded, BATCH)):
        waiting.extend(picture for picture, _ in batch)
        yield np.stack([pixels for _, pixels in batch])


def _pace(source: Fill, ready: Runtime, missing: list[Shot]) -> dict[str, float]:
    """Seconds that the fill will take, measured on blank pixels and the first picture; short ones are not worth it."""
    if len(missing) < 20 * COMMIT_ROWS:
        return {}
    side = source.trunk.fit.size
    blanks = [np.zeros((BATCH, *side, 3), np.uint8)] * (ready.trial // BATCH)
    list(ready.stream(iter(blanks)))
    start = time.perf_counter()
    list(ready.stream(iter(blanks)))
    trunk_seconds = (time.perf_counter() - start) / ready.trial
    start = time.perf_counter()
    for shot in missing[:4]:
        try:
            source.load(shot)
        except PictureError:
            continue
    decode_seconds = (time.perf_counter() - start) / 4 / machine.jobs()
    together = max if ready.beside else sum
    return {"seconds": len(missing) * together((trunk_seconds, decode_seconds))}
