"""Which file a backbone's weights come from, and what identifies them in the keys of the store."""

from pathlib import Path
from unittest.mock import patch

from topwork import backbones, untrained, weights
from topwork.errors import WeightsError
from topwork.recipe import Backbone


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
        return untrained.weights_file(backbone)
    if backbone.weights != "imagenet":
        return _given(Path(backbone.weights))
    path = weights.official(backbones.record(backbone.name).file, backbones.size(backbone))
    return path if path.is_file() else weights.fetch(path, *_source(backbone))


def identity(backbone: Backbone) -> str:
    """What stands for a backbone's weights in the keys of the store; needs no Keras where the file is at hand."""
    if backbone.model:
        return weights.sha256(_given(Path(backbone.model)))
    if backbone.weights == "random":
        return untrained.identity(backbone)
    return weights.sha256(weights_file(backbone) or Path())


def _given(path: Path) -> Path:
    if not path.is_file():
        raise WeightsError(f"no weights file {str(path)!r}: expected 'imagenet', 'random', or the path of a file.")
    return path


def _source(backbone: Backbone) -> tuple[str, str | None]:
    """The address and hash that Keras itself asks for: its builder runs up to the download, which is caught."""
    import keras
    from keras.src.utils import file_utils

    entry = backbones.record(backbone.name)
    options = {"alpha": entry.alpha} if entry.alpha is not None else {}
    with (
        backbones.fresh_names(),
        patch.object(file_utils, "get_file") as get_file,
        patch.object(keras.Model, "load_weights"),
    ):
        getattr(keras.applications, entry.builder)(include_top=False, weights="imagenet", **options)
    return get_file.call_args.args[1], get_file.call_args.kwargs.get("file_hash")


def default() -> tuple[Backbone, str]:
    """The backbone of a run that names none, and one sentence that says which and why.

    ``mobilenet_v2`` where its ImageNet file is at hand or one attempt fetches it; else the largest ImageNet file at
    hand; else random weights.
    """
    wanted = Backbone("mobilenet_v2")
    try:
        weights_file(wanted)
        return wanted, "Backbone: mobilenet_v2 with ImageNet weights, the default."
    except WeightsError:
        pass
    at_hand = [(path.stat().st_size, name) for name, entry in backbones.TABLE.items() for path in weights.at_hand([entry.file])]
    if at_hand:
        name = max(at_hand)[1]
        return Backbone(name), f"Backbone: {name}, the largest ImageNet file at hand (that of mobilenet_v2 is not)."
    return Backbone("mobilenet_v2_035", "random"), (
        "Backbone: mobilenet_v2_035 with RANDOM weights, since no ImageNet file is at hand and none can be fetched. "
        f"Expect poor scores. Put an official file into {weights.folder()} for real ones (topwork backbones)."
    )
