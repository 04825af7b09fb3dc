"""Try to export your own network or head before it is trained, so that a failure costs no training.

The export is tried on random pixels: once for each network and the place where it ends, and once for each head. A
success is recorded under ``TOPWORK_HOME`` and not tried again. With JAX and torch, which have other exporters, nothing
is tried, because a run can be exported with any backend.
"""

import inspect
import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from topwork.cut import Place
from topwork.errors import BackboneError
from topwork.networks import heads
from topwork.networks.backbones import builder, catalogue
from topwork.networks.keras_graph import open_backbone
from topwork.networks.outputs.names import PROBABILITIES
from topwork.networks.places import graph_of
from topwork.networks.replay import replay
from topwork.networks.weights import pretrained
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone
from topwork.shipping.formats.how import How
from topwork.shipping.formats.onnx import write
from topwork.shipping.sessions import onnx_runtime
from topwork.system import gpu, keras_backend
from topwork.system.files import home
from topwork.version import VERSION

BOUND = 1e-3
"""The largest allowed difference of a value, as a share of the largest value.

It is larger than rounding errors, and smaller than the effect of a wrong layer.
"""

PICTURES = 2
"""The number of random pictures in a comparison."""


def check(recipe: Recipe, classes: int) -> None:
    """Try to export your own networks and head.

    Raises:
        BackboneError: a network or the head cannot be exported, or the answers of its file differ. The message names
            the layer that fails, if it is found.
    """
    if keras_backend.name() != "tensorflow" or not all(map(find_spec, ("tf2onnx", "onnxruntime"))):
        return
    terms = recipe.phases[-1].terms
    for term in terms:
        own = recipe.backbones[term.backbone]
        if own.model:
            about = {"network": pretrained.identity(own), "size": catalogue.size(own), "scale": builder.scale(own)}
            mend = f"Replace it, or end the network below it, as in {own.name}@PLACE..PLACE."
            _once(f"the network {own.name!r}", about | {"end": term.end}, mend, partial(_network, own, term.end))
    if recipe.head.file:
        graphs = [graph_of(recipe.backbones[term.backbone]) for term in terms]
        ends = [graph.nodes[graph.end(term.end)].shapes[0] for graph, term in zip(graphs, terms)]
        outputs = 1 if recipe.training.loss == "binary" else classes
        about = {"head": sha256(Path(recipe.head.file).read_bytes()).hexdigest(), "ends": ends}
        _once(f"the head {recipe.head.file!r}", about, "Replace it.", partial(_head, recipe, ends, outputs))


def _once(what: str, about: dict[str, Any], mend: str, make: Callable[[], Any]) -> None:
    """Try an export, unless the same export has succeeded before."""
    versions = [VERSION, *map(version, ("keras", "tf2onnx", "onnxruntime"))]
    note = home() / "exported" / sha256(json.dumps([about, versions], sort_keys=True).encode()).hexdigest()[:16]
    if note.exists():
        return
    import keras

    # the output of a layer may have another shape in inference than declared, as in `keras.layers.RandomCrop`
    model = make()
    problem = ""
    for (operation, _, declared), (_, _, made) in zip(_calls(model, symbolic=True), _calls(model, symbolic=False)):
        shapes, found = ([tuple(one.shape[1:]) for one in keras.tree.flatten(some)] for some in (declared, made))
        differ = [pair for pair in zip(shapes, found) if pair[0] != pair[1]]
        if differ:
            says, gives = differ[0]
            problem = f"its layer {_named(operation)} says that it gives {says}, and gives {gives} in inference"
            break
    if not problem and (problem := _problem(model)):
        # find the first layer that fails, among those that can be tried alone (one input tensor, one output tensor)
        for operation, args, made in _calls(model, symbolic=True):
            if len(args) != 1 or not all(hasattr(one, "shape") for one in (args[0], made)):
                continue
            alone = keras.Input(args[0].shape[1:], dtype=args[0].dtype)
            if why := _problem(keras.Model(alone, operation(alone))):
                problem = f"its layer {_named(operation)} fails ({why})"
                break

    if problem:
        raise BackboneError(f"{what} cannot be exported, so it is not trained: {problem}. {mend}")
    with suppress(OSError):  # if the success cannot be recorded, the export is tried again next time
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()


def _network(backbone: Backbone, end: Place) -> Any:
    """Return the network from the pixels to *end*, as a Keras model."""
    import keras

    opened = open_backbone(backbone, None)
    return keras.Model(opened.tensors[0][0], opened.tensors[opened.graph.end(end)][0])


def _head(recipe: Recipe, ends: Sequence[tuple[int, ...]], outputs: int) -> Any:
    """Return the head as a Keras model: from the outputs of the backbones to logits."""
    import keras

    head = heads.build(recipe.head, ends, outputs, 0)
    starts = [keras.Input(shape, name=f"end_{number}") for number, shape in enumerate(ends, 1)]
    logits = replay(head, dict(zip(map(id, head.inputs), starts)))[id(head.outputs[0])]
    return keras.Model(starts if len(starts) > 1 else starts[0], logits)


def _problem(model: Any) -> str:
    """Return why a model cannot be exported; ``""`` if it can, and the answers of the file are those of Keras."""
    import keras

    onnxruntime = onnx_runtime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    given = [_random(tensor) for tensor in model.inputs]
    named = {tensor.name: values for tensor, values in zip(model.inputs, given)}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "model.onnx")
        try:
            write(keras.Model(model.inputs, {PROBABILITIES: model.outputs[0]}), file, How())
            session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
            (answered,) = session.run(None, {one.name: named[one.name] for one in session.get_inputs()})
            with gpu.exact():
                expected = np.asarray(model(given if len(given) > 1 else given[0], training=False))
        except (OSError, MemoryError):
            raise
        except Exception as error:  # onnxruntime's errors have no common base class except Exception
            return (str(error).split("failed:")[-1].strip() or type(error).__name__).splitlines()[0].rstrip(".")
    bound = BOUND * np.abs(expected).max(initial=0)
    if answered.shape == expected.shape and np.allclose(answered, expected, 0, bound, equal_nan=True):
        return ""
    return "the exported file does not answer as the model does"


def _calls(model: Any, symbolic: bool) -> list[tuple[Any, Any, Any]]:
    """Return each operation with its arguments and its output in inference, up to the first operation that fails."""
    import keras

    found: list[tuple[Any, Any, Any]] = []

    def call(operation: Any, args: Any, kwargs: Any) -> Any:
        if isinstance(operation, keras.Layer) and "training" in inspect.signature(operation.call).parameters:
            kwargs = {**kwargs, "training": False}
        found.append((operation, args, operation(*args, **kwargs)))
        return found[-1][-1]

    starts = [keras.Input(t.shape[1:], dtype=t.dtype) if symbolic else _random(t) for t in model.inputs]
    with suppress(Exception):  # a layer fails if the layer below outputs another shape than declared
        replay(model, dict(zip(map(id, model.inputs), starts)), call)
    return found


def _random(tensor: Any) -> np.ndarray:
    draw = np.random.default_rng(0)
    shape = (PICTURES, *tensor.shape[1:])
    return draw.integers(0, 256, shape, np.uint8) if tensor.dtype == "uint8" else draw.random(shape, np.float32)


def _named(operation: Any) -> str:
    return f"{operation.name!r} ({type(operation).__name__})"
