"""Law 3: committed activations are never computed again; and what a fill leaves in the store."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import topwork as tw
from tests.inference import outputs
from tests.tiny import NAME, tiny
from topwork.cut import Cut
from topwork.data.pictures import Fit, decode
from topwork.data.views import view
from topwork.errors import CutError, DatasetError, MachineError, StoreError, UnknownBackbone
from topwork.networks.graph import TensorSpec
from topwork.store.engines.local import Extraction
from topwork.store.examples import StoredActivations
from topwork.store.extract import extract
from topwork.store.fill import fill
from topwork.store.request import Request
from topwork.store.runtimes import base
from topwork.store.runtimes.base import Pixels
from topwork.store.store import Store, key

SMALL = tiny(precision="auto")


def requested(data, cut="pool", **options):
    backbone = base.resolved(replace(SMALL, **options))
    return Request(Cut.parse(f"{NAME}@{cut}").only, backbone, data)


def failures(request):
    with StoredActivations([request]) as stored:
        return stored.failures()


def filled(ask):
    """Run one extraction and return its events."""
    events = []
    with Extraction([ask], lambda **event: events.append(event)) as extraction:
        extraction.wait(0)
    return events


def computed(events):
    return sum(event["pictures"] for event in events if event["event"] == "plan")


@pytest.fixture
def data(pictures):
    return tw.read(pictures)


def test_law_3_only_what_is_new_is_computed(data, own_store, tmp_path):
    first = replace(data, rows=data.rows[:20])
    assert computed(filled(requested(first))) == 20
    assert computed(filled(requested(data))) == 40
    assert filled(requested(data)) == []
    other = tuple(replace(row, label="other", split="test") for row in data.rows)
    assert filled(requested(replace(data, rows=other))) == []


def test_law_3_a_number_and_a_name_are_one_cut(data, own_store):
    filled(requested(data, "block_12_add"))
    graph = requested(data).trunk.graph
    number = graph.nodes[graph.index("block_12_add")].layer + 1
    assert filled(requested(data, number)) == []


def test_another_key_is_another_store(data, own_store):
    folders = {
        ask.trunk.folder
        for ask in [
            requested(data),
            requested(data, "block_12_add"),
            requested(data, precision="float32"),
            requested(data, fit="crop"),
        ]
        if filled(requested(data)) is not None
    }
    assert len(folders) == (4 if SMALL and requested(data).backbone.precision == "bfloat16" else 3)


def test_both_runtimes_give_the_same(data, own_store):
    found = []
    for runtime in ("openvino", "keras"):
        backbone = tiny(runtime=runtime)
        found.append(tw.activations(data, f"{NAME}@block_12_add", backbone=backbone).astype("float32"))
    assert found[0].shape == (60, 4, 4, 16)
    assert found[0].std(0).max() > 0.1
    np.testing.assert_allclose(found[0], found[1], atol=2e-3 * np.abs(found[0]).max())


def test_activations_are_in_the_order_of_the_rows(data, own_store):
    everything = tw.activations(data, f"{NAME}@pool", backbone=SMALL)
    turned = replace(data, rows=data.rows[::-1])
    np.testing.assert_array_equal(tw.activations(turned, f"{NAME}@pool", backbone=SMALL), everything[::-1])


def test_several_tensors_are_a_list(data, own_store):
    found = tw.activations(data, f"{NAME}@28", backbone=SMALL)
    assert [a.shape for a in found] == [(60, 4, 4, 16), (60, 4, 4, 32)]


def test_pixels_are_kept_as_they_are(data, own_store):
    found = tw.activations(data, f"{NAME}@input", backbone=SMALL)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[7], decode(f"{data.root}/{data.rows[7].path}", Fit((32, 32))))


VIEWS = tw.Views(3, rotation=40.0, brightness=0.2)


def test_a_stored_view_is_that_view(data, own_store):
    ask = replace(requested(data, "input"), views=VIEWS)
    filled(ask)
    with ask.store() as store:
        for row in data.part("train")[:5]:
            found = store.read([ask.key(shot) for shot in ask.shots_of(row)])[0]
            pixels = decode(f"{data.root}/{row.path}", Fit((32, 32)))
            assert len(found) == 3
            for number, stored in enumerate(found):
                np.testing.assert_array_equal(stored, view(pixels, VIEWS, number, row.digest))
            assert (found[1] != found[0]).any() and (found[2] != found[1]).any()


def test_a_stored_views_activations_are_the_trunks(data, own_store):
    ask = replace(requested(data, "block_12_add", precision="float32"), views=VIEWS)
    filled(ask)
    trunk, _ = tw.halves(f"{NAME}@block_12_add", backbone=SMALL)
    rows = data.part("train")[:5]
    with ask.store() as store:
        found = store.read([ask.key(ask.shots_of(row)[2]) for row in rows])[0].astype("float32")
    fit = Fit((32, 32))
    pixels = [view(decode(f"{data.root}/{row.path}", fit), VIEWS, 2, row.digest) for row in rows]
    expected = outputs(trunk, np.stack(pixels))
    assert expected.std(0).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


def test_law_3_more_views_cost_those_that_are_new(data, own_store):
    def ask(count):
        return replace(requested(data), views=replace(VIEWS, count=count))

    train = len(data.part("train"))
    assert [len(ask(1).missing()), len(ask(3).missing())] == [60, 60 + 2 * train]
    assert computed(filled(ask(2))) == 60 + train
    assert computed(filled(ask(4))) == 2 * train
    assert filled(ask(3)) == []
    assert filled(requested(data)) == []


def test_arrays_are_pictures_too(own_store):
    draw = np.random.default_rng(0)
    X = draw.integers(0, 255, (12, 28, 28), dtype=np.uint8)
    data = tw.read((X, np.arange(12) % 3), draw="stratified", split=(0.5, 0.25, 0.25))
    assert tw.activations(data, f"{NAME}@pool", backbone=SMALL).shape == (12, 64)


def test_a_broken_picture_is_recorded_and_stops_nothing(tmp_path, own_store, pictures):
    import shutil

    folder = shutil.copytree(pictures, tmp_path / "data")
    (folder / "red" / "000.png").write_bytes((folder / "red" / "000.png").read_bytes()[:200])
    data = tw.read(folder)
    ask = extract(data, f"{NAME}@pool", SMALL)
    bad = failures(ask)
    (digest,) = bad
    assert next(row.path for row in data.rows if row.digest == digest) == "red/000.png"
    with pytest.raises(DatasetError) as error:
        tw.activations(data, f"{NAME}@pool", backbone=SMALL)
    assert str(error.value) == (
        f"no activations of 1 picture; the first is red/000.png: {bad[digest]}. "
        "Leave them out: topwork.read(..., decode=True) does."
    )
    assert filled(ask) == []


def test_unknown_words_are_refused_before_anything_begins(data, own_store):
    with pytest.raises(UnknownBackbone) as error:
        extract(data, "mobilnet@pool")
    assert str(error.value) == "no backbone 'mobilnet'; did you mean 'mobilenet'? 'topwork backbones' lists them all."
    with pytest.raises(CutError, match="did you mean 'block_12_add'"):
        extract(data, f"{NAME}@block_12_ad", SMALL)
    assert not (own_store / "store").exists()


def test_the_worker_that_is_killed_loses_what_was_not_committed_alone(data, own_store):
    ask = requested(data)
    with Extraction([ask], lambda **event: None) as extraction:
        extraction._worker.beside.process.kill()
        with pytest.raises(MachineError) as error:
            extraction.wait(0)
    assert str(error.value) == (
        "the extraction process ended with status -9 before it was done. What it committed is safe: run the same "
        "command again to continue. If it ends so again, it lacks memory: use a smaller size of pictures, or a smaller "
        "network."
    )
    assert computed(filled(ask)) == 60


def test_a_fill_goes_on_where_another_was_stopped(data, own_store, monkeypatch):
    """Laws 2 and 3 in one process: the runtime dies after some batches, and committed rows are not computed again."""
    ask = requested(data, "input")
    filled(ask)
    below = ask.trunk
    monkeypatch.setattr("topwork.store.fill.COMMIT_ROWS", 8)

    class Dying(Pixels):
        def stream(self, batches):
            for count, found in enumerate(super().stream(batches)):
                if count == 5:
                    raise RuntimeError("killed")
                yield found

    with Store(own_store / "other", below.tensors, {"cut": "x"}) as store:
        with pytest.raises(RuntimeError):
            fill(ask, store, Dying, lambda **event: None, 2)
        assert len(store) == 16
        events = []
        fill(ask, store, Pixels, lambda **event: events.append(event), 2)
        assert computed(events) == 44
        with ask.store() as whole:
            keys = [key(row.digest) for row in data.rows]
            np.testing.assert_array_equal(store.read(keys)[0], whole.read(keys)[0])


def test_a_full_disk_is_said_before_the_start(data, own_store, monkeypatch):
    ask = requested(data, "input")
    filled(ask)
    with Store(own_store / "other", ask.trunk.tensors, {"cut": "x"}) as store:
        monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(total=1000, used=990, free=10))
        with pytest.raises(StoreError) as error:
            fill(ask, store, Pixels, lambda **event: None, 2)
    assert str(error.value).startswith("not enough disk for the activations: ")


def test_values_that_are_not_finite_are_left_out(data, own_store):
    ask = requested(data, "input")
    filled(ask)

    class Broken:
        def stream(self, batches):
            for number, batch in enumerate(batches):
                rows = np.ones((len(batch), 3), np.float32)
                rows[0] = np.nan if number == 2 else 1
                yield [rows]

    with Store(own_store / "other", [TensorSpec((3,))], {"cut": "x"}) as store:
        fill(ask, store, Broken, lambda **event: None, 2)
        assert len(store) == 59
        assert len(store.failures(key(row.digest) for row in data.rows)) == 1
