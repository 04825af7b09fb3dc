"""The worker, run without a process of its own: its requests, its reports, and where it finds arrays."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

import topwork as tw
from tests import shelf
from tests.conftest import make_folder
from topwork.data.readers import read
from topwork.errors import StoreError
from topwork.networks import trunk
from topwork.store.engines import worker
from topwork.system.advice import is_command
from topwork.system.keras_settings import ours


def work(folder, requests, command=False):
    """Let the worker do a job and return its reports."""
    events = []
    (folder / "job").write_bytes(pickle.dumps((command, 1, requests)))
    with ours():  # otherwise the worker would require Keras' OpenVINO backend
        worker._work(str(folder / "job"), events.append)
    return events


@pytest.fixture
def data(tmp_path):
    return read(make_folder(tmp_path / "colours", each=2))


@pytest.fixture
def pixels(data, own_home):
    """Return a request for the pixels of the pictures, which needs no network."""
    one = shelf.request("input").of(data)
    trunk.keep_graph(one.backbone, shelf.GRAPH)
    return one


def stored(request):
    with request.store() as store:
        return store.read(list(request.by_key))[0]


def test_each_request_is_worked_off_and_reported_by_its_number(pixels, data, tmp_path):
    none = pixels.of(tw.Dataset(data.root, ()))
    events = work(tmp_path, {3: pixels, 5: none})
    assert [(event["event"], event.get("number")) for event in events] == [
        ("plan", None),
        ("progress", None),
        ("filled", 3),
        ("filled", 5),
    ]
    assert [event.get("exact") for event in events[:2]] == [False, False]
    np.testing.assert_array_equal(stored(pixels), [pixels.load(shot) for shot in pixels.by_key.values()])


def test_what_is_stored_is_not_done_again(pixels, tmp_path):
    work(tmp_path, {0: pixels})
    assert [event["event"] for event in work(tmp_path, {0: pixels})] == ["filled"]


def test_arrays_come_from_the_file_beside_the_job(own_home, tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    request = shelf.request("input").of(read((pictures, ["a", "b", "c"])))
    trunk.keep_graph(request.backbone, shelf.GRAPH)
    np.save(tmp_path / "job.npy", pictures)
    without = request.of(tw.Dataset(request.data.root, request.data.rows, pixels=pictures[:0]))
    work(tmp_path, {0: without})
    np.testing.assert_array_equal(stored(request), pictures)


def test_a_graph_that_is_missing_is_learned(data, own_home, tmp_path, monkeypatch):
    request = shelf.request("input")
    assert trunk.kept_graph(request.backbone) is None
    monkeypatch.setattr(worker, "_open", lambda backbone: SimpleNamespace(graph=shelf.GRAPH))
    work(tmp_path, {0: request.of(tw.Dataset(data.root, ()))})
    assert trunk.kept_graph(request.backbone) == shelf.GRAPH


@pytest.mark.parametrize("command", [False, True])
def test_advice_is_in_the_words_of_who_asked(pixels, tmp_path, monkeypatch, command):
    seen = []

    def full(*_):
        seen.append(is_command())
        raise StoreError("the disk is full")

    monkeypatch.setattr(worker, "fill", full)
    with pytest.raises(StoreError, match="the disk is full"):
        work(tmp_path, {0: pixels}, command)
    assert seen == [command]
    assert not is_command()
