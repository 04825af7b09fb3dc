"""How often pictures of other classes are noticed: each class is left out in turn."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

import topwork as tw
from tests.command import topwork
from tests.tiny import NAME, tiny
from topwork.errors import RunError
from topwork.scoring.calibration import unknown as unknowns
from topwork.scoring.calibration.unknown import Unknown, auroc

VALUES = st.lists(st.integers(-3, 3), min_size=1, max_size=20)


@given(VALUES, VALUES)
def test_the_area_is_that_of_scikit_learn(known, others):
    expected = roc_auc_score([0] * len(known) + [1] * len(others), known + others)
    assert auroc(np.array(known, float), np.array(others, float)) == pytest.approx(expected)


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("unknown") / "run"
    return tw.train(pictures, phases=[tw.Phase(f"{NAME}@pool")], backbones=[tiny()], out=out, progress=False)


def test_each_class_is_left_out_and_all_its_pictures_are_strangers(run, pictures):
    found = run.unknown(progress=False)
    assert list(found.classes) == ["blue", "green", "red"]
    assert found.of == 3
    for label, one in found.classes.items():
        assert one.pictures == len([*(pictures / label).iterdir()])
        assert one.refused.low <= one.refused.value <= one.refused.high
    assert found.auroc.value == pytest.approx(np.mean([one.auroc for one in found.classes.values()]))
    assert found.auroc.low <= found.auroc.value <= found.auroc.high
    assert Unknown.from_json(found.as_json()) == found
    assert run.unknown(progress=False) == found


def test_other_colours_are_farther_away(run):
    assert run.unknown(progress=False).auroc.value > 0.6


def test_many_classes_are_drawn(run, monkeypatch):
    monkeypatch.setattr(unknowns, "MOST", 2)
    found = run.unknown(progress=False)
    assert (len(found.classes), found.of) == (2, 3)
    assert found.text.startswith("2 of the 3 classes were left out in turn.")


def test_the_command_prints_a_table_and_what_it_does_not_show(run, tmp_path):
    ran = topwork("evaluate", run.path, "--unknown")
    assert ran.status == 0
    assert ran.out.splitlines()[0].split() == ["left", "out", "pictures", "AUROC", "unknown", "95", "%", "interval"]
    assert "Each class was left out in turn." in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert json.loads(topwork("evaluate", run.path, "--unknown", "--json").out)["of"] == 3
    refused = topwork("evaluate", run.path, "--unknown", "--wrong", "--out", tmp_path / "out")
    assert refused.status == 2
    assert refused.err == (
        "UsageError: --unknown cannot be combined with --wrong and --out: measure one after the other.\n"
    )


def test_a_run_with_trained_layers_says_why_not(pictures, tmp_path):
    phases = [tw.Phase(f"{NAME}@block_13_project", epochs=1)]
    run = tw.train(pictures, phases=phases, backbones=[tiny()], out=tmp_path / "run", progress=False)
    with pytest.raises(RunError, match="Layers of the network were trained with all classes"):
        run.unknown(progress=False)


def test_two_classes_are_too_few(pictures, tmp_path):
    rows = tw.read(pictures)
    two = [row for row in rows.rows if row.label != "red"]
    listing = tmp_path / "two.csv"
    lines = "".join(f"{pictures / row.path},{row.label}\n" for row in two)
    listing.write_text(f"path,label\n{lines}")
    run = tw.train(listing, phases=[tw.Phase(f"{NAME}@pool")], backbones=[tiny()], out=tmp_path / "run", progress=False)
    with pytest.raises(RunError, match="The run has 2 classes, and 3 were expected, to leave one out"):
        run.unknown(progress=False)
