"""Places, frontiers and prices: in small graphs made by hand, in random ones by brute force, in real networks."""

import json
from functools import cache

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topwork.errors import CutError
from topwork.networks.graph import Frontier, Graph, Node, Price
from topwork.networks.keras_graph import open_backbone, open_model
from topwork.recipes.settings import Backbone


def node(name, *inputs, shape=(2, 2, 3), layer=None, kind="Conv2D", dtype="float32", parameters=0, macs=0):
    return Node(name, kind, tuple((i, 0) for i in inputs), (shape,), dtype, layer, parameters, macs)


def skipped():
    """Return a network with a skip connection: layers 0 to 5, and the average pooling that topwork adds."""
    return Graph(
        "small",
        (
            node("input", kind="InputLayer", shape=(4, 4, 3), dtype="uint8", layer=0),
            node("stem", 0, layer=1, parameters=10, macs=100),
            node("left", 1, layer=2, parameters=20, macs=200),
            node("right", 1, layer=3, parameters=30, macs=300),
            node("add", 2, 3, layer=4),
            node("last", 4, layer=5, shape=(2, 2, 8), parameters=40, macs=400),
            node("pool", 5, shape=(8,)),
        ),
        output=5,
        pool=6,
    )


def scaled():
    """Return the same network with the steps that topwork puts between pixels and network: a flip and a scale."""
    graph = skipped()
    moved = tuple(
        Node(n.name, n.kind, tuple((i + 2, k) for i, k in n.inputs), n.shapes, n.dtype, n.layer)
        for n in graph.nodes[1:]
    )
    before = (graph.nodes[0], node("flip", 0, dtype="uint8"), node("scale", 1))
    return Graph("small", before + moved, graph.output + 2, graph.pool + 2)


@cache
def opened(name):
    return open_backbone(Backbone(name, "random"), None)


def real(name):
    return opened(name).graph


def names(graph, end="pool"):
    return [graph.nodes[i].name for i in graph.legal(end)]


def test_a_place_is_legal_where_its_tensor_alone_is_alive():
    assert names(skipped()) == ["input", "stem", "add", "last", "pool"]


def test_a_name_leaves_one_tensor():
    assert skipped().resolve("add") == Frontier(0b11111, ((4, 0),))


def test_a_number_leaves_what_it_leaves():
    assert skipped().resolve(3) == Frontier(0b111, ((1, 0), (2, 0)))
    assert [skipped().nodes[node].shapes[output] for node, output in skipped().resolve(3).tensors] == [(2, 2, 3)] * 2


def test_numbers_run_from_the_pixels_to_all():
    graph = skipped()
    assert graph.resolve(0) == graph.resolve(1) == graph.resolve("input") == Frontier(1, ((0, 0),))
    assert graph.resolve(6) == graph.resolve("pool") == Frontier(0b1111111, ((6, 0),))


@pytest.mark.parametrize("cut", [lambda graph: graph.resolve(7), lambda graph: graph.end(1000)])
def test_a_number_above_that_of_the_layers_is_refused(cut):
    with pytest.raises(
        CutError, match=r"cannot cut small at \d+: it has 6 layers, and the number is how many of them are frozen"
    ):
        cut(skipped())


def test_an_end_drops_what_it_does_not_need():
    graph = skipped()
    assert graph.end("left") == graph.end("pool") - 4 == 2
    assert names(graph, "left") == ["input", "stem", "left"]
    assert graph.resolve(4, "left") == Frontier(0b111, ((2, 0),))


def test_an_end_may_be_a_number():
    graph = skipped()
    assert graph.end(5) == graph.end("add")
    with pytest.raises(CutError) as error:
        graph.end(3)
    assert (
        str(error.value)
        == "cannot end small at 3: 2 tensors are alive there; expected one. Choose a place that has one tensor."
    )


def test_pool_is_the_output_where_that_is_no_map():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="a"), keras.layers.Dense(2, name="b")])
    graph = open_model(model).graph
    assert (graph.pool, graph.output) == (2, 2)
    assert graph.resolve("pool") == graph.resolve("b")


def test_numbers_of_a_sequential_model_count_its_layers():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="a"), keras.layers.Dense(2, name="b")])
    graph = open_model(model).graph
    assert [graph.resolve(n) for n in (0, 1, 2)] == [graph.resolve(name) for name in ("input", "a", "b")]


def test_pixels_are_kept_before_they_are_scaled():
    graph = scaled()
    assert names(graph) == names(skipped())
    for place in (0, 1, "input"):
        assert graph.resolve(place) == Frontier(1, ((0, 0),))
    assert graph.resolve("stem").tensors == ((3, 0),)


@pytest.mark.parametrize("word", ["flip", "scale"])
def test_what_scales_the_pixels_is_no_place(word):
    with pytest.raises(CutError) as error:
        scaled().resolve(word)
    assert str(error.value) == f"no place {word!r} in small. topwork.cuts('small') lists its places."


def test_a_layer_of_your_own_called_scale_is_a_place():
    layers = [keras.layers.Rescaling(1 / 255, name="scale"), keras.layers.Conv2D(2, 1, name="conv")]
    graph = open_model(keras.Sequential([keras.Input((8, 8, 3)), *layers])).graph
    assert names(graph) == ["input", "scale", "conv", "pool"]
    assert graph.resolve("scale").tensors == ((1, 0),)


def test_a_shared_layer_is_frozen_no_further_than_what_it_reads():
    start, dense = keras.Input((4,)), keras.layers.Dense(4, name="twice")
    middle = keras.layers.Dense(4, name="middle")
    graph = open_model(keras.Model(start, dense(middle(dense(start))))).graph
    assert [n.name for n in graph.nodes] == ["input", "twice", "middle", "twice:1"]
    assert graph.resolve(2) == graph.resolve("twice")


def test_an_unknown_place_without_a_neighbour():
    with pytest.raises(CutError) as error:
        skipped().index("xyz")
    assert str(error.value) == "no place 'xyz' in small. topwork.cuts('small') lists its places."


def test_an_unknown_end_has_a_neighbour():
    with pytest.raises(CutError) as error:
        skipped().resolve("input", "lst")
    assert str(error.value) == ("no place 'lst' in small; did you mean 'last'? topwork.cuts('small') lists its places.")


def test_several_that_are_alive_are_named():
    graph = Graph(
        "wide",
        (node("input"), node("a", 0), node("b", 0), node("c", 0), node("sum", 1, 2, 3), node("top", 4)),
        output=5,
        pool=5,
    )
    with pytest.raises(CutError) as error:
        graph.resolve("b")
    assert str(error.value) == (
        "cannot cut wide at 'b' with one tensor: 'input' is still read above it. Cut at 'input' below or 'sum' above."
    )


def test_two_that_are_alive_are_named():
    graph = Graph(
        "wide",
        (node("input"), node("a", 0), node("b", 1), node("c", 2), node("d", 1, 2, 3), node("e", 4)),
        output=5,
        pool=5,
    )
    with pytest.raises(CutError) as error:
        graph.resolve("c")
    assert str(error.value) == (
        "cannot cut wide at 'c' with one tensor: 'a', 'b' are still read above it. Cut at 'a' below or 'd' above."
    )


def test_prices_are_sums_below_and_above():
    assert skipped().prices() == [
        Price("input", (4, 4, 3), 0.047, 0, 0, 100, 1000),
        Price("stem", (2, 2, 3), 0.023, 10, 100, 90, 900),
        Price("add", (2, 2, 3), 0.023, 60, 600, 40, 400),
        Price("last", (2, 2, 8), 0.062, 100, 1000, 0, 0),
        Price("pool", (8,), 0.016, 100, 1000, 0, 0),
    ]


def test_prices_to_an_earlier_end_leave_the_rest_away():
    assert skipped().prices("left")[1] == Price("stem", (2, 2, 3), 0.023, 10, 100, 20, 200)


@st.composite
def graphs(draw):
    """Draw a random network, in which each node reads one to three earlier nodes."""
    count = draw(st.integers(2, 12))
    bare = draw(st.sets(st.integers(1, count - 1)))
    nodes, layer = [node("input", layer=0)], 0
    for i in range(1, count):
        layer += i not in bare
        inputs = draw(st.lists(st.integers(0, i - 1), min_size=1, max_size=3, unique=True))
        nodes.append(node(f"n{i}", *inputs, layer=None if i in bare else layer))
    return Graph("random", tuple(nodes), count - 1, count - 1)


def reached(graph, without=-1):
    """Return the nodes that can be reached from the input if the node *without* is taken out."""
    found = {0} - {without}
    for i, each in enumerate(graph.nodes):
        if i != without and any(source in found for source, _ in each.inputs):
            found.add(i)
    return found


def needed(graph, last):
    found = {last}
    for i in range(last, -1, -1):
        if i in found:
            found |= {source for source, _ in graph.nodes[i].inputs}
    return found


@settings(deadline=None)
@given(graphs(), st.integers(0, 11))
def test_legal_is_what_no_path_goes_round(graph, end):
    last = min(end, len(graph.nodes) - 1)
    expected = [i for i in sorted(needed(graph, last)) if last not in reached(graph, without=i)]
    assert graph.legal(graph.nodes[last].name) == expected


@settings(deadline=None)
@given(graphs(), st.integers(0, 11))
def test_a_place_resolves_exactly_where_it_is_legal(graph, place):
    place = min(place, len(graph.nodes) - 1)
    if place in graph.legal():
        assert graph.resolve(graph.nodes[place].name).tensors == ((place, 0),)
    else:
        with pytest.raises(CutError):
            graph.resolve(graph.nodes[place].name)


@settings(deadline=None)
@given(graphs(), st.integers(0, 13))
def test_the_frontier_of_a_number_is_what_the_rest_reads(graph, count):
    last = graph.pool
    count = min(count, 1 + max(node.layer or 0 for node in graph.nodes))
    used = needed(graph, last)
    frozen = {0}
    for i, each in enumerate(graph.nodes):
        is_first = each.layer is not None and each.layer < count
        is_bare = each.layer is None and count > 0
        if i and (is_first or is_bare) and {source for source, _ in each.inputs} <= frozen:
            frozen.add(i)
    frozen &= used
    read = {t for i in used - frozen for t in graph.nodes[i].inputs if t[0] in frozen}
    expected = Frontier(sum(1 << i for i in frozen), tuple(sorted(read)) or ((last, 0),))
    assert graph.resolve(count) == expected


@settings(deadline=None)
@given(graphs())
def test_json_gives_the_graph_back(graph):
    assert Graph.from_json(json.loads(json.dumps(graph.as_json()))) == graph


def test_json_gives_a_real_graph_back():
    graph = real("mobilenet_v2")
    again = Graph.from_json(json.loads(json.dumps(graph.as_json())))
    assert again == graph
    assert again.legal() == graph.legal()


LEGAL = {"vgg16": (19, 19), "resnet50": (39, 175), "inception_v3": (29, 311), "nasnet_mobile": (5, 769)}
"""How many layers leave one tensor alive, and how many layers there are: 100 %, 22 %, 9 %, 1 %."""


def legal_layers(name):
    graph = real(name)
    layers = [i for i, each in enumerate(graph.nodes) if each.layer is not None]
    return len(set(layers) & set(graph.legal())), len(layers)


@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
def test_legal_layers_of_real_networks(name):
    assert legal_layers(name) == LEGAL[name]


@pytest.mark.full
@pytest.mark.parametrize("name", ["inception_v3", "nasnet_mobile"])
def test_legal_layers_of_networks_of_many_branches(name):
    assert legal_layers(name) == LEGAL[name]


@pytest.mark.parametrize(
    ("name", "published"),
    [("mobilenet_v2", 300e6), ("resnet50", 3.86e9), ("vgg16", 15.3e9), ("efficientnet_b0", 0.39e9)],
)
def test_multiply_adds_are_those_published(name, published):
    """The numbers are from Sandler et al. 2018, table 4; He et al. 2015, table 1; Simonyan and
    Zisserman 2014; Tan and Le 2019, table 2.
    """
    assert real(name).prices()[-1].macs == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_b0"])
def test_parameters_are_those_that_keras_counts(name):
    tensors, prices = opened(name).tensors, real(name).prices()
    whole = keras.Model(tensors[0][0], tensors[real(name).output][0]).count_params()
    assert {price.parameters + price.trainable for price in prices} == {whole}
    assert (prices[0].parameters, prices[-1].parameters) == (0, whole)


def test_the_prices_of_mobilenet_v2():
    prices = {price.name: price for price in real("mobilenet_v2").prices()}
    assert next(iter(prices)) == "input"
    assert (prices["block_12_add"].shape, prices["block_12_add"].kilobytes) == ((14, 14, 96), 36.75)
    assert prices["input"].kilobytes == 147
    assert prices["pool"].kilobytes == 2.5


def test_a_graph_that_an_earlier_version_kept_is_read():
    """The earlier version called the multiply-accumulate operations ``multiply_adds``."""
    graph = Graph("g", (node("input"), node("stem", 0, layer=1, macs=100)), 1, 1)
    kept = graph.as_json()
    for row in kept["nodes"]:
        row["multiply_adds"] = row.pop("macs")
    assert Graph.from_json(json.loads(json.dumps(kept))) == graph
