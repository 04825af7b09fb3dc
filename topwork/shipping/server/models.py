"""The models of a server, and the threads that answer."""

import asyncio
import base64
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from topwork.errors import UsageError
from topwork.shipping.heat import Heat
from topwork.shipping.metadata import file_of
from topwork.shipping.predictor import Pictures, Predictor
from topwork.system.machine import jobs


class Model:
    """An exported file that several threads ask.

    If its runtime answers one thread at a time, each thread has a session of its own; all are opened at the start.

    Args:
        path: the file, or a run.
        max_megapixels: pictures with more megapixels are not read.

    Raises:
        ExportError, MissingExtra: as in `Predictor`.
    """

    def __init__(self, path: Path, max_megapixels: float) -> None:
        self.path = file_of(path)
        self.name = (path if path.is_dir() else self.path.with_suffix("")).resolve().name
        self.first = Predictor(self.path, max_megapixels, threads=1)
        self.about = self.first.about
        self._free: SimpleQueue[Predictor] = SimpleQueue()
        if not self.first.is_shared:
            others = (Predictor(self.path, max_megapixels, threads=1) for _ in range(jobs() - 1))
            for one in (self.first, *others):
                self._free.put(one)

    @contextmanager
    def lent(self) -> Iterator[Predictor]:
        """Lend a predictor to a thread for the time of the ``with``."""
        if self.first.is_shared:
            yield self.first
            return
        found = self._free.get()
        try:
            yield found
        finally:
            self._free.put(found)

    def described(self) -> dict[str, Any]:
        """Return what ``GET /models`` says of the model."""
        about = self.about
        return {
            "model": self.name,
            "labels": list(self.first.labels),
            "pictures": list(self.first.columns),
            "distance": about.get("distance"),
            "accuracy": (about.get("scores") or {}).get("accuracy"),
            "training": {"pictures": (about.get("training") or {}).get("pictures")},
            "format": about.get("kind", "onnx"),
            "precision": about.get("precision", "float32"),
        } | ({"forced": about["forced"]} if about.get("forced") else {})


def opened(paths: Sequence[Path], max_megapixels: float) -> dict[str, Model]:
    """Open the files to serve, by name: that of the file without suffix, or of the run folder.

    Raises:
        UsageError: two of them have the same name.
    """
    found: dict[str, Model] = {}
    for path in paths:
        model = Model(path, max_megapixels)
        if model.name in found:
            raise UsageError(
                f"{str(found[model.name].path)!r} and {str(model.path)!r} would both be served as {model.name!r}: "
                "rename one."
            )
        found[model.name] = model
    return found


@dataclass(frozen=True)
class Asked:
    """One row of pictures to classify.

    Args:
        name: the ``path`` of the answer.
        row: the bytes of the picture; or, if the model takes several, a mapping from column to bytes.
    """

    name: str
    row: Pictures


class Workers:
    """Threads that decode and classify pictures, one picture at a time in each.

    On two cores, one thread per core without batches served more pictures than batches did (docs/log.md).
    """

    def __init__(self) -> None:
        self.count = jobs()
        self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="answer")

    async def answers(self, model: Model, rows: Sequence[Asked], heat: bool) -> list[dict[str, Any]]:
        """Return the JSON object of each row, in order."""
        loop = asyncio.get_running_loop()
        waiting = [loop.run_in_executor(self._pool, _answered, model, row, heat) for row in rows]
        try:
            return list(await asyncio.gather(*waiting))
        except asyncio.CancelledError:
            for one in waiting:
                one.cancel()
            raise

    def close(self) -> None:
        """Finish what is running."""
        self._pool.shutdown(cancel_futures=True)


def _answered(model: Model, asked: Asked, heat: bool) -> dict[str, Any]:
    with model.lent() as predictor:
        answer = predictor.answer(asked.row, asked.name)
        found = predictor.guess(answer).as_json()
        if answer.error:
            found["error"] = answer.error.partition("; to read it anyway")[0]  # that advice is for the command line
        if heat and not answer.error:
            found["heat"] = [_shown(one) for one in predictor.explain(answer)]
    return found


def _shown(heat: Heat) -> dict[str, Any]:
    file = BytesIO()
    heat.image().save(file, "JPEG", quality=85)
    uri = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    return {"picture": heat.picture, "label": heat.label, "method": heat.method, "image": uri}
