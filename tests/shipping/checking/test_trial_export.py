"""Your own networks and heads: if the checks before training accept one, it can be exported and answers as in Keras."""

from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

from tests.exports import parity, write_onnx
from tests.inference import outputs
from topwork.cut import Cut
from topwork.data.pictures import Fit
from topwork.errors import BackboneError, TopworkError
from topwork.networks.model import create
from topwork.networks.places import graph_of
from topwork.networks.weights.pretrained import on_disk, saved
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone, Head, Phase
from topwork.shipping.checking import trial_export
from topwork.shipping.metadata import Input
from topwork.store import request
from topwork.store.runtimes.base import resolved

SIDE = 24
PIXELS = np.random.default_rng(0).integers(0, 256, (6, SIDE, SIDE, 3), np.uint8)
ABOUT = {"format": 1, "labels": list("abc"), "inputs": [Input("pixels", None, Fit((SIDE, SIDE))).as_json()]}


def recipe_of(model, head=None, cut="mine@pool"):
    backbone = resolved(on_disk(Backbone("mine", model=model, size=SIDE)))
    own = Head(file=str(saved(head))) if head else Head(batch_norm=False)
    return Recipe((Phase(cut),), backbones={"mine": backbone}, head=own)


def shipped(recipe):
    """Return the model's answers for the pixels, and how much the exported file differs; build the trained part too."""
    (term,) = Cut.parse(recipe.phases[0].cut).terms
    backbone = recipe.backbones["mine"]
    below = request.resolve(term, backbone, graph_of(backbone))
    network = create(recipe, [below], 3)
    network.above([below])
    model = network.flat()
    spread(network.head, network.branches[0].opened, below)
    with TemporaryDirectory() as folder:
        file = Path(folder, "model.onnx")
        write_onnx(model, file, ABOUT)
        said = outputs(model, PIXELS)
        return said, parity(said, file, list(PIXELS)).largest_difference


def spread(head, opened, below):
    """Give topwork's own head weights with which answers differ between pictures and are never close to certain."""
    last = head.layers[-1]
    if last.name != "logits":
        return
    ends = np.asarray(keras.Model(opened.tensors[0][0], opened.tensors[below.end][0])(PIXELS))
    kernel = np.random.default_rng(1).normal(size=last.kernel.shape) / (ends.std() + 1e-6) / last.kernel.shape[0] ** 0.5
    last.set_weights([kernel, -ends.mean(0) @ kernel])


def stack(*some, name="net"):
    start = x = keras.Input((SIDE, SIDE, 3))
    for layer in some:
        x = layer(x)
    return keras.Model(start, x, name=name)


def drawn(kind, *words, **options):
    """Return a layer with seeded weights."""
    return kind(*words, kernel_initializer=keras.initializers.GlorotNormal(seed=7), **options)


def block(first, second, name):
    shape = (SIDE, SIDE, 3) if name == "left" else (11, 11, 4)
    conv = drawn(layers.Conv2D, 4, 3, strides=2, name=first)
    return keras.Sequential([keras.Input(shape), layers.GaussianNoise(0.1), conv, second], name=name)


def test_a_network_with_augmentation_inside_and_names_that_no_graph_takes():
    left = block("conv 1", layers.RandomRotation(0.2, name="logits"), "left")
    right = block("conv 1", drawn(layers.Conv2D, 8, 3, activation="gelu", name="probabilities"), "right")
    flips = layers.Pipeline([layers.RandomFlip(), layers.RandomZoom(0.1)], name="花")
    network = stack(layers.Rescaling(1 / 255, name="head_dropout"), flips, left, right, name="a b")
    recipe = recipe_of(network, cut="mine@logits")
    trial_export.check(recipe, 3)
    said, difference = shipped(recipe)
    assert said.std(0).max() > 1e-2, "the answers do not differ between pictures"
    assert difference < 1e-5


def test_layers_that_do_something_in_inference_and_convolutions_in_groups():
    crop = layers.CenterCrop(16, 20, name="a|b")
    groups = drawn(layers.Conv2D, 9, 3, groups=3, strides=2, activation="celu", name="$")
    recipe = recipe_of(stack(layers.Rescaling(1 / 255), crop, groups, layers.Dropout(0.5), layers.AutoContrast()))
    trial_export.check(recipe, 3)
    said, difference = shipped(recipe)
    assert said.std(0).max() > 1e-2, "the answers do not differ between pictures"
    assert difference < 1e-5


@keras.saving.register_keras_serializable("topwork-tests")
class Sorted(keras.Layer):
    """A layer that ONNX cannot express."""

    def call(self, x):
        """Return each row's values sorted by a Python function."""
        import tensorflow as tf

        return tf.ensure_shape(tf.numpy_function(np.sort, [x], tf.float32), x.shape)

    def compute_output_shape(self, shape):
        """Return the shape unchanged."""
        return shape


def test_a_layer_that_cannot_be_exported_is_named_before_training():
    recipe = recipe_of(stack(layers.Rescaling(1 / 255), layers.Conv2D(4, 3, name="before"), Sorted(name="in order")))
    with pytest.raises(BackboneError) as error:
        trial_export.check(recipe, 3)
    start = "the network 'mine' cannot be exported, so it is not trained: its layer 'in_order' (Sorted) fails ("
    assert str(error.value).startswith(start)
    assert "Replace it, or end the network below it, as in mine@PLACE..PLACE." in str(error.value)
    trial_export.check(recipe_of(recipe.backbones["mine"].model, cut="mine@before..before"), 3)


def test_a_layer_whose_shape_in_inference_is_another_is_named_before_training():
    """In Keras 3.15 `RandomCrop` declares the shape of a part, but outputs the complete picture in inference."""
    crop = layers.RandomCrop(10, 12, name="crop")
    recipe = recipe_of(stack(layers.Rescaling(1 / 255), crop, layers.Flatten(), layers.Dense(4)))
    with pytest.raises(BackboneError) as error:
        trial_export.check(recipe, 3)
    assert str(error.value) == (
        "the network 'mine' cannot be exported, so it is not trained: its layer 'crop' (RandomCrop) says that it gives "
        "(10, 12, 3), and gives (24, 24, 3) in inference. "
        "Replace it, or end the network below it, as in mine@PLACE..PLACE."
    )


def test_a_head_that_cannot_be_exported_is_named_before_training():
    start = keras.Input((4,))
    head = keras.Model(start, layers.Dense(3)(Sorted()(start)))
    recipe = recipe_of(stack(layers.Rescaling(1 / 255), layers.Conv2D(4, 3)), head)
    with pytest.raises(BackboneError, match=r"the head '.*' cannot be exported, so it is not trained: its layer "):
        trial_export.check(recipe, 3)


def test_what_went_well_is_not_tried_again(own_home, monkeypatch):
    recipe = recipe_of(stack(layers.Conv2D(4, 3)))
    trial_export.check(recipe, 3)
    monkeypatch.setattr(trial_export, "_network", lambda *_: pytest.fail("it was tried again"))
    trial_export.check(recipe, 3)


def test_a_home_that_cannot_be_written_stops_no_trial(tmp_path, monkeypatch):
    recipe = recipe_of(stack(layers.Conv2D(4, 3)))
    (tmp_path / "file").touch()
    monkeypatch.setattr(trial_export, "home", lambda: tmp_path / "file" / "home")
    trial_export.check(recipe, 3)


AUGMENTATION = [
    lambda name: layers.RandomFlip(name=name),
    lambda name: layers.RandomRotation(0.2, name=name),
    lambda name: layers.RandomZoom(0.2, name=name),
    lambda name: layers.RandomContrast(0.2, name=name),
    lambda name: layers.RandomBrightness(0.2, name=name),
    lambda name: layers.RandomTranslation(0.1, 0.1, name=name),
    lambda name: layers.RandomCrop(9, 9, name=name),
    lambda name: layers.Dropout(0.3, name=name),
    lambda name: layers.SpatialDropout2D(0.3, name=name),
    lambda name: layers.GaussianNoise(0.3, name=name),
    lambda name: layers.GaussianDropout(0.3, name=name),
    lambda name: layers.AlphaDropout(0.3, name=name),
    lambda name: layers.Pipeline([layers.RandomFlip(), layers.RandomRotation(0.1)], name=name),
]
OTHERS = [
    lambda name: layers.Conv2D(6, 3, padding="same", activation="relu", name=name),
    lambda name: layers.Conv2D(6, 3, padding="same", groups=3, name=name),
    lambda name: layers.DepthwiseConv2D(3, padding="same", name=name),
    lambda name: layers.SeparableConv2D(6, 3, padding="same", activation="gelu", name=name),
    lambda name: layers.Conv2DTranspose(6, 3, padding="same", name=name),
    lambda name: layers.BatchNormalization(name=name),
    lambda name: layers.LayerNormalization(name=name),
    lambda name: layers.GroupNormalization(3, name=name),
    lambda name: layers.Activation("silu", name=name),
    lambda name: layers.PReLU(name=name),
    lambda name: layers.MaxPooling2D(2, padding="same", name=name),
    lambda name: layers.UpSampling2D(2, name=name),
    lambda name: layers.Resizing(9, 9, name=name),
    lambda name: layers.ZeroPadding2D(1, name=name),
    lambda name: layers.Dense(6, activation="celu", name=name),
    lambda name: layers.SpectralNormalization(layers.Conv2D(6, 1, name="a b"), name=name),
    lambda name: layers.Lambda(lambda x: 2 * x, name=name),
    lambda name: Sorted(name=name),
]
NAMES = ["a b", "花", "é", "probabilities", "logits", "head_batch_norm", "head_dropout", "softmax", "a:0", "$x", "conv"]
NAMES += [
    "pixels",
    "scale",
    "pool",
    "flip",
    "end",
    "top",
    "topwork_input_0",
    "views_float",
    "own_logits",
    "-",
    "x'",
    "\\",
]
PART = st.lists(st.tuples(st.sampled_from(AUGMENTATION + OTHERS), st.sampled_from(NAMES)), min_size=1, max_size=4)


def named_once(part):
    return {name: make for make, name in part}.items()


def generated(parts, is_nested):
    """Return a network with these layers, in nested models or one after another."""
    start = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(6, 3, strides=2, name="first")(layers.Rescaling(1 / 255, name="rescaling")(start))
    for number, part in enumerate(parts if is_nested else [[pair for some in parts for pair in some]]):
        inner = y = keras.Input(x.shape[1:])
        for name, make in {name: make for make, name in part}.items():
            y = make(name)(y)
        x = keras.Model(inner, y, name=f"part {number}")(x)
    return keras.Model(start, layers.GlobalAveragePooling2D(name="last")(x))


def generated_head(features, name):
    end = keras.Input((features,))
    x = layers.Dense(6, activation="gelu", name="dense")(layers.GaussianNoise(0.1, name=name)(end))
    return keras.Model(end, layers.Dense(3, name="last" if name == "logits" else "logits")(x))


@pytest.mark.full
def test_whatever_is_accepted_before_training_is_exported_and_answers_as_in_keras():
    exported = []

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.lists(PART, min_size=1, max_size=3), st.booleans(), st.integers(1, 6), st.sampled_from([None, *NAMES]))
    def holds(parts, is_nested, place, head_name):
        keras.backend.clear_session()
        network = generated(parts, is_nested)
        head = generated_head(network.output.shape[-1], head_name) if head_name else None
        recipe = recipe_of(network, head, f"mine@{place}")
        try:
            trial_export.check(recipe, 3)
        except TopworkError:
            return
        exported.append(shipped(recipe)[1])

    holds()
    assert len(exported) >= 8, "too few were accepted to say anything"
    assert max(exported) <= 1e-4
