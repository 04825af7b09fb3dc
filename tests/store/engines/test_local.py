"""One worker process serves all extractions of a command, and may begin before the pictures are known."""

import time
from dataclasses import replace

import numpy as np
import pytest

import topwork as tw
from tests import shelf
from tests.conftest import make_folder
from tests.tiny import NAME, tiny
from topwork.cut import Cut
from topwork.errors import BackboneError
from topwork.networks import trunk
from topwork.store.engines.local import Extraction, begin, one_worker
from topwork.store.request import Request
from topwork.store.runtimes import base

SMALL = Request(Cut.parse(f"{NAME}@pool").only, base.resolved(tiny()))


@pytest.fixture
def data(tmp_path):
    return tw.read(make_folder(tmp_path / "colours", each=2))


def extraction(*requests):
    return Extraction(requests, lambda **_: None)


def stored(request):
    with request.store() as store:
        return store.read(list(request.by_key))[0]


def test_extractions_share_a_worker_which_ends_with_the_context(data, own_home):
    pixels = shelf.request("input").of(data)  # needs no network
    trunk.keep_graph(pixels.backbone, shelf.GRAPH)
    drawn = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    others = [pixels.of(tw.read((drawn[part], ["x", "y"]))) for part in (slice(2), slice(2, 4))]
    workers = []
    with one_worker():
        for request in (pixels, *others):
            with extraction(request) as running:
                running.wait(0)
            workers.append(running._worker)
        assert workers[0].beside.process.poll() is None
    assert len(set(workers)) == 1
    assert workers[0].beside.process.poll() is not None
    for number, request in enumerate(others):
        np.testing.assert_array_equal(np.sort(stored(request), 0), np.sort(drawn[2 * number : 2 * number + 2], 0))


def test_a_worker_that_is_not_done_ends_with_its_extraction(data, own_home):
    pixels = shelf.request("input").of(data)
    trunk.keep_graph(pixels.backbone, shelf.GRAPH)
    with one_worker():
        with extraction(pixels) as stopped:
            pass
        assert stopped._worker.beside.process.poll() is not None
        with pytest.raises(ZeroDivisionError), extraction(pixels) as failed:
            failed.wait(0) or 1 // 0
        assert failed._worker.beside.process.poll() is not None


def test_a_worker_that_cannot_be_asked_ends(data, own_home, monkeypatch):
    """The disk for temporary files is full."""
    pixels = shelf.request("input").of(data)
    trunk.keep_graph(pixels.backbone, shelf.GRAPH)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    refused = extraction(pixels)
    with pytest.raises(OSError, match="No space left"):
        refused.__enter__()
    assert refused._worker.beside.process.poll() is not None


def test_a_network_is_opened_before_the_pictures_are_known(data, own_home):
    with one_worker():
        begin([SMALL])
        begin([SMALL])
        until = time.monotonic() + 60
        while trunk.kept_graph(SMALL.backbone) is None:
            assert time.monotonic() < until
            time.sleep(0.02)
        with extraction(SMALL.of(data)) as running:
            running.wait(0)
        begin([SMALL])  # the network is known now
    assert len(stored(SMALL.of(data))) == len({row.content for row in data.rows})


def test_what_goes_wrong_early_is_raised_by_the_extraction(data, own_home, tmp_path):
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    request = Request(Cut.parse("mobilenet_025@pool").only, base.resolved(replace(shelf.NET, weights=str(damaged))))
    with one_worker():
        begin([request])
        with extraction(request.of(data)) as running, pytest.raises(BackboneError, match=r"damaged\.h5"):
            running.wait(0)


def test_outside_the_context_nothing_begins_early(own_home, monkeypatch):
    monkeypatch.setattr("topwork.store.engines.local._Worker", None)
    begin([SMALL])
