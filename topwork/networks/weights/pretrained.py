"""The file of a backbone's weights, and the text that identifies the weights in the keys of the store."""

import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from topwork.errors import BackboneError, RecipeError, WeightsError, nearest
from topwork.networks.backbones import builder, catalogue
from topwork.networks.weights import efficientnet_lite0, files, random_weights
from topwork.recipes.settings import WORDS, Backbone
from topwork.system.files import home, writing, written_whole


def weights_file(backbone: Backbone) -> Path | None:
    """Return the file of a backbone's weights; it is downloaded or made if it is missing.

    Returns:
        The path; ``None`` for your own network, because its weights are in the network's file.

    Raises:
        WeightsError: the file does not exist and cannot be downloaded.
    """
    if backbone.model:
        return None
    if backbone.weights == "random":
        return random_weights.weights_file(backbone)
    if backbone.weights != "imagenet":
        path = Path(backbone.weights)
        if not path.is_file():
            raise WeightsError(f"no weights file {str(path)!r}: expected 'imagenet', 'random', or the path of a file.")
        return path
    entry, side = catalogue.record(backbone.name), catalogue.size(backbone)
    path = entry.path(files.folder(), side)
    if entry.is_packaged:
        efficientnet_lite0.check(path)
        return path
    return path if path.is_file() else files.download(path, lambda: builder.source(entry, side), entry.name)


def path(backbone: Backbone) -> Path | None:
    """Return the path of a backbone's weights, whether it exists or not; ``None`` for random weights."""
    if backbone.model:
        return Path(backbone.model)
    if backbone.weights == "random":
        return None
    if backbone.weights != "imagenet":
        return Path(backbone.weights)
    return catalogue.record(backbone.name).path(files.folder(), catalogue.size(backbone))


def identity(backbone: Backbone) -> str:
    """Return the text that identifies a backbone's weights in the keys of the store.

    Keras is needed only if the file does not exist.

    Raises:
        WeightsError: the file does not exist and cannot be downloaded.
    """
    if backbone.model:
        path = Path(backbone.model)
        if not path.is_file():
            raise WeightsError(
                f"no file {str(path)!r}: backbones.{backbone.name}.model is the path of a .keras or .h5 file."
            )
        return files.sha256(path)
    if backbone.weights == "random":
        return random_weights.identity(backbone)
    return files.sha256(weights_file(backbone) or Path())


def is_at_hand(backbone: Backbone) -> bool:
    """Return whether the weights are on this machine or can be made without a download; nothing is downloaded."""
    file = path(backbone)
    return file is None or file.is_file()


def on_disk(backbone: Backbone) -> Backbone:
    """Return the backbone with absolute paths of its files; your own ``keras.Model`` is saved to a file.

    Raises:
        RecipeError: a file does not exist.
        BackboneError: your own model is not built.
    """
    paths = {"weights": "'imagenet', 'random', or the path of a file", "model": "the path of a .keras or .h5 file"}
    for key, expected in paths.items():
        word = getattr(backbone, key)
        names_file = word not in WORDS if key == "weights" else isinstance(word, str | Path)
        if not names_file:
            continue
        file = Path(str(word))
        if not file.is_file():
            where = f"backbones.{backbone.name}.{key}"
            hint = nearest(str(word), WORDS) if key == "weights" else ""
            raise RecipeError(f"{where} = {str(word)!r}: no such file; expected {expected}{hint or '.'}", where)
        option: dict[str, Any] = {key: str(file.absolute())}
        backbone = replace(backbone, **option)
    if backbone.model is None or isinstance(backbone.model, str | Path):
        return backbone
    side = backbone.model.inputs[0].shape[1]
    return replace(backbone, model=str(saved(backbone.model)), size=backbone.size or side)


def saved(model: Any) -> Path:
    """Save your own model below ``TOPWORK_HOME`` and return the path; the file's name is a hash of the content.

    Raises:
        BackboneError: the model is not built.
        StoreError: the folder cannot be written to.
    """
    if not model.built:
        raise BackboneError(
            f"the model {model.name!r} is not built: it has no input shape. Start it with keras.Input(shape)."
        )
    content = sha256(model.to_json().encode())
    for values in model.get_weights():
        content.update(values.tobytes())
    path = home() / "models" / f"{content.hexdigest()}.keras"
    if not os.path.exists(path):
        with writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(path) as aside:
                model.save(aside)
    return path
