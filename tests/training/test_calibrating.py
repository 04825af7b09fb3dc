"""Every kind of run gets a distance, and the complete model computes from pixels what was fitted on the store."""

import numpy as np
import pytest

import topwork as tw
from tests.tiny import NAME, tiny
from topwork.data.pictures import decode
from topwork.networks.outputs.complete import complete
from topwork.runs.restore import endings, restore
from topwork.scoring.answers import features_of
from topwork.store.examples import StoredActivations
from topwork.store.extract import fill_all

KINDS = {
    "solved": {"phases": [tw.Phase(f"{NAME}@pool")]},
    "solved again on all": {"phases": [tw.Phase(f"{NAME}@pool", refit=True)]},
    "two places": {"phases": [tw.Phase(f"{NAME}@block_13_project..block_13_project + {NAME}@pool")]},
    "hidden layers": {"phases": [tw.Phase(f"{NAME}@pool", epochs=2)], "head": "mlp"},
    "trained layers": {"phases": [tw.Phase(f"{NAME}@block_13_project", epochs=2)]},
    "views": {"phases": [tw.Phase(f"{NAME}@pool")], "views": tw.Views(count=2)},
    "live views": {"phases": [tw.Phase(f"{NAME}@pool", epochs=1)], "views": tw.Views(count=2, mode="live")},
}


SELDOM = ("two places", "solved again on all", "live views")


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.full] * (kind in SELDOM)) for kind in KINDS])
def test_the_distance_from_pixels_is_the_one_from_the_store(pictures, tmp_path, kind):
    run = tw.train(pictures, backbones=[tiny()], out=tmp_path / "run", progress=False, **KINDS[kind])
    folder, data = run.folder, run.data
    distance = folder.distance()
    assert distance
    network = restore(folder)
    rows = data.part("test")
    requests = fill_all(endings(folder)[0].exact(data), None)
    with StoredActivations(requests) as stored:
        below = [one.trunk for one in requests]
        features, logits = features_of(network, below, stored.examples(rows, data.classes))
    expected = distance.measures[0](features, logits)
    fit = network.inputs[0][1]
    pixels = np.stack([decode(f"{data.root}/{row.path}", fit) for row in rows])
    found = complete(network, distance).predict_on_batch(pixels)
    np.testing.assert_allclose(np.asarray(found["distance"]), expected, rtol=1e-3, atol=1e-3)
    assert np.mean(expected <= distance.threshold) > 0.5
    if "map" in found:
        places = np.asarray(found["map"])
        beyond = places.mean((1, 2)) - places.mean((1, 2, 3))[:, None]
        said = np.log(np.asarray(found["probabilities"]))
        np.testing.assert_allclose(beyond, said - said.mean(1, keepdims=True), atol=1e-3)
    assert ("map" in found) == (kind not in ("hidden layers", "two places"))


def test_a_run_without_a_distance_calls_nothing_unknown(pictures, tmp_path, monkeypatch):
    """As runs of earlier versions, and those with too few pictures."""
    monkeypatch.setattr("topwork.training.trainer.measured", lambda *_: None)
    run = tw.train(
        pictures, phases=[tw.Phase(f"{NAME}@pool")], backbones=[tiny()], out=tmp_path / "run", progress=False
    )
    assert run.folder.distance() is None
    predictor = run.export(tmp_path / "m.onnx", progress=False)
    (guess,) = predictor([str(next(pictures.rglob("*.png")))])
    assert (guess.known, guess.distance) == (None, None)
    assert "distance" not in predictor.about


def test_a_join_has_the_mean_of_its_members(pictures, tmp_path):
    data = tw.read(pictures)
    for name, place in (("a", "pool"), ("b", "block_13_project..block_13_project")):
        phases = [tw.Phase(f"{NAME}@{place}")]
        tw.train(data, phases=phases, backbones=[tiny()], out=tmp_path / name, progress=False)
    join = tw.join([tmp_path / "a", tmp_path / "b"], out=tmp_path / "join", progress=False)
    assert len(join.folder.distance().measures) == 2
    predictor = join.export(tmp_path / "m.onnx", progress=False)
    paths = [f"{data.root}/{row.path}" for row in data.part("val")]
    known = [guess.known for guess in predictor(paths)]
    assert np.mean(known) > 0.5
    assert predictor.about["distance"]["threshold"] == join.folder.distance().threshold
