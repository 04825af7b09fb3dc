"""The metadata and inputs of an exported file.

The input ``pixels`` of the model is uint8 ``[batch, height, width, 3]``, RGB. If the model takes several pictures per
row, sizes or resize rules, it has one input for each combination: ``pixels_1``, ``pixels_2`` and so on. Its outputs
are float32: ``probabilities`` ``[batch, classes]``; ``distance`` ``[batch]``, if the run has one; and ``map``
``[batch, rows, columns, classes]``, if the network has one: what each place adds to the logit of each class
(`topwork.networks.outputs.complete`). The metadata are JSON. An ONNX file has them under the key ``topwork``, and a
page in an element of its own. Beside other files stands a file of the same name with ``.json`` appended, and in the
folder of a SavedModel ``topwork.json``:

    format      2
    kind        the format of the file, as in "onnx"
    precision   "float32" | "float16" | "int8"
    labels      the classes, in the order of the output's columns: sorted by value if they are numbers, else as text
    inputs      for each input of the model
        name        as above
        picture     the column of the picture that this input takes; null if a row is one picture
        size        [height, width]
        fit         "squash" | "crop" | "pad", and
        resample    "bilinear" | "nearest": how pictures are resized to that size
        rule        the id of size, fit, resample and the version of the rule (`topwork.data.pictures.Fit.id`)
    distance    only with that output: the ``threshold`` up to which a picture is known, and the share of pictures of
                the trained classes that it accepts, as ``accepted``
    training    the number of pictures that were learned, and the SHA-256 of their sorted digests
    check       the answers of this file to drawn pictures (`topwork.shipping.checking.self_check`), and the runtime
                that gave them, as ``runtime``
    parity      how the answers of the file agreed with those of the model (`topwork.shipping.checking.gate.Parity`)
    files       the SHA-256 of the file and of those that belong to it; of an ONNX file, of what precedes the metadata;
                of a page, of all but the metadata
    seal        the SHA-256 of all the rest
    forced      only if the file was kept although it answers otherwise than the model: how

The JSON also describes the origin of the model: cut, backbones with their licences, scores and versions. For a join, it
has the rule, as ``join``, and the cut and the backbones (with licences) of each of its ``members``. Format 1, of ONNX
files alone, has no kind, precision, training, check, parity and seal.
"""

import json
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from topwork.data import picture_files
from topwork.data.pictures import Fit
from topwork.errors import ExportError, RecipeError
from topwork.networks.weights.files import sha256 as sha256_of
from topwork.runs.folder import folds_in, model_of
from topwork.shipping import exported, sessions
from topwork.shipping.formats import known
from topwork.shipping.formats.known import KEY, Format
from topwork.shipping.page import contents
from topwork.shipping.sessions import Session
from topwork.system.advice import either
from topwork.system.text import as_json
from topwork.version import FILE_FORMAT, VERSION

ENTRY = 24
"""The largest number of bytes before the text of the metadata in an ONNX file: two tags, the key and three lengths."""

_EXPECTED = "expected a file that topwork exported."


@dataclass(frozen=True)
class Input:
    """One input of the model.

    Args:
        name: as in the file.
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


def attach(found: Format, path: Path, about: dict[str, Any]) -> None:
    """Write the metadata of a file: into it if its format can hold them, else beside it."""
    if found.is_described:
        describe = import_module(f"topwork.shipping.formats.{found.name}").describe
        blank = "0" * 64  # of the same length as a digest, so that the next text begins at the same byte
        describe(path, text := as_json(about | {"files": {found.suffix: blank}, "seal": blank}))
        about = about | {"files": {found.suffix: _digest_without(text, found, path)}}
        describe(path, as_json(about | {"seal": seal(about)}))
    else:
        about = about | {"files": digests(found, path)}
        text = as_json(about | {"seal": seal(about)}, indent=1)
        found.about(path).write_text(f"{text}\n", encoding="utf-8")


def _digest_without(text: str, found: Format, path: Path) -> str:
    """Return the SHA-256 of a file without its metadata, whose text is *text*.

    In an ONNX file, protobuf writes them at the end. The entry begins at most `ENTRY` bytes before its text.
    """
    content = path.read_bytes()
    if found is known.PAGE:
        return sha256(contents.without_metadata(content)).hexdigest()
    return sha256(content[: max(0, content.rfind(text.encode()) - ENTRY)]).hexdigest()


def digests(found: Format, path: Path) -> dict[str, str]:
    """Return the SHA-256 of a file and of those that belong to it, without the metadata.

    The keys are suffixes; for a folder, the names of the files in it.
    """
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file() and file != found.about(path))
        return {file.relative_to(path).as_posix(): sha256_of(file) for file in inside}
    return {file.suffix: sha256_of(file) for file in (path, *(path.with_suffix(suffix) for suffix in found.beside))}


def opened(path: Path, threads: int | None = None) -> tuple[Session, dict[str, Any], tuple[Input, ...]]:
    """Open an exported file; of a run folder, the file that stands for the run (`exported.best`).

    Args:
        path: the file or the folder.
        threads: in which the network computes; by default, one for each processor.

    Returns:
        Three things: a session that answers, the metadata, and the inputs of the model.

    Raises:
        ExportError: the file is missing, damaged, not exported by topwork, or of a newer version.
        MissingExtra: the runtime of its format is not installed.
    """
    path = file_of(path)
    found = _format(path)
    if found.is_described:
        session = sessions.opened(found, path, threads)
        text = session.metadata  # type: ignore[attr-defined]
        if text is None:
            raise ExportError(
                f"{str(path)!r} is an ONNX model without labels and resize rule (no metadata key {KEY!r}): {_EXPECTED}"
            )
        about, inputs = _parsed(text, path)
        if "files" in about and about["files"] != {found.suffix: _digest_without(text, found, path)}:
            raise ExportError(f"{str(path)!r} was changed after it was written: export the run again.")
    else:
        about, inputs = _parsed(_beside(found, path), path)
        _check_files(found, path, about)
        session = sessions.opened(found, path, threads)
    has_all = {one.name for one in inputs} == set(session.names)
    if not has_all:
        raise _damaged(path)
    return session, about, inputs


def file_of(path: Path) -> Path:
    """Return the exported file that a path stands for: itself, or of a run folder, `exported.best`.

    Raises:
        ExportError: the run has no exported file.
    """
    return _best(model_of(path)) if (path / "recipe.toml").exists() or folds_in(path) else path


def _check_files(found: Format, path: Path, about: dict[str, Any]) -> None:
    """Refuse a file that is not the one that its metadata describe.

    Raises:
        ExportError: the file, or one that belongs to it, is missing or another one.
    """
    try:
        has = digests(found, path)
    except FileNotFoundError as error:
        raise ExportError(
            f"{str(path)!r} needs {str(error.filename)!r}, which is missing. Keep both files together, or export the "
            "run again."
        ) from None
    if has != about.get("files"):
        raise ExportError(
            f"{str(path)!r} is not the file that {str(found.about(path))!r} describes. Keep together what was exported "
            "together, or export the run again."
        )


def seal(about: dict[str, Any]) -> str:
    """Return the SHA-256 of metadata without their seal: it shows later that they were edited."""
    rest = {key: value for key, value in about.items() if key != "seal"}
    return sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _parsed(text: str, path: Path) -> tuple[dict[str, Any], tuple[Input, ...]]:
    try:
        about = json.loads(text)
        if about["format"] > FILE_FORMAT:
            raise ExportError(
                f"{str(path)!r} has format {about['format']}, and topwork {VERSION} reads up to {FILE_FORMAT}: "
                "pip install --upgrade topwork."
            )
        inputs = tuple(_input(entry, path) for entry in about["inputs"])
        labels = list(about["labels"])
        twice = [label for label, count in Counter(labels).items() if count > 1]
        # `picture` must be set for all inputs, or for none
        is_whole = bool(labels) and len({one.picture is None for one in inputs}) == 1
    except (ValueError, TypeError, KeyError):
        is_whole = False
    if not is_whole:
        raise _damaged(path)
    if about["format"] > 1 and about.get("seal") != seal(about):
        raise ExportError(
            f"the metadata of {str(path)!r} were changed after the file was written, so that its answers may get wrong "
            "labels: export the run again."
        )
    if twice:
        raise ExportError(f"the metadata of {str(path)!r} have the label {twice[0]!r} twice: export the run again.")
    return about, inputs


def _damaged(path: Path) -> ExportError:
    return ExportError(f"the metadata of {str(path)!r} are damaged: export the run again.")


def _format(path: Path) -> Format:
    """Return the format of a file that exists."""
    found = known.of_path(path)
    if path.is_dir() and found is None:
        raise ExportError(f"{str(path)!r} is a folder: {_EXPECTED}")
    if not path.exists():
        raise ExportError(f"no file {str(path)!r}: {_EXPECTED}")
    if found is None and _is_picture(path):
        raise ExportError(f"{str(path)!r} is a picture: name the model first, then the pictures.")
    return found or known.ONNX


def _is_picture(path: Path) -> bool:
    with path.open("rb") as file:
        return bool(picture_files.kind(file.read(32)))


def _beside(found: Format, path: Path) -> str:
    """Return the metadata that stand beside a file."""
    about = found.about(path)
    try:
        return about.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ExportError(
            f"{str(path)!r} needs {str(about)!r}, which has its labels and resize rule and cannot be read ({why}). "
            "Keep both files together, under the same name, or export the run again."
        ) from None


def _best(run: Path) -> Path:
    found = exported.best(run)
    if found is None:
        way = either(f"topwork.Run({str(run)!r}).export('model.onnx')", f"topwork export {run} model.onnx")
        raise ExportError(f"{str(run)!r} is a run folder without an exported file; export it: {way}")
    return found


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
