"""Names of layers: whatever names your networks use, topwork's are all different and suit any exporter."""

import re

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from topwork.networks.layer_names import alike, operations, rename, safe, tell_apart

AWKWARD = ["conv 1", "conv_1", "conv/1", "花", "é", "logits", "own_logits", "head_x", "a:0", "$", "", "\n", "a.b-c"]
ANY = st.lists(st.one_of(st.sampled_from(AWKWARD), st.text("ab_1 é花/.$", max_size=5)), unique=True)


@settings(max_examples=60, deadline=None)
@given(ANY)
def test_safe_names_all_differ_and_suit_any_exporter(names):
    found = safe(names)
    assert len(set(found)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) and re.search("[A-Za-z0-9]", name) for name in found)
    assert not {"logits", "probabilities", "head_x"} & set(found)


def test_names_that_do_no_harm_stay():
    assert safe(["conv 1", "block_1.conv-2", "conv_1"]) == ["conv_1_1", "block_1.conv-2", "conv_1"]
    assert safe(["logits", "a b"], "head_") == ["head_logits", "head_a_b"]


def nested(*names):
    parts = [keras.Sequential([keras.Input((4,)), layers.Dense(4, name="dense")], name=name) for name in names]
    start = x = keras.Input((4,))
    for part in parts:
        x = part(x)
    return keras.Model(start, layers.Dense(4, name="last")(x))


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (("left", "right"), ["left_dense", "right_dense", "last"]),
        (("left", "left_dense"), ["left_dense", "left_dense_dense", "last"]),
        (("only",), ["dense", "last"]),
    ],
)
def test_layers_of_nested_models_that_are_called_alike(models, expected):
    network = nested(*models)
    tell_apart(network)
    assert [operation.name for operation in operations(network)] == expected
    assert alike(network) == []


def test_a_model_that_is_used_twice_keeps_its_names():
    part = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="dense")], name="part")
    start = keras.Input((4,))
    network = keras.Model(start, part(part(start)))
    assert alike(network) == []
    tell_apart(network)
    assert [operation.name for operation in operations(network)] == ["dense"]


def test_layers_inside_a_layer_are_renamed_as_well():
    layer = layers.SpectralNormalization(layers.Dense(4, name="a b"), name="é")
    layer.build((None, 4))
    rename([layer], "head_")
    assert (layer.name, layer.layer.name) == ("head__", "a_b")
