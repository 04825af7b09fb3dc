"""Export: one ONNX file that takes uint8 pixels and answers as the trained model does, or no file at all (law 5)."""

import json
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from importlib.util import find_spec
from io import StringIO
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork import backbones, backend, lean
from topwork.dataset import Dataset, Row
from topwork.errors import DatasetError, ExportError, MissingExtra, PictureError
from topwork.evaluate import sampled
from topwork.finished import Answering, restore
from topwork.folder import Folder
from topwork.halves import rebuild
from topwork.metrics import agreement
from topwork.predict import Predictor, fitted
from topwork.recipe import Backbone
from topwork.shipped import KEY, Input
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
        ExportError: something stands at *path*, Keras cannot write the model, or the file answers otherwise.
        MissingExtra: what Keras exports through is not installed.
    """
    if path.exists():
        raise ExportError(f"{str(path)!r} exists already and is not overwritten. Choose another name, or remove it.")
    lean.import_keras()
    network = restore(folder)
    model = network.flat()
    inputs = _inputs(network, folder.data().columns[0])
    pixels, sources = _pictures(folder, inputs)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".topwork-") as scratch:
        made = Path(scratch, "model.onnx")
        write_onnx(model, made, _about(folder, inputs))
        check(model.predict(pixels if len(pixels) > 1 else pixels[0], verbose=0), made, sources)
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
        pictures: rows of paths or arrays, as `Predictor` takes them.

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
        model: inputs ``pixels``, or ``pixels_1`` and so on; one output.
        path: where to.
        about: the metadata, as JSON.
    """
    import onnx

    _check_exporter()
    plain = rebuild(model, _rewritten)
    blank = [np.zeros((1, *tensor.shape[1:]), "uint8") for tensor in plain.inputs]
    plain(blank if len(blank) > 1 else blank[0])  # Keras exports only what was called once
    _export(plain, path)
    file = onnx.load(path)
    _name_output(file.graph, "probabilities")
    entry = file.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(about, ensure_ascii=False)
    onnx.save(file, path)


def _check_exporter() -> None:
    """That the package is there through which Keras exports on its backend; torch brings its own."""
    needed = {"tensorflow": "tf2onnx", "jax": "jax2onnx"}.get(backend.name())
    if needed and not find_spec(needed):
        what = '"topwork[tensorflow]"' if needed == "tf2onnx" else needed
        raise MissingExtra(
            f"'topwork export' on {backend.name()} needs {needed}. Install it with: pip install {what}.{_elsewhere()}"
        )


def _export(model: "keras.Model", path: Path) -> None:
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):  # torch prints the graph that it cannot write
            warnings.simplefilter("ignore")  # Keras' exporter still asks for np.object
            model.export(path, format="onnx", verbose=False)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # each backend's exporter has errors of its own
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ExportError(
            f"Keras cannot write the model as ONNX on {backend.name()} ({reason}).{_elsewhere()}"
        ) from error


def _elsewhere() -> str:
    told = f" Or export with KERAS_BACKEND={backend.DEFAULT}: any backend reads the run."
    return "" if backend.name() == backend.DEFAULT else told


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


def _inputs(network: Answering, first: str) -> list[Input]:
    """What the file takes: where any term of the cut names a picture, the others take the *first*."""
    wanted = network.inputs
    names = [f"pixels_{number}" for number in range(1, len(wanted) + 1)] if len(wanted) > 1 else ["pixels"]
    unnamed = first if any(picture for picture, _ in wanted) else None
    return [Input(name, picture or unnamed, fit) for name, (picture, fit) in zip(names, wanted)]


def _pictures(folder: Folder, inputs: Sequence[Input]) -> tuple[list[np.ndarray], list[Any]]:
    """Real pictures of the run: an array for each input, decoded as it takes them; and rows of them as they lie."""
    data, kept = folder.data(), folder.sample()
    pixels, sources = [], []
    for row in checked(data):
        files = [kept.get(path, Path(data.root, path)) for path, _ in row.pictures]
        named = dict(zip(data.columns, files))
        wanted = [named[entry.picture] if entry.picture else files[0] for entry in inputs]
        try:
            pixels.append([fitted(picture, entry.fit) for picture, entry in zip(wanted, inputs)])
        except PictureError:
            continue
        sources.append(named if inputs[0].picture else files[0])
    if not sources:
        raise DatasetError(
            f"no picture of the run is where it was ({data.root or 'arrays'}): the file is checked on real pictures "
            "before it is written. Put them back, and export again."
        )
    return [np.stack(some) for some in zip(*pixels)], sources


def _about(folder: Folder, inputs: Sequence[Input]) -> dict[str, Any]:
    scores = folder.results if folder.is_finished else {}
    join = folder.recipe.join
    made = [_made(member) for member in folder.members()]
    return {
        "format": FORMAT,
        "labels": list(folder.data().classes),
        "inputs": [one.as_json() for one in inputs],
        **({"join": join.rule, "members": made} if join else _made(folder)),
        "scores": {"accuracy": scores.get("accuracy")},
        "versions": {"topwork": VERSION, **folder.environment["packages"]},
    }


def _made(folder: Folder) -> dict[str, Any]:
    """What a network was made of."""
    recipe = folder.recipe
    backbones = {name: asdict(one) | {"licence": _licence(one)} for name, one in recipe.backbones.items()}
    return {"cut": recipe.phases[-1].cut, "backbones": backbones}


def _licence(backbone: Backbone) -> str:
    return "your own" if backbone.model else backbones.record(backbone.name).licence
