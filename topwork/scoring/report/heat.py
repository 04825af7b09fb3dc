"""Heat maps: where in a picture the answer comes from.

If a linear head reads the average of a map, the logit of a class is the average of a map of logits, so this map shows
exactly where the logit comes from (the class activation map; Zhou et al. 2016, CVPR, arXiv:1512.04150). The trunk runs
once more for the few pictures that are shown, from its converted file, cut before the average.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from topwork.cut import POOL
from topwork.data.dataset import Dataset, Row
from topwork.errors import DatasetError, PictureError
from topwork.networks.heads import LinearHead
from topwork.runs.folder import Folder
from topwork.runs.restore import endings
from topwork.scoring.report.thumbnails import SIDE, Thumbnail, of_pixels
from topwork.store.request import Request
from topwork.store.runtimes import openvino as converted

MOST = 40
"""For at most this many pictures, the trunk runs once more."""

COLOUR = np.array([255, 90, 0], np.float32)
"""The colour of what speaks for the answer."""


def lacking(folder: Folder) -> str:
    """Return why a run has no heat maps; empty if it has."""
    recipe = folder.recipe
    if recipe.join:
        return "The answers are joined from several runs."
    terms, head = recipe.phases[-1].terms, recipe.head
    if len(terms) != 1 or terms[0].end != POOL or head.file or head.kind != "linear":
        return "There are heat maps for a linear head on one averaged map only."
    if terms[0].place != POOL:
        return "There are heat maps only if the whole network below the head is frozen."
    if not _request(folder, folder.data()).trunk.converted.is_file():
        return "The network is not converted for OpenVINO on this machine."
    return ""


def maps(folder: Folder, data: Dataset, wanted: Mapping[str, str]) -> dict[str, Thumbnail]:
    """Return path -> the picture as the network sees it, with what speaks for the answer in colour.

    Args:
        folder: a finished run for which `lacking` is empty.
        data: its pictures, where they are now.
        wanted: path -> the class whose logit is shown. At most `MOST` are used.
    """
    request = _request(folder, data)
    compiled, axes = _before_the_average(request)
    if compiled is None:
        return {}
    head, classes = LinearHead.of(folder.weights()), folder.data().classes
    rows = {row.path: row for row in data.rows}
    found = {}
    for path, label in list(wanted.items())[:MOST]:
        pixels = _pixels(request, rows[path]) if path in rows else None
        if pixels is not None:
            (features,) = compiled(pixels[None]).values()
            logits = _logits(head, np.moveaxis(features, list(axes), [1, 2])[0], classes.index(label))
            found[path] = of_pixels(overlaid(pixels, logits))
    return found


def overlaid(pixels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Return a grey picture in which what speaks for the answer is coloured: uint8 ``[SIDE, SIDE, 3]``.

    Args:
        pixels: uint8 ``[height, width, 3]``.
        logits: float ``[rows, columns]``: what each place adds to the logit.
    """
    grey = Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    base = np.repeat(np.asarray(grey, np.float32)[..., None], 3, 2)
    share = np.clip(logits, 0, None) / max(float(logits.max()), 1e-6)
    wide = Image.fromarray(share.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    weight = 0.65 * np.clip(np.asarray(wide), 0, 1)[..., None]
    return (base * (1 - weight) + COLOUR * weight).astype(np.uint8)


def _request(folder: Folder, data: Dataset) -> Request:
    (step,) = endings(folder)
    (request,) = step.exact(data)
    return request


def _before_the_average(request: Request) -> tuple[Any, Sequence[int]]:
    """Return the trunk up to the map that it averages, compiled, and the axes of height and width; or ``None``."""
    import openvino

    model = converted.read(request.trunk.converted)
    node = model.outputs[0].get_node()
    for _ in range(6):  # a change of the dtype or of the shape may follow the average
        if node.get_type_name() in ("ReduceMean", "AvgPool") or not node.inputs():
            break
        node = node.input_value(0).get_node()
    if node.get_type_name() != "ReduceMean":
        return None, ()
    axes = [int(axis) for axis in node.input_value(1).get_node().get_data().ravel()]
    cut = openvino.Model([node.input_value(0)], model.get_parameters(), "map")
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(cut, "CPU", options), axes


def _pixels(request: Request, row: Row) -> np.ndarray | None:
    try:
        return request.load(request.shots_of(row)[0])
    except (PictureError, DatasetError):
        return None


def _logits(head: LinearHead, features: np.ndarray, number: int) -> np.ndarray:
    """Return what each place adds to the logit of a class, beyond the mean of all classes: ``[rows, columns]``."""
    places = features.reshape(-1, features.shape[-1])
    logits = head.logits(places)
    return (logits[:, number] - logits.mean(1)).reshape(features.shape[:2])
