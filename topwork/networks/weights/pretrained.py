"""Which file a backbone's weights come from, and what identifies them in the keys of the store."""

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
    """The file that a backbone loads its weights from; fetched or made where it is missing.

    Returns:
        ``None`` for your own network, which brings its weights.

    Raises:
        WeightsError: the file is not at hand and cannot be fetched.
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
    """Where the file of a backbone's weights is or belongs; ``None`` for random ones, which are drawn."""
    if backbone.model:
        return Path(backbone.model)
    if backbone.weights == "random":
        return None
    if backbone.weights != "imagenet":
        return Path(backbone.weights)
    return catalogue.record(backbone.name).path(files.folder(), catalogue.size(backbone))


def identity(backbone: Backbone) -> str:
    """What stands for a backbone's weights in the keys of the store; needs no Keras where the file is at hand."""
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
    """Whether its weights lie here, or can be made here; nothing is fetched."""
    file = path(backbone)
    return file is None or file.is_file()


def on_disk(backbone: Backbone) -> Backbone:
    """The backbone with its files as absolute paths; your own ``keras.Model`` becomes one, named by its content.

    Raises:
        RecipeError: one of them is not there.
    """
    if backbone.weights not in WORDS:
        backbone = replace(backbone, weights=_there(backbone, "weights", "'imagenet', 'random', or the path of a file"))
    if backbone.model is None:
        return backbone
    if isinstance(backbone.model, str | Path):
        return replace(backbone, model=_there(backbone, "model", "the path of a .keras or .h5 file"))
    side = backbone.model.inputs[0].shape[1]
    return replace(backbone, model=str(saved(backbone.model)), size=backbone.size or side)


def _there(backbone: Backbone, key: str, expected: str) -> str:
    """The absolute path of a file that a backbone names."""
    word = str(getattr(backbone, key))
    if not Path(word).is_file():
        where = f"backbones.{backbone.name}.{key}"
        hint = nearest(word, WORDS) if key == "weights" else ""
        raise RecipeError(f"{where} = {word!r}: no such file; expected {expected}{hint or '.'}", where)
    return str(Path(word).absolute())


def saved(model: Any) -> Path:
    """A model of your own as a file below topwork's home, named by its content.

    Raises:
        BackboneError: it is not built.
        StoreError: nothing can be written there.
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
