"""The numbered layers agree with Keras' own list and with the cuts that they promise."""

import pytest

from tests.networks.test_graph import skipped
from topwork.errors import CutError
from topwork.networks.graph import numbered
from topwork.networks.places import graph_of
from topwork.recipes.settings import Backbone


def test_what_is_alive_at_a_name_and_at_a_number():
    found = [(layer.number, layer.name, layer.alive, layer.alive_before) for layer in numbered(skipped())]
    assert found == [
        (0, "input", 1, 1),
        (1, "stem", 1, 1),
        (2, "left", 2, 1),
        (3, "right", 2, 2),
        (4, "add", 1, 2),
        (5, "last", 1, 1),
    ]
    assert [layer.parameters for layer in numbered(skipped())] == [0, 10, 20, 30, 0, 40]


@pytest.mark.parametrize("name", ["mobilenet_v2_035", pytest.param("efficientnet_b0", marks=pytest.mark.full)])
def test_numbers_names_and_shapes_are_those_of_keras(name):
    import keras

    from topwork.networks.backbones import builder

    backbone = Backbone(name, "random", 32)
    layers = builder.build(backbone, None).layers
    found = numbered(graph_of(backbone))
    assert [layer.number for layer in found] == list(range(len(layers)))
    assert [layer.name for layer in found][1:] == [layer.name for layer in layers][1:]
    assert [layer.shape for layer in found][1:] == [layer.output.shape[1:] for layer in layers][1:]
    assert [layer.parameters for layer in found] == [layer.count_params() for layer in layers]
    assert isinstance(layers[0], keras.layers.InputLayer) and found[0].name == "input"


def test_a_name_is_a_cut_where_the_list_says_so():
    graph = graph_of(Backbone("mobilenet_v2_035", "random", 32))
    for layer in numbered(graph):
        assert len(graph.resolve(layer.number).tensors) == layer.alive_before
        if layer.is_cut:
            assert len(graph.resolve(layer.name).tensors) == 1
        else:
            with pytest.raises(CutError, match="with one tensor"):
                graph.resolve(layer.name)


@pytest.mark.full
def test_the_articles_freezes():
    """Freezing 249 or 64 layers cuts InceptionV3 at mixed8 or mixed1; 36 layers of Xception end at add_2.

    Freezing 35 layers of Xception leaves two tensors alive.
    """
    inception = numbered(graph_of(Backbone("inception_v3", "random", 75)))
    assert (len(inception), inception[248].name, inception[63].name) == (311, "mixed8", "mixed1")
    assert [inception[number].alive_before for number in (64, 249)] == [1, 1]
    xception = numbered(graph_of(Backbone("xception", "random", 71)))
    assert (len(xception), xception[35].name) == (132, "add_2")
    assert [xception[number].alive_before for number in (35, 36)] == [2, 1]
