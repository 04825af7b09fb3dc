"""The metadata and inputs of an exported file.

The file is an ONNX model. Its input ``pixels`` is uint8 ``[batch, height, width, 3]``, RGB. If the model takes several
pictures per row, sizes or resize rules, it has one input for each combination: ``pixels_1``, ``pixels_2`` and so on.
Its output ``probabilities`` is float32 ``[batch, classes]``. The metadata key ``topwork`` holds JSON:

    format      1
    labels      the classes, in the order of the output's columns: sorted by value if they are numbers, else as text
    inputs      for each input of the model
        name        as above
        picture     the column of the picture that this input takes; null if a row is one picture
        size        [height, width]
        fit         "squash" | "crop" | "pad", and
        resample    "bilinear" | "nearest": how pictures are resized to that size
        rule        the id of size, fit, resample and the version of the rule (`topwork.data.pictures.Fit.id`)

The JSON also describes the origin of the model: cut, backbones with their licences, scores and versions. For a join, it
has the rule, as ``join``, and the cut and the backbones (with licences) of each of its ``members``.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topwork.data.pictures import Fit
from topwork.errors import ExportError, RecipeError
from topwork.runs.folder import folds_in, model_of
from topwork.shipping import exported
from topwork.system.advice import either
from topwork.system.machine import jobs
from topwork.version import FILE_FORMAT, VERSION

KEY = "topwork"
"""The metadata key of an exported file."""
_EXPECTED = "expected an ONNX file that topwork exported."


@dataclass(frozen=True)
class Input:
    """One input of the model.

    Args:
        name: as in the ONNX file.
        picture: the column of the picture that the input takes; ``None`` if a row is one picture.
        fit: how this picture is resized.
    """

    name: str
    picture: str | None
    fit: Fit

    def as_json(self) -> dict[str, Any]:
        """Return the entry of this input in the metadata."""
        fit = self.fit
        how = {"size": list(fit.size), "fit": fit.fit, "resample": fit.resample, "rule": fit.id}
        return {"name": self.name, "picture": self.picture, **how}


def opened(path: Path) -> tuple[Any, dict[str, Any], tuple[Input, ...]]:
    """Open an exported file; of a run folder, the newest file that the run was exported to.

    Returns:
        Three things: an `onnxruntime.InferenceSession`, the metadata, and the inputs of the model.

    Raises:
        ExportError: the file is missing, damaged, not exported by topwork, or of a newer version.
    """
    if (path / "recipe.toml").exists() or folds_in(path):
        path = _newest(model_of(path))
    _refuse(path)
    session = _session(path)
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        raise ExportError(
            f"{str(path)!r} is an ONNX model without labels and resize rule (no metadata key {KEY!r}): {_EXPECTED}"
        )
    try:
        about = json.loads(text)
        if about["format"] > FILE_FORMAT:
            raise ExportError(
                f"{str(path)!r} has format {about['format']}, and topwork {VERSION} reads up to {FILE_FORMAT}: "
                "pip install --upgrade topwork."
            )
        inputs = tuple(_input(entry, path) for entry in about["inputs"])
        has_all = {one.name for one in inputs} == {one.name for one in session.get_inputs()}
        # `picture` must be set for all inputs, or for none
        is_whole = bool(about["labels"]) and has_all and len({one.picture is None for one in inputs}) == 1
    except (ValueError, TypeError, KeyError):
        is_whole = False
    if not is_whole:
        raise ExportError(f"the metadata of {str(path)!r} are damaged: export the run again.")
    return session, about, inputs


def _newest(run: Path) -> Path:
    found = exported.newest(run)
    if found is None:
        way = either(f"topwork.Run({str(run)!r}).export('model.onnx')", f"topwork export {run} model.onnx")
        raise ExportError(f"{str(run)!r} is a run folder without an exported file; export it: {way}")
    return found


def _refuse(path: Path) -> None:
    if path.is_dir():
        raise ExportError(f"{str(path)!r} is a folder: {_EXPECTED}")
    if not path.exists():
        raise ExportError(f"no file {str(path)!r}: {_EXPECTED}")


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = jobs()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base class except Exception
        reason = str(error).split("failed:")[-1].strip().rstrip(".")
        raise ExportError(f"onnxruntime cannot load {str(path)!r} ({reason}): {_EXPECTED}") from None


def _input(entry: dict[str, Any], path: Path) -> Input:
    try:
        fit = Fit(tuple(entry["size"]), entry["fit"], entry["resample"])
    except RecipeError:
        fit = None
    if fit is None or fit.id != entry["rule"]:
        raise ExportError(
            f"{str(path)!r} resizes pictures by the rule {entry['rule']!r}, which topwork {VERSION} does not know: "
            "pip install --upgrade topwork, or export the run again."
        )
    return Input(entry["name"], entry["picture"], fit)
