"""A fill in one process, with a runtime that is no network: what is decoded, computed, committed and recorded."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests import shelf
from tests.conftest import make_folder
from topwork.data.readers import read
from topwork.errors import DatasetError, PictureError, StoreError
from topwork.networks import trunk
from topwork.recipes.settings import Views
from topwork.store.fill import fill


class Means:
    """Outputs each picture's mean colour in eight values: as many as the network of `shelf` has at ``pool``."""

    trial, beside = 32, False

    def __init__(self):
        self.pictures = 0

    def stream(self, batches):
        for batch in batches:
            self.pictures += len(batch)
            yield [batch.mean((1, 2)).repeat(3, 1)[:, :8].astype("float32") / 255]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return read(make_folder(tmp_path_factory.mktemp("fill") / "colours", each=30))


@pytest.fixture
def request_(data, own_home):
    one = shelf.request("pool").of(data)
    trunk.keep_graph(one.backbone, shelf.GRAPH)
    return one


def filled(request, ready=None):
    """Fill the store and return the runtime and the events."""
    events, ready = [], ready or Means()
    with request.store() as store:
        fill(request, store, lambda: ready, lambda **event: events.append(event), 2)
    return ready, events


def stored(request):
    with request.store() as store:
        return store.read(list(request.by_key))[0].astype("float32")


def expected(request):
    pixels = np.stack([request.load(shot) for shot in request.by_key.values()])
    return pixels.mean((1, 2)).repeat(3, 1)[:, :8] / 255


def test_every_picture_is_stored_under_its_own_key(request_):
    ready, events = filled(request_)
    assert ready.pictures == 90
    assert [(event["event"], event.get("pictures")) for event in events] == [("plan", 90), ("progress", None)]
    assert (events[-1]["done"], events[-1]["total"]) == (90, 90)
    np.testing.assert_allclose(stored(request_), expected(request_), atol=1e-3)
    assert expected(request_).std(0).max() > 0.1


def test_law_3_what_is_there_is_not_computed_again(request_, data):
    filled(request_.of(replace(data, rows=data.rows[:31])))
    ready, events = filled(request_)
    assert (ready.pictures, events[0]["pictures"]) == (59, 59)
    ready, events = filled(request_)
    assert (ready.pictures, events) == (0, [])
    np.testing.assert_allclose(stored(request_), expected(request_), atol=1e-3)


def test_commits_come_every_so_many_rows(request_, monkeypatch):
    monkeypatch.setattr("topwork.store.fill.COMMIT_ROWS", 16)
    sizes, write = [], type(request_.store()).write

    def counted(store, keys, arrays):
        sizes.append(len(keys))
        return write(store, keys, arrays)

    monkeypatch.setattr("topwork.store.store.Store.write", counted)
    _, events = filled(request_)
    assert sum(sizes) == 90 and max(sizes[:-1]) < 16 + 4
    done = [event["done"] for event in events[1:]]
    assert done == sorted(done) and done[-1] == 90 and len(done) == len(sizes) + (done[-1] == sum(sizes[:-1]))


def test_views_of_training_rows_alone_are_computed(request_, data):
    one = replace(request_, views=Views(3, rotation=30.0))
    ready, events = filled(one)
    assert ready.pictures == 90 + 2 * len(data.part("train"))
    assert events[0]["views"] is True
    np.testing.assert_allclose(stored(one), expected(one), atol=1e-3)


def test_equal_pictures_are_computed_once(request_, data):
    twice = request_.of(replace(data, rows=data.rows + tuple(replace(row, label="other") for row in data.rows[:5])))
    assert filled(twice)[0].pictures == 90


def test_a_picture_that_cannot_be_decoded_is_recorded_and_the_others_are_stored(request_, data, monkeypatch):
    bad, load = data.rows[7].path, type(request_).load

    def loaded(one, shot):
        if shot.path == bad:
            raise PictureError("it is no picture")
        return load(one, shot)

    monkeypatch.setattr(type(request_), "load", loaded)
    assert filled(request_)[0].pictures == 89
    with request_.store() as store:
        assert store.failures(request_.by_key) == {request_.key(request_.shots[7]): "it is no picture"}
        assert len(store) == 89
    assert filled(request_)[1] == [], "what failed is not tried again"


def test_a_picture_that_is_gone_stops_the_fill_and_is_not_recorded(tmp_path, request_):
    data = read(make_folder(tmp_path / "gone", each=2, first=900))
    one = request_.of(data)
    (tmp_path / "gone" / "red" / "001.png").unlink()
    with pytest.raises(DatasetError, match=r"red/001\.png' existed when the data was read"):
        filled(one)
    with one.store() as store:
        assert store.failures(one.by_key) == {}


def test_a_picture_that_changed_stops_the_fill(tmp_path, request_):
    data = read(make_folder(tmp_path / "changed", each=2, first=901))
    path = tmp_path / "changed" / "red" / "000.png"
    path.write_bytes((tmp_path / "changed" / "red" / "001.png").read_bytes())
    with pytest.raises(DatasetError, match="changed after the data was read"):
        filled(request_.of(data))


def test_a_disk_that_is_too_small_is_found_before_anything_runs(request_, monkeypatch):
    ready = Means()
    with request_.store() as store:
        monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(total=1000, used=990, free=10))
        with pytest.raises(StoreError, match="not enough disk for the activations"):
            fill(request_, store, lambda: ready, lambda **event: None, 2)
    assert ready.pictures == 0


def test_values_too_large_for_float16_are_computed_again_in_float32(request_, monkeypatch):
    class Growing(Means):
        def stream(self, batches):
            for number, (found,) in enumerate(super().stream(batches)):
                yield [np.where(found > 0.5, 1e5, found).astype("float32") if number > 4 else found]

    monkeypatch.setattr("topwork.store.fill.COMMIT_ROWS", 8)
    _, events = filled(request_, Growing())
    assert Counter(event["event"] for event in events)["plan"] == 2
    with request_.store() as store:
        assert store.stored == ["float32"]
        assert store.missing(request_.by_key) == []
    assert stored(request_).max() == 1e5
