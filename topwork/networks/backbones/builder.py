"""Build backbones with their weights and pixel scales: Keras' networks, topwork's own, and yours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

from topwork.errors import BackboneError
from topwork.networks.backbones import efficientnet_lite0
from topwork.networks.backbones.catalogue import TABLE, Record, record, size
from topwork.networks.weights import efficientnet_lite0 as packaged
from topwork.recipes.settings import Backbone
from topwork.system import keras_settings
from topwork.system.replaced import replaced

if TYPE_CHECKING:
    import keras

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SCALES: dict[str, dict[str, Any]] = {
    "tf": {"scale": 1 / 127.5, "offset": -1.0},
    "caffe": {"scale": 1.0, "offset": [-103.939, -116.779, -123.68]},
    "torch": {"scale": [1 / (255 * s) for s in _STD], "offset": [-m / s for m, s in zip(_MEAN, _STD)]},
    "lite": {"scale": 1 / 128, "offset": -127 / 128},
    "none": {"scale": 1.0},
    "unit": {"scale": 1 / 255},
    "bgr_unit": {"scale": 1 / 255},
}
"""Pixel scales by name, as options of ``keras.layers.Rescaling``.

They are the scales of ``imagenet_utils.preprocess_input`` and some others.
"""
_FLOATS = {"mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64"}
"""Dtypes and policies that `load` replaces by float32."""
TURNED = ("caffe", "bgr_unit")
"""The pixel scales that change RGB to BGR."""


def build(backbone: Backbone, weights: Path | None) -> "keras.Model":
    """Build a network without its classifier, as Keras does.

    It takes float pixels in its own scale, and in most cases returns a map.

    Args:
        backbone: the network and its size.
        weights: the file to load; with ``None`` the network keeps its initial values. Your own network always has the
            weights from its file.

    Raises:
        BackboneError: Keras cannot build the network at that size, or cannot load its weights or your own network.
    """
    keras_settings.import_keras()
    with fresh_names():
        if backbone.model:
            return load(backbone.model)
        entry, side = record(backbone.name), size(backbone)
        if entry.builder:
            # EfficientNet adds its 1/sqrt(std) layer only for "imagenet"; its other weights need that layer as well.
            network, _ = _asking(entry, side, "imagenet" if entry.module == "efficientnet" else None)
        else:
            network = efficientnet_lite0.network(side)
        if weights is None:
            return network
        try:
            if not entry.builder and weights.suffix == ".pth":
                packaged.load(network, weights)
            else:
                network.load_weights(weights)
        except Exception as error:  # Keras raises errors of many classes for a damaged file
            kinds = ".weights.h5 or .h5" if entry.builder else ".weights.h5, .h5 or .pth"
            owner = owner_by_name(weights)
            hint = f"Its name is that of the file for {owner}." if owner else "If it may be cut short, copy it again."
            if owner == backbone.name:
                again = f"'topwork weights fetch {owner}' downloads it again, 'topwork weights verify' checks it"
                hint = f"Its name is that of the right file, so it may be damaged or cut short: {again}."
            raise BackboneError(
                f"the weights {str(weights)!r} do not fit {backbone.name}: {_reason(error)} "
                f"Expected a {kinds} file of this network, without its classifier. {hint}"
            ) from None
        return network


def version_of(backbone: Backbone) -> int:
    """Return the version of topwork's code that builds a network; 0 for Keras' networks and your own."""
    return 0 if backbone.model else record(backbone.name).build


def scaled(pixels: Any, scale: str) -> Any:
    """Scale uint8 RGB pixels ``[..., 3]``, symbolic or arrays, for a network; *scale* is a key of `SCALES`."""
    import keras

    turned = keras.ops.flip(pixels, axis=-1) if scale in TURNED else pixels
    return keras.layers.Rescaling(**SCALES[scale], name="scale")(turned)


def owner_by_name(weights: Path) -> str | None:
    """Return the backbone whose official file has this file's name, or ``None``."""
    folder = weights.parent
    named = (name for name, entry in TABLE.items() if weights.name in {path.name for path in entry.paths(folder)})
    return next(named, None)


def _reason(error: Exception) -> str:
    """Return the first line of an error, with a full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".:") + "."


def scale(backbone: Backbone) -> str:
    """Return the scale that is applied to pixels before they enter the network: a key of `SCALES`."""
    if backbone.scale != "own":
        return backbone.scale
    return "none" if backbone.model else record(backbone.name).scale


def source(entry: Record, side: int) -> tuple[str, str | None]:
    """Return the address of the official file that Keras downloads for that side, and its hash (or ``None``)."""
    with fresh_names():
        return _asking(entry, side, "imagenet")[1][-1]


def _asking(entry: Record, side: int, weights: str | None) -> tuple["keras.Model", list[tuple[str, str | None]]]:
    """Return two things: the network, without weights; and address and hash of each file that Keras would download."""
    import warnings

    import keras
    from keras.src.utils import file_utils

    builder = getattr(keras.applications, entry.builder)
    options: dict[str, Any] = {"alpha": entry.alpha} if entry.alpha is not None else {}
    asked: list[tuple[str, str | None]] = []

    def get_file(_: str, address: str, **words: Any) -> None:
        asked.append((address, words.get("file_hash")))

    try:
        with (
            replaced(file_utils, "get_file", get_file),
            replaced(keras.Model, "load_weights", lambda *_, **__: None),
            warnings.catch_warnings(action="ignore"),  # Keras warns that a side has no file
        ):
            network = builder(include_top=False, weights=weights, input_shape=(side, side, 3), **options)
    except ValueError as error:
        raise BackboneError(f"Keras cannot build {entry.name} at {side} pixels: {_reason(error)}") from None
    return network, asked


@contextmanager
def fresh_names() -> Iterator[None]:
    """Let Keras count automatic layer names from zero, as a new process does; restore its counters at the end."""
    from collections import defaultdict

    from keras.src.backend.common import global_state

    key = "object_name_uids"
    before = global_state.get_global_attribute(key, defaultdict(int))
    global_state.set_global_attribute(key, defaultdict(int))
    try:
        yield
    finally:
        global_state.set_global_attribute(key, before)


def load(path: str, what: str = "the network") -> "keras.Model":
    """Load your own model from its file, converted to float32.

    Args:
        path: a .keras or .h5 file.
        what: what error messages call the model.

    Raises:
        BackboneError: Keras cannot load it in its safe mode.
    """
    import keras

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        if not _FLOATS & {name for layer in model._flatten_layers() for name in (layer.dtype, layer.dtype_policy.name)}:
            return model  # Keras would import TensorFlow to serialize it, which takes a worker several seconds
        found = keras.saving.deserialize_keras_object(_float32(keras.saving.serialize_keras_object(model)))
        for new, old in zip(found.weights, model.weights, strict=True):
            new.assign(old)
        return found
    except Exception as error:  # Keras raises errors of many classes, as above
        # Keras' message advises safe_mode=False, which no command accepts.
        is_lambda = "`Lambda`" in str(error)
        reason = "it holds a Lambda layer, whose code is not run." if is_lambda else _reason(error)
        if Path(path).is_file() and path.endswith(".keras") and not is_zipfile(path):
            reason = "it is not a zip file, as a .keras file is. It may be damaged or cut short: copy it again."
        raise BackboneError(
            f"cannot load {what} {path!r}: {reason} Expected a .keras or .h5 file that Keras 3 reads in its safe mode."
        ) from None


def _float32(config: Any) -> Any:
    """Replace any float dtype or policy by float32 in a part of a model's configuration, and return the result.

    Integer dtypes and quantized layers do not change.
    """
    if isinstance(config, list | tuple):
        return type(config)(map(_float32, config))
    if not isinstance(config, dict):
        return config
    found = {key: _float32(value) for key, value in config.items() if key != "dtype"}
    if "dtype" in config:
        dtype = config["dtype"]
        is_policy = isinstance(dtype, dict) and dtype["class_name"] == "DTypePolicy"
        name = dtype["config"]["name"] if is_policy else dtype
        found["dtype"] = "float32" if name in _FLOATS else dtype
    return found
