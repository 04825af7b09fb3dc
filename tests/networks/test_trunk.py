"""What identifies a trunk: its key in the store, and the graph that topwork keeps."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from topwork.cut import Cut
from topwork.data.pictures import Fit
from topwork.errors import CutError
from topwork.networks.backbones import efficientnet_lite0
from topwork.networks.graph import TensorSpec
from topwork.networks.keras_graph import open_backbone
from topwork.networks.trunk import graph_path, keep_graph, kept_graph, known_graph
from topwork.networks.weights import random_weights
from topwork.recipes.settings import Backbone
from topwork.store.request import resolve

SMALL = Backbone("mobilenet_025", "random", 32, runtime="openvino", precision="float32")


@cache
def graph():
    return open_backbone(SMALL, None).graph


def trunk(place, **options):
    return resolve(Cut.parse(f"mobilenet_025@{place}").only, replace(SMALL, **options), graph())


def test_a_trunk_gives_the_frontiers_tensors():
    assert trunk("pool").tensors == (TensorSpec((256,), "float32"),)
    assert trunk("conv_pw_1_relu").tensors == (TensorSpec((16, 16, 16), "float32"),)
    assert trunk("input").tensors == (TensorSpec((32, 32, 3), "uint8"),)


def test_a_place_that_is_none():
    with pytest.raises(CutError):
        trunk("nowhere")


def test_pictures_are_fitted_as_the_backbone_says():
    assert trunk("pool", fit="pad", resample="nearest").fit == Fit((32, 32), "pad", "nearest")


def test_a_number_and_a_name_are_one_store():
    number = 1 + next(node.layer for node in graph().nodes if node.name == "conv_pw_1_relu")
    assert trunk(number).folder == trunk("conv_pw_1_relu").folder
    assert trunk(number).converted == trunk("conv_pw_1_relu").converted


OTHERS = [{"size": 64}, {"scale": "unit"}, {"fit": "crop"}, {"resample": "nearest"}]
OTHERS += [{"runtime": "keras"}, {"precision": "bfloat16"}, {"weights": "random"}]


@pytest.mark.parametrize("options", OTHERS, ids=str)
def test_what_changes_the_activations_is_another_store(tmp_path, options):
    file = tmp_path / "some.weights.h5"
    file.write_bytes(b"abc")
    before = trunk("pool", weights=str(file)).folder
    assert trunk("pool", **{"weights": str(file), **options}).folder != before


def test_weights_are_their_bytes_wherever_they_lie(tmp_path):
    for name, written in {"one": b"abc", "two": b"abc", "three": b"abd"}.items():
        (tmp_path / name).write_bytes(written)
    one, two, three = (trunk("pool", weights=str(tmp_path / name)).folder for name in ("one", "two", "three"))
    assert one == two != three


@pytest.mark.parametrize("options", [{"fit": "crop"}, {"resample": "nearest"}, {"precision": "bfloat16"}], ids=str)
def test_what_changes_the_pictures_or_the_precision_alone_is_one_conversion(options):
    assert trunk("pool", **options).converted == trunk("pool").converted


def test_an_earlier_end_with_the_same_trunk_is_the_same_store():
    assert trunk("conv_pw_1_relu..conv_pw_5_relu").folder == trunk("conv_pw_1_relu").folder


def test_pixels_are_one_store_whatever_the_network():
    assert trunk("input").is_pixels
    assert trunk("input").folder == trunk("input", scale="unit", runtime="keras", precision="bfloat16").folder
    assert trunk("input").folder != trunk("input", size=64).folder
    assert not trunk("conv1").is_pixels


def test_a_graph_is_kept_whole(own_home):
    assert kept_graph(SMALL) is None
    keep_graph(SMALL, graph())
    assert kept_graph(SMALL) == known_graph(SMALL) == graph()
    assert len(list((own_home / "graphs").iterdir())) == 1


@pytest.mark.parametrize("options", [{"weights": "imagenet"}, {"precision": "bfloat16"}, {"fit": "crop"}], ids=str)
def test_a_graph_is_that_of_all_weights(own_home, options):
    keep_graph(SMALL, graph())
    assert kept_graph(replace(SMALL, **options)) == graph()


@pytest.mark.parametrize("options", [{"size": 64}, {"scale": "bgr_unit"}, {"name": "mobilenet_050"}], ids=str)
def test_a_graph_is_that_of_one_size_and_scale(own_home, options):
    keep_graph(SMALL, graph())
    assert kept_graph(replace(SMALL, **options)) is None


def test_a_graph_of_your_own_network_is_that_of_its_file(own_home, tmp_path):
    path = tmp_path / "mine.keras"
    path.write_bytes(b"one")
    mine = Backbone("mine", model=str(path), size=32)
    keep_graph(mine, graph())
    assert kept_graph(mine) == graph()
    path.write_bytes(np.random.default_rng(0).bytes(3))
    assert kept_graph(mine) is None


def test_another_build_of_topworks_own_network_is_another_store(own_home, monkeypatch):
    one = Backbone("efficientnet_lite0", "random", 32, runtime="openvino", precision="float32")
    theirs = open_backbone(one, None).graph

    def places():
        below = resolve(Cut.parse("efficientnet_lite0@block4c_add").only, one, theirs)
        assert below.description["build"] == efficientnet_lite0.BUILD
        return below.folder, below.converted, graph_path(one), random_weights.kept(one)

    before = places()
    monkeypatch.setattr(efficientnet_lite0, "BUILD", 2)
    assert not set(before) & set(places())
