"""The table agrees with Keras; traps that silently change a network are avoided; networks of your own can be opened."""

import inspect
from pathlib import Path
from unittest.mock import patch

import keras
import numpy as np
import pytest
from keras.src.applications import imagenet_utils
from keras.src.utils import file_utils

from topwork.errors import BackboneError, UnknownBackbone, WeightsError
from topwork.networks.backbones import builder, catalogue
from topwork.networks.backbones.builder import SCALES, build, scale, scaled
from topwork.networks.backbones.catalogue import TABLE, record
from topwork.networks.keras_graph import open_backbone, open_model
from topwork.networks.weights.official import PUBLISHED
from topwork.networks.weights.pretrained import identity
from topwork.recipes.settings import Backbone
from topwork.system.advice import at_command_line

NAMES = ["xception", "vgg16", "vgg19", "resnet50", "resnet101", "resnet152", "resnet50_v2", "resnet101_v2"]
NAMES += ["resnet152_v2", "inception_v3", "inception_resnet_v2", "mobilenet", "mobilenet_v2", "mobilenet_v3_small"]
NAMES += ["mobilenet_v3_large", "densenet121", "densenet169", "densenet201", "nasnet_mobile", "nasnet_large"]
NAMES += ["efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4"]
NAMES += ["efficientnet_b5", "efficientnet_b6", "efficientnet_b7", "efficientnet_v2_b0", "efficientnet_v2_b1"]
NAMES += ["efficientnet_v2_b2", "efficientnet_v2_b3", "efficientnet_v2_s", "efficientnet_v2_m", "efficientnet_v2_l"]
NAMES += ["convnext_tiny", "convnext_small", "convnext_base", "convnext_large", "convnext_xlarge"]
WIDTHS = ["mobilenet_025", "mobilenet_050", "mobilenet_075", "mobilenet_v2_035", "mobilenet_v2_050"]
WIDTHS += ["mobilenet_v2_075", "mobilenet_v2_130", "mobilenet_v2_140"]
OURS = ["efficientnet_lite0"]
OF_KERAS = {name: entry for name, entry in TABLE.items() if entry.builder}


def test_names_never_change():
    assert set(TABLE) == {*NAMES, *WIDTHS, *OURS}
    assert all(name == entry.name for name, entry in TABLE.items())


def test_the_table_holds_every_functional_model_of_keras():
    builders = {name for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    assert len(builders) == len(NAMES) == 40
    assert {TABLE[name].builder for name in NAMES} == builders
    assert {TABLE[name].builder for name in WIDTHS} == {"MobileNet", "MobileNetV2"}


def test_licences_are_named():
    assert record("vgg16").licence == "CC-BY-4.0"
    assert record("mobilenet_v2").licence == record("efficientnet_lite0").licence == "Apache-2.0"
    assert "License: UNKNOWN" in record("efficientnet_lite0").licence_note
    assert not record("vgg16").licence_note


class Stopped(Exception):
    """Stop Keras early while it builds a network."""


def default_size(entry):
    with patch.object(imagenet_utils, "obtain_input_shape", side_effect=Stopped) as obtain, pytest.raises(Stopped):
        getattr(keras.applications, entry.builder)(weights=None)
    return obtain.call_args.kwargs["default_size"]


def test_sizes_are_those_of_keras():
    told = {name: entry for name, entry in OF_KERAS.items() if entry.module != "mobilenet_v3"}
    assert {name: entry.size for name, entry in told.items()} == {n: default_size(e) for n, e in told.items()}


def test_mobilenet_v3_names_its_size_in_its_files():
    assert record("mobilenet_v3_small").size == record("mobilenet_v3_large").size == 224


PIXELS = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3)).astype("uint8")


@pytest.mark.parametrize("module", sorted({entry.module for entry in OF_KERAS.values()}))
def test_scales_are_those_of_keras(module):
    expected = getattr(keras.applications, module).preprocess_input(PIXELS.astype("float32"))
    (kind,) = {entry.scale for entry in TABLE.values() if entry.module == module}
    np.testing.assert_allclose(np.asarray(scaled(PIXELS, kind)), expected, rtol=0, atol=1e-4)


def test_the_caffe_scale_is_exact():
    expected = keras.applications.resnet.preprocess_input(PIXELS.astype("float32"))
    np.testing.assert_array_equal(np.asarray(scaled(PIXELS, "caffe")), expected)


def test_the_scale_of_efficientnet_lite0():
    expected = (PIXELS.astype("float32") - 127) / 128
    np.testing.assert_allclose(np.asarray(scaled(PIXELS, "lite")), expected, rtol=0, atol=1e-7)


def test_scales_of_your_own():
    unit = PIXELS.astype("float32") / np.float32(255)
    np.testing.assert_allclose(np.asarray(scaled(PIXELS, "unit")), unit, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(scaled(PIXELS, "bgr_unit")), unit[..., ::-1], rtol=1e-6)


def test_a_backbone_scales_as_its_network_or_as_it_is_told():
    assert scale(Backbone("vgg16")) == "caffe"
    assert scale(Backbone("vgg16", scale="unit")) == "unit"
    assert scale(Backbone("mine", model="mine.keras")) == "none"
    assert {entry.scale for entry in TABLE.values()} <= SCALES.keys()


def asked_for(entry, side):
    """Return the file that Keras asks for when it builds the network with ImageNet weights, and the expected hash."""
    options = {"alpha": entry.alpha} if entry.alpha is not None else {}
    builder = getattr(keras.applications, entry.builder)
    with patch.object(file_utils, "get_file") as get_file, patch.object(keras.Model, "load_weights"):
        builder(include_top=False, weights="imagenet", input_shape=(side, side, 3), **options)
    return get_file.call_args.args[0], get_file.call_args.kwargs.get("file_hash")


def known(entry, side):
    """Return the file and the hash that topwork's tables list."""
    file = entry.path(Path(), side).name
    return file, PUBLISHED.get(file)


@pytest.mark.parametrize("name", ["vgg16", "mobilenet_075", "mobilenet_v3_small"])
def test_files_and_hashes_are_those_of_keras(name):
    assert known(record(name), record(name).size) == asked_for(record(name), record(name).size)


@pytest.mark.full
@pytest.mark.parametrize("name", [*NAMES, *WIDTHS])
def test_all_files_and_hashes_are_those_of_keras(name):
    assert known(record(name), record(name).size) == asked_for(record(name), record(name).size)


@pytest.mark.parametrize("name", ["mobilenet_025", "mobilenet_v2_035"])
@pytest.mark.parametrize("side", [96, 100, 160])
@pytest.mark.filterwarnings("ignore:`input_shape` is undefined")
def test_sizes_without_a_file_take_that_of_224_as_in_keras(name, side):
    assert known(record(name), side) == asked_for(record(name), side)


def test_the_address_is_that_of_the_size():
    assert builder.source(record("mobilenet_025"), 160) == (
        "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/mobilenet_2_5_160_tf_no_top.h5",
        None,
    )


def test_the_hash_is_the_one_that_keras_publishes():
    from keras.src.applications.efficientnet import WEIGHTS_HASHES

    address, digest = builder.source(record("efficientnet_b0"), 32)
    assert address == "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5"
    assert digest == WEIGHTS_HASHES["b0"][1]


@pytest.mark.full
def test_efficientnet_is_the_imagenet_build_whatever_the_weights(tmp_path):
    """Keras adds a layer only for "imagenet"; without that layer the official weights get pixels in another scale."""
    with builder.fresh_names(), patch.object(file_utils, "get_file"), patch.object(keras.Model, "load_weights"):
        expected = keras.applications.EfficientNetB0(include_top=False, weights="imagenet", input_shape=(32, 32, 3))
    expected.save_weights(tmp_path / "b0.weights.h5")
    for weights in (None, tmp_path / "b0.weights.h5"):
        network = build(Backbone("efficientnet_b0", size=32), weights)
        assert [layer.name for layer in network.layers] == [layer.name for layer in expected.layers]
        kinds = [type(layer).__name__ for layer in network.layers[:4]]
        assert (len(network.layers), kinds) == (238, ["InputLayer", "Rescaling", "Normalization", "Rescaling"])
        np.testing.assert_allclose(network.layers[3].scale, 1 / np.sqrt([0.229, 0.224, 0.225]), rtol=1e-6)


def test_automatic_names_are_those_of_a_first_build():
    keras.layers.Conv2D(1, 1), keras.layers.Add()
    automatic = [layer.name for layer in build(Backbone("xception", size=71), None).layers if "block" not in layer.name]
    first = ["input_layer", "conv2d", "batch_normalization", "add", "conv2d_1", "batch_normalization_1", "add_1"]
    assert automatic[:7] == first


def test_an_unknown_backbone_has_a_neighbour():
    with pytest.raises(UnknownBackbone) as error:
        record("resnet55")
    assert str(error.value) == "no backbone 'resnet55'; did you mean 'resnet50'? 'topwork backbones' lists them all."


def test_an_unknown_backbone_without_a_neighbour():
    with pytest.raises(UnknownBackbone) as error:
        record("xyz")
    assert str(error.value) == "no backbone 'xyz'. 'topwork backbones' lists them all."


def test_a_size_that_keras_cannot_build():
    with pytest.raises(BackboneError) as error:
        build(Backbone("xception", size=32), None)
    assert str(error.value) == (
        "Keras cannot build xception at 32 pixels: "
        "Input size must be at least 71x71; Received: input_shape=(32, 32, 3)."
    )


def own(*layers, shape=(8, 8, 3)):
    return keras.Sequential([keras.Input(shape), *layers, keras.layers.Conv2D(2, 1, name="last")])


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_network_of_your_own_is_opened_from_its_file(tmp_path, suffix):
    model = own(keras.layers.Conv2D(3, 3, name="first"))
    model.save(tmp_path / f"mine{suffix}")
    opened = open_backbone(Backbone("mine", size=8, model=str(tmp_path / f"mine{suffix}"), scale="unit"), None)
    assert [opened.graph.nodes[i].name for i in opened.graph.legal()] == ["input", "first", "last", "pool"]
    pixels = PIXELS[:, :8, :8]
    given = keras.Model(opened.tensors[0][0], opened.tensors[opened.graph.output][0])(pixels)
    expected = np.asarray(model(pixels.astype("float32") / 255))
    assert expected.std(axis=0).max() > 1e-3
    np.testing.assert_allclose(np.asarray(given), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_a_network_of_your_own_is_opened_in_float32_whatever_it_was_built_in(tmp_path, policy):
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy(policy)
    try:
        inner = own(keras.layers.BatchNormalization(name="norm"))
        start = keras.Input((8, 8, 3))
        wrapped = keras.layers.TimeDistributed(keras.layers.Dense(4, name="dense"), name="wrapped")(inner(start))
        cast = keras.ops.cast(keras.layers.Dropout(0.1, seed=1)(wrapped), "float16")
        model = keras.Model(start, keras.layers.Conv2D(2, 1, dtype="float64", name="end")(cast), name="mine")
    finally:
        keras.config.set_dtype_policy("float32")
    model.save(tmp_path / "mine.keras")
    found = build(Backbone("mine", size=8, model=str(tmp_path / "mine.keras")), None)
    floats = [v for v in found.variables if "float" in v.dtype]
    assert {v.dtype for v in floats} == {layer.compute_dtype for layer in found._flatten_layers()} == {"float32"}
    assert [layer.name for layer in found.layers] == [layer.name for layer in model.layers]
    pixels = PIXELS[:, :8, :8].astype("float32")
    expected = np.asarray(model(pixels, training=False)).astype("float32")
    assert expected.std(axis=0).max() > 1e-3
    np.testing.assert_allclose(np.asarray(found(pixels, training=False)), expected, rtol=0.02, atol=expected.std() / 20)
    for new, old in zip(found.weights, model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old).astype("float32"))


def test_a_network_with_its_channels_first_is_refused_in_words(tmp_path):
    keras.Sequential([keras.Input((3, 8, 8)), keras.layers.ReLU()]).save(tmp_path / "mine.keras")
    with pytest.raises(BackboneError, match=r"takes \(3, 8, 8\). Its channels come first: build it with data_format="):
        open_backbone(Backbone("mine", size=8, model=str(tmp_path / "mine.keras")), None)


def load_error(path):
    with pytest.raises(BackboneError) as error:
        build(Backbone("mine", size=8, model=str(path)), None)
    return str(error.value)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_layer_is_refused_with_the_reason(tmp_path, suffix):
    path = tmp_path / f"mine{suffix}"
    own(keras.layers.Lambda(lambda x: x)).save(path)
    assert load_error(path) == (
        f"cannot load the network '{path}': it holds a Lambda layer, whose code is not run. "
        "Expected a .keras or .h5 file that Keras 3 reads in its safe mode."
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mine.keras", "it is not a zip file, as a .keras file is. It may be damaged or cut short: copy it again."),
        ("mine.h5", "Unable to synchronously open file (file signature not found)."),
    ],
)
def test_a_file_that_is_no_network(tmp_path, name, reason):
    path = tmp_path / name
    path.write_text("hello")
    assert load_error(path) == (
        f"cannot load the network '{path}': {reason} Expected a .keras or .h5 file that Keras 3 reads in its safe mode."
    )


def test_a_network_that_is_not_there(tmp_path):
    with pytest.raises(WeightsError) as error:
        identity(Backbone("mine", size=8, model=str(tmp_path / "mine.keras")))
    assert str(error.value) == (
        f"no file '{tmp_path / 'mine.keras'}': backbones.mine.model is the path of a .keras or .h5 file."
    )


def test_a_network_of_your_own_needs_a_size():
    with pytest.raises(BackboneError) as error:
        catalogue.size(Backbone("mine", model="mine.keras"))
    start = "no size is set for your own network 'mine': give the side in pixels, as in "
    assert str(error.value) == f"{start}Backbone('mine', ..., size=224)."
    with pytest.raises(BackboneError) as error, at_command_line():
        catalogue.size(Backbone("mine", model="mine.keras"))
    assert str(error.value) == f"{start}--set backbones.mine.size=224."


@pytest.mark.parametrize("shape", [(16, 16, 3), (8, 8, 1), (8, 8, 8, 3)])
def test_a_network_that_takes_no_such_pixels(tmp_path, shape):
    path = tmp_path / "mine.keras"
    last = keras.layers.Conv3D if len(shape) == 4 else keras.layers.Conv2D
    keras.Sequential([keras.Input(shape), last(2, 1)]).save(path)
    with pytest.raises(BackboneError) as error:
        open_backbone(Backbone("mine", size=8, model=str(path)), None)
    assert str(error.value) == (
        f"cannot give pixels of shape (8, 8, 3) to 'mine': it takes {shape}. "
        "Expected a network for square RGB pictures, and its side as backbones.mine.size."
    )


@pytest.mark.parametrize("name", ["pixels", "pool", "scale"])
def test_a_layer_with_a_name_that_topwork_needs(tmp_path, name):
    path = tmp_path / "mine.keras"
    own(keras.layers.Conv2D(3, 3, name=name)).save(path)
    with pytest.raises(BackboneError) as error:
        open_backbone(Backbone("mine", size=8, model=str(path)), None)
    assert str(error.value) == (
        f"cannot cut 'mine': its layer '{name}' has a name that topwork needs. "
        f"Rename it: model.get_layer('{name}').name = 'my_{name}'."
    )


def test_such_a_name_in_a_model_that_is_cut_as_it_is():
    with pytest.raises(BackboneError) as error:
        open_model(own(keras.layers.Conv2D(3, 3, name="input")))
    assert "its layer 'input' has a name that topwork needs." in str(error.value)
    vector = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="pool"), keras.layers.Dense(2)])
    assert len(open_model(vector).graph.nodes) == 3, "no average is added, so the name is free"


def fit_error(path):
    with pytest.raises(BackboneError) as error:
        build(Backbone("mobilenet_v2_035", size=32), path)
    return str(error.value)


def test_weights_of_another_network(tmp_path):
    own().save(tmp_path / "other.h5")
    assert fit_error(tmp_path / "other.h5") == (
        f"the weights '{tmp_path / 'other.h5'}' do not fit mobilenet_v2_035: Layer count mismatch when loading weights "
        "from file. Model expected 104 layers, found 1 saved layers. "
        "Expected a .weights.h5 or .h5 file of this network, without its classifier. "
        "If it may be cut short, copy it again."
    )


@pytest.mark.parametrize("side", ["224", "96"])
def test_whose_official_file_it_is_by_its_name_is_told(tmp_path, side):
    file = tmp_path / f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_{side}_no_top.h5"
    own().save(file)
    assert fit_error(file).endswith(" without its classifier. Its name is that of the file for mobilenet_v2.")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("some.h5", "Unable to synchronously open file (file signature not found)."),
        ("some.keras", "File is not a zip file."),
    ],
)
def test_a_file_that_holds_no_weights(tmp_path, name, reason):
    (tmp_path / name).write_text("hello")
    assert fit_error(tmp_path / name) == (
        f"the weights '{tmp_path / name}' do not fit mobilenet_v2_035: {reason} "
        "Expected a .weights.h5 or .h5 file of this network, without its classifier. "
        "If it may be cut short, copy it again."
    )
