"""Heat maps of a report: what in the shown pictures speaks for their answers (`topwork.scoring.plots.heat`).

The network runs once more for the few pictures that are shown: a frozen one from its converted file, cut before the
average, and any other one in Keras.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from topwork.cut import POOL
from topwork.data.dataset import Dataset, Row
from topwork.data.pictures import load
from topwork.errors import DatasetError, PictureError
from topwork.networks.heads import LinearHead
from topwork.networks.model import Input
from topwork.networks.outputs.complete import complete
from topwork.networks.outputs.names import MAP, PROBABILITIES
from topwork.runs.folder import Folder
from topwork.runs.restore import endings, restore
from topwork.scoring.plots.heat import beyond_mean, occluded, overlaid
from topwork.scoring.report.thumbnails import SIDE, Thumbnail, of_pixels
from topwork.store.request import Request
from topwork.store.runtimes import openvino as converted
from topwork.system import keras_settings

EXACT = "The grey picture beside each shows, in orange, the places that speak for the answer, as the network sees it."
COVERED = (
    "The grey picture beside the first few shows, in orange, the places that speak for the answer: parts of the "
    "picture were covered in turn, and the answer became less likely (occlusion)."
)

MOST = {EXACT: 40, COVERED: 8}
"""For at most this many pictures, the network runs again: once, or once for each part that is covered."""


@dataclass(frozen=True)
class Explainer:
    """Makes heat maps with the network of a run.

    Args:
        inputs: of the network.
        values: takes the pixels for each input, and the position of a class; returns float ``[rows, columns]``.
        how: the sentence on the page.
    """

    inputs: Sequence[Input]
    values: Callable[[list[np.ndarray], int], np.ndarray]
    how: str


def maps(
    folder: Folder, data: Dataset, wanted: Mapping[str, str], pictures: Mapping[str, Thumbnail]
) -> tuple[dict[str, Thumbnail], str]:
    """Return path -> the picture in grey, with what speaks for the answer in colour; and a sentence on how.

    A picture that is squashed to a square for the network gets its shape back. Others are shown as the network sees
    them. If a row has several pictures, it is the first.

    Args:
        folder: a finished run.
        data: its pictures, where they are now.
        wanted: path -> the class for which places speak.
        pictures: path -> thumbnail, for the shape of the picture.
    """
    rows = {row.path: row for row in data.rows if row.path in wanted}
    kept = folder.sample()
    there = {path: row for path, row in rows.items() if path in kept or _is_there(data, row)}
    if not there:
        return {}, ""
    network, classes = _frozen(folder, data) or _in_keras(folder, data), folder.data().classes
    found = {}
    for path in [path for path in wanted if path in there][: MOST[network.how]]:
        if not (pixels := _seen(data, there[path], kept, network.inputs)):
            continue
        values = network.values(pixels, classes.index(wanted[path]))
        is_squashed = network.inputs[0][1].fit == "squash" and path in pictures
        size = (pictures[path].width, pictures[path].height) if is_squashed else (SIDE, SIDE)
        found[path] = of_pixels(overlaid(pixels[0], values, size))
    return found, network.how if found else ""


def _frozen(folder: Folder, data: Dataset) -> Explainer | None:
    """Return the converted trunk up to the map that it averages, if a linear head reads the average.

    ``None`` if it is another network, or if this machine has no such file.
    """
    recipe = folder.recipe
    if recipe.join or len(recipe.phases[-1].terms) != 1 or recipe.head.file or recipe.head.kind != "linear":
        return None
    request = _request(folder, data)
    if request.term.place != POOL or not request.trunk.converted.is_file():
        return None
    import openvino

    model = converted.read(request.trunk.converted)
    node = model.outputs[0].get_node()
    for _ in range(6):  # a change of the dtype or of the shape may follow the average
        if node.get_type_name() in ("ReduceMean", "AvgPool") or not node.inputs():
            break
        node = node.input_value(0).get_node()
    if node.get_type_name() != "ReduceMean":
        return None
    axes = [int(axis) for axis in node.input_value(1).get_node().get_data().ravel()]
    cut = openvino.Model([node.input_value(0)], model.get_parameters(), "map")
    compiled = openvino.Core().compile_model(cut, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    head = LinearHead.of(folder.weights())

    def values(pixels: list[np.ndarray], number: int) -> np.ndarray:
        places = np.moveaxis(compiled(pixels[0][None])[0], axes, [1, 2])[0]
        logits = head.logits(places.reshape(-1, places.shape[-1]))
        return beyond_mean(logits.reshape(*places.shape[:2], -1), number)

    return Explainer([(None, request.trunk.fit)], values, EXACT)


def _in_keras(folder: Folder, data: Dataset) -> Explainer:
    keras_settings.import_keras()
    network = restore(folder)
    model = complete(network, None)
    inputs, first = network.inputs, data.columns[0]

    def ask(pixels: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        found = model.predict_on_batch(list(pixels) if len(pixels) > 1 else pixels[0])
        return {name: np.asarray(values, np.float32) for name, values in found.items()}

    def exact(pixels: list[np.ndarray], number: int) -> np.ndarray:
        return beyond_mean(ask([one[None] for one in pixels])[MAP][0], number)

    def covered(pixels: list[np.ndarray], number: int) -> np.ndarray:
        seen = [place for place, (column, _) in enumerate(inputs) if column in (None, first)]
        return occluded(pixels, seen, lambda some: ask(some)[PROBABILITIES], number)

    return Explainer(inputs, *((exact, EXACT) if MAP in model.output else (covered, COVERED)))


def _request(folder: Folder, data: Dataset) -> Request:
    (step,) = endings(folder)
    (request,) = step.exact(data)
    return request


def _is_there(data: Dataset, row: Row) -> bool:
    return data.pixels is not None or (bool(data.root) and Path(data.root, row.pictures[0][0]).is_file())


def _seen(data: Dataset, row: Row, kept: Mapping[str, np.ndarray], inputs: Sequence[Input]) -> list[np.ndarray] | None:
    """Return the pixels of a row for each input; ``None`` if a picture cannot be read."""
    own = dict(zip(data.columns, (path for path, _ in row.pictures)))
    try:
        files = [own[column or data.columns[0]] for column, _ in inputs]
        return [load(kept[path] if path in kept else data.picture(path), fit) for path, (_, fit) in zip(files, inputs)]
    except (PictureError, DatasetError, OSError):
        return None
