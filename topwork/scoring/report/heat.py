"""Heat maps: where in a picture the answer comes from.

If a linear head reads the average of a map, the logit of a class is the average of a map of logits, so this map shows
exactly where the logit comes from (the class activation map; Zhou et al. 2016, CVPR, arXiv:1512.04150). The network
runs once more for the few pictures that are shown: a frozen one from its converted file, cut before the average, and
one with trained layers in Keras.
"""

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from topwork.cut import POOL
from topwork.data.dataset import Dataset, Row
from topwork.errors import DatasetError, PictureError
from topwork.networks.heads import LinearHead
from topwork.runs.folder import Folder
from topwork.runs.restore import endings, restore
from topwork.scoring.report.thumbnails import SIDE, Thumbnail, of_pixels
from topwork.store.request import Request
from topwork.store.runtimes import openvino as converted
from topwork.system import keras_settings

MOST = 40
"""For at most this many pictures, the trunk runs once more."""

Network = Callable[[np.ndarray], np.ndarray]
"""Takes pixels, uint8 ``[side, side, 3]``, and returns the map that is averaged, float32 ``[rows, columns, d]``."""

COLOUR, DARKER = np.array([255, 90, 0], np.float32), 0.7
"""The colour of what speaks for the answer. The grey picture is darker, so that the colour shows on white."""


def unavailable(folder: Folder) -> str:
    """Return why a run has no heat maps; empty if it has."""
    recipe = folder.recipe
    if recipe.join:
        return "The answers are joined from several runs."
    terms, head = recipe.phases[-1].terms, recipe.head
    is_averaged = terms[0].end == POOL or head.pooling == "avg"
    if len(terms) != 1 or not is_averaged or head.file or head.kind != "linear":
        return "There are heat maps for a linear head on one averaged map only."
    return ""


def maps(
    folder: Folder, data: Dataset, wanted: Mapping[str, str], pictures: Mapping[str, Thumbnail]
) -> dict[str, Thumbnail]:
    """Return path -> the picture in grey, with what speaks for the answer in colour.

    A picture that is squashed to a square for the network gets its shape back. Others are shown as the network sees
    them.

    Args:
        folder: a finished run for which `unavailable` is empty.
        data: its pictures, where they are now.
        wanted: path -> the class whose logit is shown. At most `MOST` are used.
        pictures: path -> thumbnail, for the shape of the picture.
    """
    request = _request(folder, data)
    rows = {row.path: row for row in data.rows}
    shown = {path: _pixels(request, rows[path]) for path in list(wanted)[:MOST] if path in rows}
    there = {path: pixels for path, pixels in shown.items() if pixels is not None}
    network = (_frozen(request) or _trained(folder)) if there else None
    if not network:
        return {}
    head, classes = LinearHead.of(folder.weights()), folder.data().classes
    found = {}
    for path, pixels in there.items():
        logits = place_logits(head, network(pixels), classes.index(wanted[path]))
        is_squashed = request.trunk.fit.fit == "squash" and path in pictures
        size = (pictures[path].width, pictures[path].height) if is_squashed else (SIDE, SIDE)
        found[path] = of_pixels(overlaid(pixels, logits, size))
    return found


def overlaid(pixels: np.ndarray, logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a grey picture in which what speaks for the answer is coloured: uint8 ``[height, width, 3]``.

    Args:
        pixels: uint8 ``[height, width, 3]``.
        logits: float ``[rows, columns]``: what each place adds to the logit.
        size: width and height of the result.
    """
    grey = Image.fromarray(pixels).convert("L").resize(size, Image.Resampling.BILINEAR)
    base = np.repeat(DARKER * np.asarray(grey, np.float32)[..., None], 3, 2)
    share = np.clip(logits, 0, None) / max(float(logits.max()), 1e-6)
    wide = Image.fromarray(share.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    weight = 0.75 * np.clip(np.asarray(wide), 0, 1)[..., None]
    return (base * (1 - weight) + COLOUR * weight).astype(np.uint8)


def _request(folder: Folder, data: Dataset) -> Request:
    (step,) = endings(folder)
    (request,) = step.exact(data)
    return request


def _frozen(request: Request) -> Network | None:
    """Return the converted trunk up to the map that it averages; ``None`` if this machine has no such file."""
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
    return lambda pixels: np.moveaxis(compiled(pixels[None])[0], axes, [1, 2])[0]


def _trained(folder: Folder) -> Network | None:
    """Return the network of a run up to the map that it averages, in Keras; ``None`` if it averages several or none."""
    keras_settings.import_keras()
    import keras

    model = restore(folder).flat()
    averages = [layer for layer in model.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D)]
    if not averages or len(averages[-1].input.shape) != 4:
        return None
    cut = keras.Model(model.input, averages[-1].input)
    return lambda pixels: np.asarray(cut.predict_on_batch(pixels[None]), np.float32)[0]


def _pixels(request: Request, row: Row) -> np.ndarray | None:
    try:
        return request.load(request.shots_of(row)[0])
    except (PictureError, DatasetError):
        return None


def place_logits(head: LinearHead, features: np.ndarray, number: int) -> np.ndarray:
    """Return what each place adds to the logit of a class, beyond the mean of all classes.

    Args:
        head: the head.
        features: the map, float32 ``[rows, columns, features]``.
        number: the position of the class.

    Returns:
        float32 ``[rows, columns]``; its mean is the logit of the class minus the mean of all logits.
    """
    places = features.reshape(-1, features.shape[-1])
    logits = head.logits(places)
    return (logits[:, number] - logits.mean(1)).reshape(features.shape[:2])
