"""Heads: which layers, from which seed."""

import keras
import numpy as np
import pytest

from topwork.errors import RecipeError
from topwork.heads import build
from topwork.recipe import Head

MAP = np.random.default_rng(0).normal(size=(5, 2, 2, 3)).astype("float32")


def names(head, shape=(7,)):
    return [layer.name for layer in build(head, shape, 4, 0).layers][1:]


def test_a_linear_head():
    assert names(Head()) == ["head_batch_norm", "head_dropout", "logits"]
    assert names(Head(batch_norm=False, dropout=0.0)) == ["logits"]


def test_an_mlp_has_its_layers_first():
    head = Head("mlp", units=(6, 5), activation="tanh")
    assert names(head) == ["head_dense_1", "head_dense_2", "head_batch_norm", "head_dropout", "logits"]
    layers = build(head, (7,), 4, 0).layers
    assert [(layer.units, layer.activation.__name__) for layer in layers[1:3]] == [(6, "tanh"), (5, "tanh")]


def test_a_head_ends_in_logits():
    model = build(Head(), (7,), 4, 0)
    assert (model.input_shape, model.output_shape) == ((None, 7), (None, 4))
    assert model.layers[-1].activation is keras.activations.linear


POOLED = {"avg": MAP.mean((1, 2)), "max": MAP.max((1, 2)), "flatten": MAP.reshape(5, 12)}


@pytest.mark.parametrize("pooling", POOLED)
def test_a_map_is_pooled(pooling):
    model = build(Head(pooling=pooling), MAP.shape[1:], 4, 0)
    pooled = keras.Model(model.input, model.layers[1].output)
    np.testing.assert_allclose(np.asarray(pooled(MAP)), POOLED[pooling], rtol=1e-6, atol=1e-7)


def test_a_vector_is_not():
    assert names(Head(pooling="max")) == names(Head())


def values(seed):
    return [array.tobytes() for array in build(Head("mlp", units=(7,)), (7,), 7, seed).get_weights()]


def test_a_seed_gives_the_same_values_and_another_seed_others():
    keras.utils.set_random_seed(1)
    first = values(5)
    keras.utils.set_random_seed(2)
    assert values(5) == first
    assert values(6)[0] != first[0]


def test_no_two_layers_begin_alike():
    weights = build(Head("mlp", units=(7, 7)), (7,), 7, 0).get_weights()
    kernels = {array.tobytes() for array in weights if array.shape == (7, 7)}
    assert len(kernels) == 3


def test_the_last_layer_starts_at_zero():
    assert not np.any(build(Head("mlp"), (7,), 4, 0)(np.ones((2, 7), "float32")))


def dropped(seed):
    model = build(Head(batch_norm=False, dropout=0.5), (50,), 4, seed)
    return np.asarray(keras.Model(model.input, model.layers[1].output)(np.ones((2, 50)), training=True))


def test_dropout_repeats():
    np.testing.assert_array_equal(dropped(3), dropped(3))
    assert (dropped(3) != dropped(4)).any()


def test_an_unknown_activation():
    with pytest.raises(RecipeError) as error:
        build(Head("mlp", activation="rleu"), (7,), 4, 0)
    message = str(error.value)
    assert message.startswith("no activation 'rleu'; did you mean 'relu'? Keras has: celu, elu, exponential, gelu, ")
    assert message.endswith(
        ", softsign, sparse_plus, sparse_sigmoid, sparsemax, squareplus, swish, tanh, tanh_shrink, threshold."
    )
