"""Export a run as one ONNX file from uint8 pixels to probabilities.

If the answers of the file differ from those of the trained model, no file is kept (law 5).
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from topwork.data.dataset import Dataset
from topwork.data.pictures import load
from topwork.errors import DatasetError, ExportError, PictureError
from topwork.networks.backbones import catalogue
from topwork.networks.fusion import Joined
from topwork.networks.model import Network
from topwork.runs.folder import Folder
from topwork.runs.moved_pictures import placed
from topwork.runs.restore import restore
from topwork.scoring.answers import checked
from topwork.scoring.metrics import Agreement, agreement
from topwork.shipping import exported
from topwork.shipping.formats.onnx import write_onnx
from topwork.shipping.metadata import Input
from topwork.shipping.predictor import Predictor
from topwork.system import gpu, keras_settings
from topwork.system.advice import either
from topwork.system.files import unusable, written_whole
from topwork.system.keras_settings import generators_kept
from topwork.system.messages import Bar
from topwork.version import FILE_FORMAT, VERSION

BOUND = 1e-4
"""The largest allowed difference of a probability.

If the model's two largest probabilities differ by more than this, the most probable class must be the same as well.
"""


@generators_kept()
def export(folder: Folder, path: Path, data: "str | Path | tuple | Dataset | None" = None) -> Predictor:
    """Write the model of a finished run as ONNX, and compare the file with the model on real picture files.

    Up to `CHECKED` existing pictures are used, first from the test part, then from the other parts.

    Args:
        folder: the run.
        path: the file to write, which must not exist.
        data: where the run's pictures are now, if they were moved. They are found by content; the run does not
            record the new place.

    Returns:
        A predictor that has opened the file.

    Raises:
        ExportError: *path* exists or cannot be written, Keras cannot write the model, or the answers of the file
            differ.
        MissingExtra: the package that Keras needs for an export is not installed.
    """
    if path.suffix.lower() != ".onnx":
        raise ExportError(
            f"{str(path)!r} does not end in '.onnx': the file is written as ONNX. Give it a name that ends in '.onnx'."
        )
    if path.exists():
        raise ExportError(f"{str(path)!r} exists already and is not overwritten. Choose another name, or remove it.")
    if wrong := unusable(path.parent):
        raise ExportError(f"cannot write {str(path)!r}: {wrong[0]}: {wrong[1]}. Choose another place.")
    rows = placed(folder, data)
    with Bar("writing and checking the file"):
        keras_settings.import_keras()
        network = restore(folder)
        model = network.flat()
        inputs = inputs_of(folder, network)
        pixels, sources = _pictures(folder, rows, inputs)
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as aside:
            made = aside.with_name("model.onnx")  # every backend's exporter accepts this name
            write_onnx(model, made, about(folder, inputs))
            with gpu.exact():
                said = model.predict(pixels if len(pixels) > 1 else pixels[0], verbose=0)
            found = check(said, made, sources)
            made.replace(aside)
    exported.note(folder.path, path, found, len(sources))
    return Predictor(path)


def check(expected: np.ndarray, file: Path, pictures: list[Any]) -> Agreement:
    """Compare the answers of an exported file with those of the model (the parity gate).

    The file's answers are computed from the picture files, with decoding and resizing.

    Args:
        expected: the model's probabilities, float ``[pictures, classes]``.
        file: the exported file.
        pictures: rows of paths or arrays, in the form that `Predictor` takes.

    Raises:
        ExportError: the answers differ by more than `BOUND`.
    """
    guesses = list(Predictor(file, inf)(pictures))
    answered = np.array([list(guess.probabilities.values()) for guess in guesses])
    found = agreement(expected, answered, BOUND)
    if found.largest_difference > BOUND or found.disagreements:
        raise ExportError(
            f"the exported file does not answer as the model does and was not kept: on {len(pictures)} pictures a "
            f"probability differs by {found.largest_difference:.2g} (at most {BOUND:g} was expected), and "
            f"{found.disagreements} of the answers are another class. Please report this with the backbone's name."
        )
    return found


def _pictures(folder: Folder, data: Dataset, inputs: Sequence[Input]) -> tuple[list[np.ndarray], list[Any]]:
    """Return real pictures of the run twice: one decoded array per input, and the rows of picture files."""
    kept = folder.sample()
    if data.root:
        there = tuple(row for row in data.rows if all(Path(data.root, path).is_file() for path, _ in row.pictures))
        data = replace(data, rows=there)
    pixels, sources = [], []
    for row in checked(data):
        files = [kept.get(path, Path(data.root, path)) for path, _ in row.pictures]
        named = dict(zip(data.columns, files))
        wanted = [named[entry.picture] if entry.picture else files[0] for entry in inputs]
        try:
            pixels.append([load(picture, entry.fit, inf) for picture, entry in zip(wanted, inputs)])
        except PictureError:
            continue
        sources.append(named if inputs[0].picture else files[0])
    if not sources:
        raise DatasetError(
            f"no picture of the run is where it was ({data.root or 'arrays'}): the file is checked on real pictures "
            "before it is written. Put them back, or say where they are: "
            + either("run.export(FILE, data=NEWPLACE)", f"topwork export {folder.path} FILE --data NEWPLACE")
        )
    return [np.stack(some) for some in zip(*pixels)], sources


def inputs_of(folder: Folder, network: Network | Joined) -> list[Input]:
    """Return the inputs of the model of a run."""
    wanted = network.inputs
    names = [f"pixels_{number}" for number in range(1, len(wanted) + 1)] if len(wanted) > 1 else ["pixels"]
    # if any term of the cut names a picture, terms that name none take the first column
    unnamed = folder.data().columns[0] if any(picture for picture, _ in wanted) else None
    return [Input(name, picture or unnamed, fit) for name, (picture, fit) in zip(names, wanted)]


def about(folder: Folder, inputs: Sequence[Input]) -> dict[str, Any]:
    """Return the metadata of the model of a run; see `topwork.shipping.metadata`."""
    accuracy = folder.results.accuracy if folder.is_finished else None
    folds = folder.results.folds if folder.is_finished else None
    join = folder.recipe.join
    networks = []
    for each in folder.members if join else [folder]:
        recipe = each.recipe
        backbones = {}
        for name, one in recipe.backbones.items():
            if one.model:
                licence = "your own"
            else:
                entry = catalogue.record(one.name)
                licence = f"{entry.licence} ({entry.licence_note})" if entry.licence_note else entry.licence
            backbones[name] = asdict(one) | {"licence": licence}
        networks.append({"cut": recipe.phases[-1].cut, "backbones": backbones})

    return {
        "format": FILE_FORMAT,
        "labels": list(folder.data().classes),
        "inputs": [one.as_json() for one in inputs],
        **({"join": join.rule, "members": networks} if join else networks[0]),
        "scores": {"accuracy": accuracy and accuracy.as_json()} | ({"folds": folds} if folds else {}),
        "versions": {"topwork": VERSION, **folder.environment["packages"]},
    }
