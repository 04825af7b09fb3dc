"""The models of a server, and the threads that answer."""

import asyncio
import base64
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from topwork.errors import UsageError
from topwork.shipping.answers import Answer
from topwork.shipping.heat import Heat
from topwork.shipping.predictor import Pictures, Predictor
from topwork.system.machine import jobs

SHARED = "onnx"
"""The format whose runtime answers in several threads at once; of any other, each thread opens its own file."""


class Model:
    """An exported file that several threads ask.

    Args:
        path: the file, or a run.
        max_megapixels: pictures with more megapixels are not read.

    Raises:
        ExportError, MissingExtra: as in `Predictor`.
    """

    def __init__(self, path: Path, max_megapixels: float) -> None:
        self.path, self.stem = path, path.stem
        self._open = partial(Predictor, path, max_megapixels, threads=1)
        self.first = self._open()
        self._own = threading.local()

    @property
    def about(self) -> dict[str, Any]:
        """The file's metadata."""
        return self.first.about

    @property
    def predictor(self) -> Predictor:
        """The predictor of this thread."""
        if self.about.get("kind", SHARED) == SHARED:
            return self.first
        if not hasattr(self._own, "predictor"):
            self._own.predictor = self._open()
        found: Predictor = self._own.predictor
        return found

    def described(self) -> dict[str, Any]:
        """Return what ``GET /models`` says of the model."""
        about = self.about
        return {
            "model": self.stem,
            "labels": list(self.first.labels),
            "pictures": list(self.first.columns),
            "distance": about.get("distance"),
            "accuracy": (about.get("scores") or {}).get("accuracy"),
            "format": about.get("kind", SHARED),
            "precision": about.get("precision", "float32"),
        } | ({"forced": about["forced"]} if about.get("forced") else {})


def opened(paths: Sequence[Path], max_megapixels: float) -> dict[str, Model]:
    """Open the files to serve, by their names without suffix.

    Raises:
        UsageError: two files have the same name without suffix.
    """
    found: dict[str, Model] = {}
    for path in paths:
        if path.stem in found:
            raise UsageError(
                f"{str(found[path.stem].path)!r} and {str(path)!r} would both be served as {path.stem!r}: rename one."
            )
        found[path.stem] = Model(path, max_megapixels)
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
    predictor = model.predictor
    answer: Answer = predictor.answer(asked.row, asked.name)
    found = predictor.guess(answer).as_json()
    if heat and not answer.error:
        found["heat"] = [_shown(one) for one in predictor.explain(answer)]
    return found


def _shown(heat: Heat) -> dict[str, Any]:
    file = BytesIO()
    heat.image().save(file, "JPEG", quality=85)
    uri = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    return {"picture": heat.picture, "label": heat.label, "method": heat.method, "image": uri}
