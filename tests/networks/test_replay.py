"""A model's operations, run again one by one."""

import keras
import numpy as np

from topwork.networks.replay import flat_layers, functional, replay

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


def nested():
    """Return a model inside a model, with a shared layer, a bare operation and two tensors between the models."""
    start = keras.Input((4,))
    dense = keras.layers.Dense(4, name="shared")
    inner = keras.Model(start, [dense(start), keras.layers.ReLU(name="relu")(start)], name="inner")
    outer = keras.Input((4,))
    left, right = inner(outer)
    return keras.Model(outer, keras.layers.Dense(2, name="last")(dense(left) + right))


def run(model, call=None):
    goal, known = id(model.outputs[0]), {id(model.inputs[0]): X}
    return np.asarray((replay(model, known, call) if call else replay(model, known))[goal])


def test_it_gives_what_the_model_gives():
    model = nested()
    np.testing.assert_array_equal(run(model), np.asarray(model(X)))


def test_nested_models_are_entered():
    called = []

    def call(operation, args, kwargs):
        called.append(operation.name)
        return operation(*args, **kwargs)

    model = nested()
    run(model, call)
    assert sorted(called[:2]) == ["relu", "shared"]
    assert called[2:3] + called[-1:] == ["shared", "last"]
    assert "inner" not in called
    assert len(called) == 5


def test_what_an_operation_gives_can_be_changed():
    model = nested()

    def call(operation, args, kwargs):
        return args[0] if operation.name == "relu" else operation(*args, **kwargs)

    assert not np.array_equal(run(model, call), np.asarray(model(X)))


def test_what_is_known_is_not_computed():
    model = nested()
    middle = model.get_layer("last").input
    found = replay(model, {id(middle): X})
    np.testing.assert_array_equal(np.asarray(found[id(model.outputs[0])]), np.asarray(model.get_layer("last")(X)))
    assert len(found) == 2


def test_the_nodes_are_those_of_this_model_alone():
    """Cutting a model in halves adds nodes to its layers, and a layer's own list contains those of all models."""
    model = nested()
    keras.Model(model.inputs[0], model.get_layer("last")(model.get_layer("shared")(model.inputs[0])))
    np.testing.assert_array_equal(run(model), np.asarray(model(X)))


def test_layers_are_flattened_in_keras_order():
    assert [layer.name for layer in flat_layers(nested())][2:4] == ["shared", "relu"]
    sequential = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="a")])
    assert [layer.name for layer in flat_layers(sequential)] == ["a"]


def test_what_is_functional():
    sequential = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    assert functional(sequential) is sequential._functional
    assert functional(nested()) is not None
    assert functional(keras.layers.Dense(3)) is None
    assert functional(keras.Sequential([keras.layers.Dense(3)])) is None
