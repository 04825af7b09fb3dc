"""Heads: the layers that they have, and the seed that their values come from."""

import keras
import numpy as np
import pytest

from topwork.errors import BackboneError, RecipeError
from topwork.networks import heads
from topwork.networks.heads import LinearHead, build, opened
from topwork.recipes.settings import Head

MAP = np.random.default_rng(0).normal(size=(5, 2, 2, 3)).astype("float32")


def names(head, shape=(7,)):
    return [layer.name for layer in build(head, [shape], 4, 0).layers][1:]


def test_a_linear_head():
    assert names(Head()) == ["head_batch_norm", "head_dropout", "logits"]
    assert names(Head(batch_norm=False, dropout=0.0)) == ["logits"]


def test_an_mlp_has_its_layers_first():
    head = Head("mlp", units=(6, 5), activation="tanh")
    assert names(head) == ["head_dense_1", "head_dense_2", "head_batch_norm", "head_dropout", "logits"]
    layers = build(head, [(7,)], 4, 0).layers
    assert [(layer.units, layer.activation.__name__) for layer in layers[1:3]] == [(6, "tanh"), (5, "tanh")]


def test_batch_norm_before_every_dense_layer():
    head = Head("mlp", units=(6, 5), dropout=0.0, batch_norm_at="every")
    dense = ["head_batch_norm_1", "head_dense_1", "head_batch_norm_2", "head_dense_2"]
    assert names(head) == [*dense, "head_batch_norm", "logits"]
    assert names(Head("mlp", units=(6,), dropout=0.0, batch_norm=False, batch_norm_at="every")) == [
        "head_dense_1",
        "logits",
    ]
    assert names(Head(batch_norm_at="every")) == names(Head())


def test_a_head_ends_in_logits():
    model = build(Head(), [(7,)], 4, 0)
    assert (model.input_shape, model.output_shape) == ((None, 7), (None, 4))
    assert model.layers[-1].activation is keras.activations.linear


POOLED = {"avg": MAP.mean((1, 2)), "max": MAP.max((1, 2)), "flatten": MAP.reshape(5, 12)}


@pytest.mark.parametrize("pooling", POOLED)
def test_a_map_is_pooled(pooling):
    model = build(Head(pooling=pooling), [MAP.shape[1:]], 4, 0)
    pooled = keras.Model(model.input, model.layers[1].output)
    np.testing.assert_allclose(np.asarray(pooled(MAP)), POOLED[pooling], rtol=1e-6, atol=1e-7)


def test_a_vector_is_not():
    assert names(Head(pooling="max")) == names(Head())


def values(seed):
    return [array.tobytes() for array in build(Head("mlp", units=(7,)), [(7,)], 7, seed).get_weights()]


def test_a_seed_gives_the_same_values_and_another_seed_others():
    keras.utils.set_random_seed(1)
    first = values(5)
    keras.utils.set_random_seed(2)
    assert values(5) == first
    assert values(6)[0] != first[0]


def test_no_two_layers_begin_alike():
    weights = build(Head("mlp", units=(7, 7)), [(7,)], 7, 0).get_weights()
    kernels = {array.tobytes() for array in weights if array.shape == (7, 7)}
    assert len(kernels) == 3


def test_the_last_layer_starts_at_zero():
    assert not np.any(build(Head("mlp"), [(7,)], 4, 0)(np.ones((2, 7), "float32")))


def dropped(seed):
    model = build(Head(batch_norm=False, dropout=0.5), [(50,)], 4, seed)
    return np.asarray(keras.Model(model.input, model.layers[1].output)(np.ones((2, 50)), training=True))


def test_dropout_repeats():
    np.testing.assert_array_equal(dropped(3), dropped(3))
    assert (dropped(3) != dropped(4)).any()


def test_several_ends_are_pooled_and_joined():
    model = build(Head(batch_norm=False, dropout=0.0), [MAP.shape[1:], (4,)], 5, 0)
    assert [tensor.name for tensor in model.inputs] == ["end_1", "end_2"]
    joined = keras.Model(model.inputs, model.get_layer("head_join").output)
    other = np.ones((5, 4), "float32")
    np.testing.assert_allclose(np.asarray(joined([MAP, other])), np.hstack([POOLED["avg"], other]), rtol=1e-6)


def test_an_initializer_by_name():
    first, second = (
        build(Head("mlp", kernel_initializer=name), [(7,)], 4, 0).layers[1] for name in ("he_normal", "glorot_uniform")
    )
    assert isinstance(first.kernel_initializer, keras.initializers.HeNormal)
    assert first.kernel_initializer.seed == 1
    assert isinstance(second.kernel_initializer, keras.initializers.GlorotUniform)


def test_an_unknown_initializer():
    with pytest.raises(RecipeError) as error:
        build(Head("mlp", kernel_initializer="he_normla"), [(7,)], 4, 0)
    assert str(error.value) == (
        "no initializer 'he_normla'; did you mean 'he_normal'? Keras has: glorot_normal, glorot_uniform, he_normal, "
        "he_uniform, lecun_normal, lecun_uniform, orthogonal, random_normal, random_uniform, truncated_normal, "
        "variance_scaling."
    )


def own(path, *shapes, classes=4, activation=None):
    starts = [keras.Input(shape) for shape in shapes]
    x = keras.layers.Concatenate()(starts) if len(starts) > 1 else starts[0]
    keras.Model(starts, keras.layers.Dense(classes, activation=activation, name="last")(x)).save(path)
    return Head(file=str(path))


def test_a_head_of_your_own(tmp_path):
    head = own(tmp_path / "mine.keras", (7,), (3,))
    model = build(head, [(7,), (3,)], 4, 0)
    assert model.layers[-1].name == "head_last", "names may not meet the backbone's"
    again = build(head, [(7,), (3,)], 4, 0)
    x = [np.ones((2, 7)), np.ones((2, 3))]
    np.testing.assert_array_equal(np.asarray(model(x)), np.asarray(again(x)))


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        ([(8,)], {}, "takes [(None, 8)]: expected [(None, 7)], the shapes at the ends of the backbones."),
        (
            [(7,), (7,)],
            {},
            "takes [(None, 7), (None, 7)]: expected [(None, 7)], the shapes at the ends of the backbones.",
        ),
        ([(7,)], {"classes": 3}, "gives (None, 3): expected one tensor (None, 4), a logit for each class."),
        (
            [(7,)],
            {"activation": "softmax"},
            "ends in a softmax: expected logits. Remove it; topwork adds one.",
        ),
    ],
)
def test_a_head_of_your_own_that_does_not_fit(tmp_path, shapes, options, message):
    head = own(tmp_path / "mine.keras", *shapes, **options)
    with pytest.raises(BackboneError) as error:
        build(head, [(7,)], 4, 0)
    assert str(error.value) == f"the head {head.file!r} {message}"


def test_a_head_that_keras_cannot_load(tmp_path):
    path = tmp_path / "mine.keras"
    path.write_bytes(b"no archive")
    with pytest.raises(BackboneError) as error:
        opened(path, 4)
    assert str(error.value).startswith(f"cannot load the head {str(path)!r}: ")
    assert str(error.value).endswith("Expected a .keras or .h5 file that Keras 3 reads in its safe mode.")


def test_a_head_with_code_of_its_own(tmp_path):
    start = keras.Input((7,))
    keras.Model(start, keras.layers.Dense(4)(keras.layers.Lambda(lambda x: x)(start))).save(tmp_path / "mine.keras")
    with pytest.raises(BackboneError) as error:
        opened(tmp_path / "mine.keras", 4)
    assert str(error.value).startswith(
        f"cannot load the head '{tmp_path / 'mine.keras'}': it holds a Lambda layer, whose code is not run. "
    )


def test_an_unknown_activation():
    with pytest.raises(RecipeError) as error:
        build(Head("mlp", activation="rleu"), [(7,)], 4, 0)
    message = str(error.value)
    assert message.startswith("no activation 'rleu'; did you mean 'relu'? Keras has: celu, elu, exponential, gelu, ")
    assert message.endswith(", softsign, sparse_plus, sparse_sigmoid, sparsemax, squareplus, swish, tanh, tanh_shrink.")


def test_the_spread_of_features_is_their_variance_against_their_size():
    mean, variance = np.array([1.0, 3.0], np.float32), np.array([0.5, 1.5], np.float32)
    one, zero = np.ones(2, np.float32), np.zeros(2, np.float32)
    head = LinearHead(np.zeros((2, 3), np.float32), np.zeros(3, np.float32), (one, zero, mean, variance))
    assert head.spread == pytest.approx(1.0 / 5.0)
    assert LinearHead(head.kernel, head.bias).spread is None
    assert LinearHead(head.kernel, head.bias, (one, zero, zero, variance)).spread is None


def test_batch_norm_of_a_head_follows_its_input_quickly():
    model = heads.build(Head("mlp", batch_norm_at="every"), [(4,)], 3, 0)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 2
    assert all(layer.momentum == heads.MOMENTUM for layer in norms)
