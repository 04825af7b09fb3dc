"""Answers of an exported file, from a picture's bytes on: onnxruntime, NumPy and Pillow, and nothing of Keras.

The file is an ONNX model. Input ``pixels``: uint8 ``[batch, height, width, 3]``, RGB. Output ``probabilities``: float32
``[batch, classes]``. Its metadata key ``topwork`` holds JSON:

    format      1
    labels      the classes, in the order of the output's columns
    size        [height, width] of ``pixels``
    fit         "squash" | "crop" | "pad", and
    resample    "bilinear" | "nearest": how pictures come to that size
    rule        the id of all that, with the version of the rule (`topwork.pictures.Fit.id`)

and what it was made of: cut, backbones with their licences, scores, versions.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from topwork.errors import DatasetError, ExportError, PictureError, RecipeError, UsageError
from topwork.pictures import Fit, decode, fit_array
from topwork.runtimes import jobs
from topwork.version import FORMAT, VERSION

Picture = str | Path | bytes | np.ndarray

KEY = "topwork"
"""The metadata key of an exported file."""
BATCH = 16
"""Pictures in one pass through the network; at most twice as many are held decoded."""
_EXPECTED = "expected an ONNX file that 'topwork export' wrote."
_NEEDED = ("labels", "size", "fit", "resample", "rule")


@dataclass(frozen=True)
class Guess:
    """What the model says of one picture.

    Args:
        path: the path as it was given; ``"pictures[3]"`` for bytes and arrays.
        label: the most probable class; ``""`` where the picture cannot be read.
        probability: of that class.
        probabilities: of every class, in the model's order.
        error: why the picture cannot be read, else ``None``.
    """

    path: str
    label: str
    probability: float
    probabilities: dict[str, float]
    error: str | None = None


class Predictor:
    """An exported model, ready to answer.

    Args:
        path: an ONNX file that topwork exported.

    Raises:
        ExportError: no file, none of ours, or of a version that this one cannot read.

    Example:
        >>> predictor = Predictor("flowers.onnx")                # doctest: +SKIP
        >>> for guess in predictor(["rose.jpg", "tulip.jpg"]):   # doctest: +SKIP
        ...     print(guess.path, guess.label, guess.probability)
    """

    labels: tuple[str, ...]
    """The classes, in the order of the probabilities."""
    fit: Fit
    """How pictures are brought to the model's size."""
    about: dict[str, Any]
    """The file's metadata: labels, size, rule, cut, backbones, scores, versions."""

    def __init__(self, path: str | Path) -> None:
        self._session = _session(Path(path))
        self.about = _about(self._session, path)
        self.labels = tuple(self.about["labels"])
        self.fit = _fit(self.about, path)

    def __call__(self, pictures: Iterable[Picture]) -> Iterator[Guess]:
        """Answer for each picture, in order, while later ones are read; at most a few batches are held in memory.

        A picture that cannot be read gives a guess with its ``error`` and stops nothing.

        Args:
            pictures: paths, bytes of picture files, or uint8 arrays ``[h, w]``, ``[h, w, 1 | 3 | 4]`` of any size; or
                many of one size in one array ``[n, h, w]``, ``[n, h, w, 1 | 3 | 4]``.

        Raises:
            UsageError: one picture instead of several.
        """
        if _is_one(pictures):
            raise UsageError("expected several pictures, got one: put it in a list, as in predictor([picture]).")
        return self._guesses(pictures)

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """The network alone, on pixels that have its size.

        Args:
            pixels: uint8 ``[n, height, width, 3]``, RGB.

        Returns:
            float32 ``[n, classes]``.

        Raises:
            DatasetError: another dtype or shape.
        """
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (*self.fit.size, 3):
            expected = ", ".join(map(str, ("n", *self.fit.size, 3)))
            given = f"{pixels.dtype} {list(pixels.shape)}"
            raise DatasetError(f"{given} are no pixels for this model: expected uint8 [{expected}].")
        batches = (pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH))
        answers = [self._session.run(["probabilities"], {"pixels": batch})[0] for batch in batches]
        return np.concatenate([np.zeros((0, len(self.labels)), np.float32), *answers])

    def _guesses(self, pictures: Iterable[Picture]) -> Iterator[Guess]:
        """Two batches are under way: while one is in the network, the other is read."""
        pool = ThreadPoolExecutor(jobs())
        waiting: deque[list[tuple[str, Future]]] = deque()
        try:
            for batch in _batches(pictures):
                waiting.append([(name, pool.submit(_pixels, picture, self.fit)) for name, picture in batch])
                if len(waiting) > 1:
                    yield from self._answers(waiting.popleft())
            while waiting:
                yield from self._answers(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _answers(self, batch: list[tuple[str, Future]]) -> Iterator[Guess]:
        read = [(name, future.result()) for name, future in batch]
        pixels = [result for _, result in read if not isinstance(result, str)]
        rows = iter(self.probabilities(np.stack(pixels)) if pixels else ())
        for name, result in read:
            yield Guess(name, "", 0.0, {}, result) if isinstance(result, str) else self._guess(name, next(rows))

    def _guess(self, name: str, row: np.ndarray) -> Guess:
        best = int(row.argmax())
        return Guess(name, self.labels[best], float(row[best]), dict(zip(self.labels, row.tolist())))


def expand(paths: Iterable[str | Path]) -> list[str]:
    """Paths with each folder replaced by the pictures below it, sorted; hidden files are skipped.

    A path that is no folder stays as it is, whatever its name.

    Raises:
        DatasetError: folders in which there is no picture, and nothing else.
    """
    from topwork.readers import walk

    given = list(paths)
    found = [picture for path in given for picture in (walk(path) if Path(path).is_dir() else [str(path)])]
    if given and not found:
        raise DatasetError(f"no picture in {', '.join(repr(str(path)) for path in given)}, nor anywhere below.")
    return found


def _session(path: Path) -> Any:
    import onnxruntime

    _refuse(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = jobs()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no class below Exception
        reason = str(error).split("failed:")[-1].strip().rstrip(".")
        raise ExportError(f"onnxruntime cannot load {str(path)!r} ({reason}): {_EXPECTED}") from None


def _refuse(path: Path) -> None:
    if (path / "recipe.toml").exists():
        raise ExportError(f"{str(path)!r} is a run folder; export it first: topwork export {path} model.onnx")
    if path.is_dir():
        raise ExportError(f"{str(path)!r} is a folder: {_EXPECTED}")
    if not path.exists():
        raise ExportError(f"no file {str(path)!r}: {_EXPECTED}")


def _about(session: Any, path: str | Path) -> dict[str, Any]:
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        raise ExportError(
            f"{str(path)!r} is an ONNX model, but without labels and resize rule (no metadata key {KEY!r}): {_EXPECTED}"
        )
    try:
        about = json.loads(text)
        if about["format"] <= FORMAT:
            return {key: about[key] for key in _NEEDED} | about
    except (ValueError, TypeError, KeyError):
        raise ExportError(f"the metadata of {str(path)!r} are damaged: export the run again.") from None
    raise ExportError(
        f"{str(path)!r} has format {about['format']}, and topwork {VERSION} reads up to {FORMAT}: "
        "pip install --upgrade topwork."
    )


def _fit(about: dict[str, Any], path: str | Path) -> Fit:
    try:
        fit = Fit(tuple(about["size"]), about["fit"], about["resample"])
    except RecipeError:
        fit = None
    if fit is None or fit.id != about["rule"]:
        raise ExportError(
            f"{str(path)!r} resizes pictures by the rule {about['rule']!r}, which topwork {VERSION} does not know: "
            "pip install --upgrade topwork, or export the run again."
        )
    return fit


def _is_one(pictures: Any) -> bool:
    if not isinstance(pictures, np.ndarray):
        return isinstance(pictures, str | bytes | Path)
    return pictures.ndim < 3 or (pictures.ndim == 3 and pictures.shape[2] in (1, 3, 4))


def _batches(pictures: Iterable[Picture]) -> Iterator[list[tuple[str, Picture]]]:
    named = ((_name(i, picture), picture) for i, picture in enumerate(pictures))
    while batch := list(islice(named, BATCH)):
        yield batch


def _name(i: int, picture: Picture) -> str:
    return str(picture) if isinstance(picture, str | Path) else f"pictures[{i}]"


def _pixels(picture: Picture, fit: Fit) -> np.ndarray | str:
    """The pixels of a picture, or why there are none."""
    try:
        return fit_array(picture, fit) if isinstance(picture, np.ndarray) else decode(picture, fit)
    except PictureError as error:
        return str(error)
