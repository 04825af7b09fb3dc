"""Results are written as JSON objects with keys only for existing values, in a fixed order, and are read back."""

import json

import numpy as np

from topwork.runs.journal import Epoch
from topwork.runs.scores import AsStored, FoldResults, JoinResults, MemberScores, Rate, Results
from topwork.scoring.metrics import measure

SCORES = measure(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), ["cat", "dog"])
RATE = Rate(0.5, 0.25, 0.75)
ABOUT = {"accuracy": RATE, "pictures": {"cat": {"train": 8, "val": 1, "test": 1}}, "left_out": 1, "notes": ["One."]}
STORED = AsStored(
    backbone="vgg16",
    precision="bfloat16",
    dtype="float16",
    accuracy=0.5,
    largest_difference=0.1,
    top1_agreement=1.0,
    disagreements=0,
)
JOIN = JoinResults(
    rule="weighted",
    members=["a", "b"],
    weights=[0.25, 0.75],
    val_pictures=9,
    val_loss={"weighted": 0.4, "mean": 0.5, "members": [0.6, 0.7]},
)


def read_again(results):
    return type(results).from_json(json.loads(json.dumps(results.as_json(), allow_nan=False)))


def test_a_run():
    phases = [Epoch(phase=1, cut="vgg16@pool", epoch=2, val_loss=0.5, kept=True)]
    results = Results(**ABOUT, test=SCORES, phases=phases, as_stored=STORED, cost={"total": 1.5})
    keys = ["accuracy", "pictures", "left_out", "notes", "test", "sample", "phases", "as_stored", "cost"]
    assert list(results.as_json()) == keys
    assert results.as_json()["sample"] is None
    assert read_again(results) == results


def test_a_run_without_a_test_part():
    results = Results(**{**ABOUT, "accuracy": None}, phases=[Epoch(phase=1, cut="vgg16@pool", epoch=2)])
    assert list(results.as_json()) == ["accuracy", "pictures", "left_out", "notes", "phases", "cost"]
    assert read_again(results) == results


def test_a_join_has_the_scores_of_its_members():
    assert list(SCORES.as_json())[-1] == "intervals"
    members = [MemberScores(name, RATE, RATE) for name in ("a", "b")]
    scores = type(SCORES)(**{**vars(SCORES), "members": members})
    results = Results(**ABOUT, test=scores, sample=2000, join=JOIN)
    assert list(results.as_json())[4:] == ["test", "sample", "join", "cost"]
    assert results.as_json()["test"]["members"][1] == {
        "run": "b",
        "accuracy": {"value": 0.5, "low": 0.25, "high": 0.75},
        "loss": {"value": 0.5, "low": 0.25, "high": 0.75},
    }
    assert read_again(results) == results


def test_a_cross_validation():
    results = FoldResults(accuracy=RATE, folds=[0.4, 0.6], test=SCORES, notes=[])
    assert list(results.as_json()) == ["accuracy", "folds", "test", "notes"]
    assert read_again(results) == results
