"""Export: one ONNX file that takes uint8 pixels and answers as the trained model does, or no file at all (law 5)."""

import json
import tempfile
import warnings
from dataclasses import asdict
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork import backbones, lean
from topwork.dataset import Dataset, Row
from topwork.errors import DatasetError, ExportError, MissingExtra, PictureError
from topwork.evaluate import sampled
from topwork.folder import Folder
from topwork.halves import rebuild
from topwork.metrics import agreement
from topwork.network import restore
from topwork.pictures import decode, fit_array
from topwork.predict import KEY, Predictor
from topwork.trunk import Trunk
from topwork.version import FORMAT, VERSION

if TYPE_CHECKING:
    import keras

BOUND = 1e-4
"""The largest difference of a probability that passes, and the gap from which the best class must be the same."""
CHECKED = 200
"""Pictures that the file is checked on, or all there are."""


def export(folder: Folder, path: Path) -> Predictor:
    """Write a finished run's model as ONNX, checked against it from the bytes of real pictures on.

    The test part is used, then validation and training pictures, up to `CHECKED`.

    Returns:
        The file, opened.

    Raises:
        ExportError: something stands at *path*, or the file answers otherwise than the model.
        MissingExtra: tf2onnx is not installed.
    """
    if path.exists():
        raise ExportError(f"{str(path)!r} exists already and is not overwritten. Choose another name, or remove it.")
    lean.import_keras()
    network = restore(folder)
    model = network.flat()
    pixels, sources = _pictures(folder, network.trunk)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".topwork-") as scratch:
        made = Path(scratch, "model.onnx")
        write_onnx(model, made, _about(folder, network.trunk))
        check(model.predict(pixels, verbose=0), made, sources)
        made.replace(path)
    return Predictor(path)


def checked(data: Dataset) -> list[Row]:
    """The rows that a file is checked on: of the test part, then of the validation and training parts."""
    return [row for part in ("test", "val", "train") for row in sampled(data.part(part), CHECKED)][:CHECKED]


def check(expected: np.ndarray, file: Path, pictures: list[Any]) -> dict[str, Any]:
    """The parity gate: compare a file's answers, from the pictures' bytes on, with those of the model.

    Args:
        expected: the model's probabilities, float ``[pictures, classes]``.
        file: what was exported.
        pictures: paths or arrays, as `Predictor` takes them.

    Returns:
        `topwork.metrics.agreement`.

    Raises:
        ExportError: they differ by more than `BOUND`.
    """
    guesses = list(Predictor(file)(pictures))
    answered = np.array([list(guess.probabilities.values()) for guess in guesses])
    found = agreement(expected, answered, BOUND)
    if found["largest_difference"] > BOUND or found["disagreements"]:
        raise ExportError(
            f"the exported file answers otherwise than the model and was not kept: on {len(pictures)} pictures a "
            f"probability differs by {found['largest_difference']:.2g} (at most {BOUND:g} was expected), and "
            f"{found['disagreements']} of the answers are another class. Please report this with the backbone's name."
        )
    return found


def write_onnx(model: "keras.Model", path: Path, about: dict[str, Any]) -> None:
    """Write a flat model as ONNX with one metadata key; its layers that ONNX lacks are rewritten exactly.

    Args:
        model: input ``pixels``, one output.
        path: where to.
        about: the metadata, as JSON.
    """
    try:
        import onnx
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"'topwork export' needs {error.name}. Install it with: pip install \"topwork[tensorflow]\"."
        ) from None
    plain = rebuild(model, _rewritten)
    plain(np.zeros((1, *plain.inputs[0].shape[1:]), "uint8"))  # Keras exports only what was called once
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' exporter still asks for np.object
        plain.export(path, format="onnx", verbose=False)
    file = onnx.load(path)
    _name_output(file.graph, "probabilities")
    entry = file.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(about, ensure_ascii=False)
    onnx.save(file, path)


def _rewritten(operation: Any, args: Any, kwargs: Any) -> Any:
    """Call an operation, or what says the same in words that ONNX has."""
    import keras
    from keras import layers

    if isinstance(operation, layers.Normalization):
        mean, variance = (np.ravel(keras.ops.convert_to_numpy(v)) for v in (operation.mean, operation.variance))
        scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
        return layers.Rescaling(scale.tolist(), (-mean * scale).tolist(), name=operation.name)(*args)
    if isinstance(operation, layers.Conv2D) and 1 < operation.groups == args[0].shape[-1] == operation.filters:
        return _depthwise(operation)(*args)
    if isinstance(operation, layers.Activation) and operation.activation is keras.activations.gelu:
        return _gelu(operation.name)(*args)
    return operation(*args, **kwargs)


def _depthwise(conv: Any) -> Any:
    """A convolution with as many groups as channels is a depthwise one, its kernel's last two axes swapped."""
    from keras import layers

    made = layers.DepthwiseConv2D(
        conv.kernel_size,
        conv.strides,
        conv.padding,
        dilation_rate=conv.dilation_rate,
        activation=conv.activation,
        use_bias=conv.use_bias,
        name=conv.name,
    )
    kernel, *bias = conv.get_weights()
    made.build((None, None, None, conv.filters))
    made.set_weights([np.swapaxes(kernel, 2, 3), *bias])
    return made


def _gelu(name: str) -> Any:
    """Gelu as defined (Hendrycks and Gimpel 2016), as one layer: bare operations would clash with names in use."""
    import keras

    class Gelu(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return 0.5 * x * (1 + keras.ops.erf(x / sqrt(2)))

    return Gelu(name=name)


def _name_output(graph: Any, name: str) -> None:
    old = graph.output[0].name
    for node in graph.node:
        for names in (node.input, node.output):
            for i, found in enumerate(names):
                if found == old:
                    names[i] = name
    graph.output[0].name = name


def _pictures(folder: Folder, below: Trunk) -> tuple[np.ndarray, list[Any]]:
    """Real pictures of the run: decoded as the model takes them, and as they lie."""
    data, kept = folder.data(), folder.sample()
    pixels, sources = [], []
    for row in checked(data):
        try:
            source = kept.get(row.path, Path(data.root, row.path))
            pixels.append(fit_array(source, below.fit) if isinstance(source, np.ndarray) else decode(source, below.fit))
            sources.append(source)
        except PictureError:
            continue
    if not sources:
        raise DatasetError(
            f"no picture of the run is where it was ({data.root or 'arrays'}): the file is checked on real pictures "
            "before it is written. Put them back, and export again."
        )
    return np.stack(pixels), sources


def _about(folder: Folder, below: Trunk) -> dict[str, Any]:
    backbone = below.backbone
    record = None if backbone.model else backbones.record(backbone.name)
    scores = folder.results if (folder.path / "results.json").exists() else {}
    return {
        "format": FORMAT,
        "labels": list(folder.data().classes),
        "size": list(below.fit.size),
        "fit": below.fit.fit,
        "resample": below.fit.resample,
        "rule": below.fit.id,
        "cut": folder.recipe.phases[-1].cut,
        "backbones": {backbone.name: asdict(backbone) | {"licence": record.licence if record else "your own"}},
        "scores": {"accuracy": scores.get("accuracy")},
        "versions": {"topwork": VERSION, **folder.environment["packages"]},
    }
