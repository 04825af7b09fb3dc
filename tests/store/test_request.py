"""A request is made once and sent unchanged, and has the same keys on both sides."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from tests import shelf
from topwork.data.dataset import Dataset, Row
from topwork.errors import CutError
from topwork.networks import trunk
from topwork.recipes.settings import Views

ROWS = (
    Row("a.png", "a" * 64, "x", "train"),
    Row("b.png", "b" * 64, "y", "test"),
    Row("again.png", "a" * 64, "x", "train"),
)


@pytest.fixture
def request_(own_home):
    one = replace(shelf.request("conv"), views=Views(3)).of(Dataset("/d", ROWS))
    trunk.keep_graph(one.backbone, shelf.GRAPH)
    return one


def test_what_is_sent_is_equal_and_has_the_same_keys(request_):
    _ = request_.trunk, request_.by_key
    sent = pickle.loads(pickle.dumps(request_))
    assert sent == request_
    assert sent.__dict__.keys() == request_.__dataclass_fields__.keys(), "what was derived goes with it"
    assert sent.by_key == request_.by_key
    assert sent.folder == request_.folder


def test_equal_pictures_are_asked_for_once(request_):
    assert len(request_.shots) == 7
    assert len(request_.by_key) == 4
    assert request_.repeated == 3


def test_keys_are_computed_once(request_, monkeypatch):
    found = request_.by_key
    monkeypatch.setattr(type(request_), "key", lambda self, shot: pytest.fail("computed again"))
    assert request_.by_key is found
    assert request_.missing() == list(found.values())


def test_a_trunk_is_resolved_once(request_, monkeypatch):
    first = request_.trunk
    monkeypatch.setattr("topwork.networks.trunk.known_graph", lambda backbone: pytest.fail("looked up again"))
    assert request_.trunk is first


def test_an_exact_request_is_float32_in_a_store_of_its_own(request_):
    exact = replace(request_, exact=True, backbone=replace(request_.backbone, precision="bfloat16"))
    assert exact.trunk.backbone.precision == "float32"
    assert exact.folder.name == request_.folder.name + "-float32"


def test_a_picture_that_the_data_do_not_have(request_):
    with pytest.raises(CutError, match="names the picture 'side': the data's pictures are 'path'"):
        replace(request_, term=replace(request_.term, picture="side")).of(Dataset("/d", ROWS))


def test_pixels_of_arrays_are_loaded_by_their_place(request_):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), np.uint8)
    data = Dataset("", (Row("X[2]", "c" * 64, "x", "test"),), pixels=pixels)
    one = request_.of(data)
    np.testing.assert_array_equal(one.load(one.shots[0]), pixels[2])
