"""Choosing on few pictures, with random weights: what is read, what is computed, and what is reported."""

import json
import re
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

import topwork as tw
from tests.command import SMALL, Ran, topwork
from tests.conftest import make_folder
from topwork.cut import Cut
from topwork.data.dataset import Dataset, Row
from topwork.errors import CutError, DatasetError, UsageError, WeightsError
from topwork.scoring import metrics
from topwork.scoring.choosing import choose as module
from topwork.scoring.choosing.choose import subset
from topwork.scoring.choosing.probe import logme, probe
from topwork.store.extract import requested

NAME = "mobilenet_v2_035"
CUTS = [f"{NAME}@pool", f"{NAME}@block_2_add..block_2_add"]
OPTIONS = {"weights": "random", "size": 32}
ONE_CLASS = (
    "cannot choose with fewer than two classes among the pictures that can be read and are not of the test part: "
    "add pictures, or draw another split."
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Read 60 pictures that no other test stores; 15 of each class are for training or validation."""
    return tw.read(
        make_folder(tmp_path_factory.mktemp("own") / "colours", first=700), split=(0.6, 0.15, 0.25), draw="stratified"
    )


@pytest.fixture(scope="module")
def found(data):
    return tw.choose(data, CUTS, **OPTIONS)


def test_the_test_part_is_never_looked_at(data, found):
    assert found.pictures == 45
    for cut in CUTS:
        (ask,) = requested(data, Cut.parse(cut), [tw.Backbone(NAME, **OPTIONS)])
        left = {shot.content for shot in ask.missing()}
        assert left == {row.digest for row in data.part("test")}


def test_the_scores_are_those_of_the_pooled_activations(data, found):
    from sklearn.model_selection import StratifiedKFold

    rows = [row for row in data.rows if row.split != "test"]
    labels = np.array([row.label for row in rows])
    assert {one.cut for one in found.candidates} == set(CUTS)
    for one in found.candidates:
        place = one.cut.partition("@")[2].partition("..")[0]
        maps = tw.activations(replace(data, rows=tuple(rows)), f"{NAME}@{place}", backbone=tw.Backbone(NAME, **OPTIONS))
        values = maps.astype(np.float32).mean((1, 2)) if maps.ndim > 2 else maps.astype(np.float32)
        folds = StratifiedKFold(5, shuffle=True, random_state=0).split(values, labels)
        right = probe(values, labels, [list(test) for _, test in folds])
        assert right.tolist() == one.right.tolist()
        assert one.accuracy == metrics.share(int(one.right.sum()), 45)
        assert one.logme == pytest.approx(logme(values, labels), abs=1e-6)
        assert one.features == values.shape[1]
    assert len({one.logme for one in found.candidates}) == 2


def test_prices_are_those_of_the_price_list(found):
    prices = {price.name: price for price in tw.cuts(NAME, backbone=tw.Backbone(NAME, **OPTIONS))}
    pool, early = (next(one for one in found.candidates if one.cut == cut) for cut in CUTS)
    for one, price in ((pool, prices["pool"]), (early, prices["block_2_add"])):
        assert (one.parameters, one.macs, one.macs_above) == (
            price.parameters,
            price.macs,
            0,
        )
        assert one.kilobytes == pytest.approx(price.kilobytes, abs=1e-3)  # float16 in both
        assert 60 * one.kilobytes * 1024 < one.disk_bytes < 4 * 60 * one.kilobytes * 1024 + 60 * 200
    assert early.cost < pool.cost


def test_time_is_told_where_it_was_measured(data, found, capsys):
    assert all(0 < one.milliseconds < 1000 for one in found.candidates)
    again = tw.choose(data, CUTS, **OPTIONS)
    assert capsys.readouterr().err == ""  # nothing was computed
    assert [one.milliseconds for one in again.candidates] == [None, None]
    for one, other in zip(found.candidates, again.candidates, strict=True):
        assert (one.cut, one.accuracy, one.p) == (other.cut, other.accuracy, other.p)
        np.testing.assert_array_equal(one.right, other.right)


def test_what_tells_the_classes_apart_wins(data):
    """The classes differ in colour, so the mean pixel is enough to tell them apart, and it costs nothing."""
    cuts = [f"{NAME}@block_15_add..block_15_add", f"{NAME}@input..input"]
    found = tw.choose(data, cuts, **OPTIONS)
    assert (found.best.cut, found.best.accuracy.value) == (f"{NAME}@input..input", 1.0)
    assert (found.best.features, found.best.macs) == (3, 0)
    assert found.proposed is found.best


def test_a_sum_shares_layers(data, found):
    pool = next(one for one in found.candidates if one.cut == CUTS[0])
    both = tw.choose(data, [f"{NAME}@block_2_add..block_2_add + {NAME}@pool"], **OPTIONS).best
    assert (both.parameters, both.macs) == (pool.parameters, pool.macs)
    assert both.features == sum(one.features for one in found.candidates)
    assert both.kilobytes == pytest.approx(sum(one.kilobytes for one in found.candidates))


def test_a_place_that_trains_to_the_end_says_what_is_above(data):
    (one,) = tw.choose(data, [f"{NAME}@block_2_add"], **OPTIONS).candidates
    whole = tw.cuts(NAME, backbone=tw.Backbone(NAME, **OPTIONS))[-1]
    assert one.macs + one.macs_above == whole.macs
    assert 0 < one.macs < whole.macs


def rows(**counts):
    return tuple(
        Row(f"{label}{i}.png", sha256(f"{label}{i}".encode()).hexdigest(), label, "train")
        for label, count in counts.items()
        for i in range(count)
    )


def test_a_subset_is_balanced_seeded_and_in_reading_order():
    data = Dataset("/d", rows(a=50, b=50, c=4))
    some = subset(data, 24)
    assert [sum(row.label == label for row in some.rows) for label in "abc"] == [10, 10, 4]
    assert subset(data, 24) == some != subset(data, 24, seed=1)
    assert sorted(some.rows, key=data.rows.index) == list(some.rows)
    assert len(subset(data, 500).rows) == 104


def test_a_subset_hardly_moves_when_pictures_come():
    data = Dataset("/d", rows(a=50, b=50))
    more = Dataset("/d", rows(a=52, b=50))
    assert len({row.path for row in subset(data, 40).rows} & {row.path for row in subset(more, 40).rows}) >= 37


def test_equal_pictures_count_once_and_the_test_part_not_at_all():
    some = rows(a=10, b=10)
    data = Dataset(
        "/d",
        (
            *some,
            *(replace(row, path=f"again/{row.path}") for row in some),
            *(replace(row, split="test", digest="f" * 64) for row in some),
        ),
    )
    assert subset(data, 500).rows == some


def test_groups_stay_together(data, monkeypatch):
    asked = []
    monkeypatch.setattr(
        module, "probe", lambda values, labels, tests, _: asked.append(tests) or probe(values, labels, tests)
    )
    grouped = replace(data, rows=tuple(replace(row, group=f"{row.label}{i // 3}") for i, row in enumerate(data.rows)))
    tw.choose(grouped, CUTS[:1], **OPTIONS)
    (tests,) = asked
    rows = subset(grouped, 500).rows
    assert sorted(i for test in tests for i in test) == list(range(45))
    groups = [{rows[i].group for i in test} for test in tests]
    assert not any(a & b for n, a in enumerate(groups) for b in groups[:n])
    single = replace(
        data, rows=tuple(replace(row, group=f"{row.label}{i % 20 // 7}") for i, row in enumerate(data.rows))
    )
    assert tw.choose(single, CUTS[:1], **OPTIONS).folds == 3  # each class has three groups


def test_too_few_pictures_or_classes():
    with pytest.raises(UsageError) as error:
        subset(Dataset("/d", rows(a=9, b=9)), 3)
    assert str(error.value) == "cannot choose with 3 pictures of 2 classes: at least 4 were expected, two per class."
    with pytest.raises(DatasetError) as error:
        subset(Dataset("/d", (*rows(a=9), replace(rows(b=1)[0], split="test"))), 100)
    assert str(error.value) == ONE_CLASS


def test_a_class_with_a_single_picture_is_refused_before_anything_is_computed(tmp_path, own_home):
    folder = make_folder(tmp_path / "colours", each=3, first=900)
    for name in ("000.png", "001.png"):
        (folder / "red" / name).unlink()
    with pytest.raises(DatasetError, match="the class 'red' has 1 picture: expected at least one per fold"):
        tw.choose(tw.read(folder, split=(1, 0, 0)), [f"{NAME}@input..input"], **OPTIONS)
    assert not (own_home / "store").exists() and not (own_home / "graphs").exists()


def test_no_picture_that_can_be_read(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for i in range(3):
            (tmp_path / label / f"{i}.png").write_bytes(f"no picture {label}{i}".encode())
    data = tw.read(tmp_path, split=(1, 0, 0))
    with pytest.raises(DatasetError) as error:
        tw.choose(data, [f"{NAME}@input..input"], **OPTIONS)
    assert str(error.value) == ONE_CLASS


def test_words_are_checked_before_pictures_are_read_and_these_before_anything_is_fetched(tmp_path, no_package):
    with pytest.raises(DatasetError, match="no file or folder"):
        tw.choose(tmp_path / "nowhere", ["vgg16@pool"])
    with pytest.raises(WeightsError, match="TOPWORK_OFFLINE forbids downloading it"):
        tw.choose(make_folder(tmp_path / "colours", each=2), ["vgg16@pool"])
    with pytest.raises(CutError):
        tw.choose(tmp_path / "nowhere", ["vgg16"])
    with pytest.raises(WeightsError, match="no ImageNet weights are at hand"):
        tw.choose(tmp_path / "nowhere")


def test_a_picture_that_cannot_be_read_is_left_out(tmp_path):
    folder = make_folder(tmp_path / "colours", each=8, first=800)
    (folder / "red" / "000.png").write_bytes((folder / "red" / "000.png").read_bytes()[:200])
    data = tw.read(folder, split=(0.9, 0.1, 0.0))
    found = tw.choose(data, [f"{NAME}@input..input"], **OPTIONS)
    assert (found.pictures, [(gone.path, gone.reason) for gone in found.left_out]) == (
        23,
        [("red/000.png", "a PNG file that is cut short")],
    )


def test_the_command(tmp_path):
    folder = make_folder(tmp_path / "my colours", each=12, first=900)
    words = [word for cut in CUTS for word in ("--cut", cut)]
    ran = topwork("choose", folder, *words, *SMALL)
    assert ran.status == 0
    places = ("pool", "block_2_add..block_2_add")
    for place, line in zip(places, ran.err.splitlines(), strict=True):
        assert re.match(rf"{NAME}@{place}: \d+ pictures to compute, ", line)
    lines = ran.out.splitlines()
    assert max(len(line) for line in lines if str(tmp_path) not in line) <= 80
    again = topwork("choose", folder, *words, *SMALL, "--json")
    assert again.err == ""
    found = again.json
    assert list(found) == ["pictures", "folds", "best", "proposed", "text", "take", "candidates", "left_out"]
    assert found["best"] == found["candidates"][0]["cut"]
    assert lines[-1] == f"Take: {found['take']}"
    assert found["take"] == f"topwork train '{folder}' --cut {found['proposed']} --weights random --size 32"
    assert " ".join(lines).find(f"{found['candidates'][0]['accuracy']['value']:.3f}") > 0
    assert json.dumps(found)


def test_what_to_take_of_several_networks():
    from topwork.commands.choose import _take

    assert _take("d", "a@pool + b@pool", "random", 32, None, None, None) == (
        "topwork train d --cut 'a@pool + b@pool' --set backbones.a.weights=random --set backbones.a.size=32 "
        "--set backbones.b.weights=random --set backbones.b.size=32"
    )
    assert _take("d", "a@pool", None, None, "train=fit", 300, "ignore") == (
        "topwork train d --cut a@pool --parts train=fit --max-megapixels 300 --near-copies ignore"
    )


def test_no_weights_at_hand_by_command(pictures, no_package):
    ran = topwork("choose", pictures)
    assert (ran.status, ran.out) == (3, "")
    assert ran.err.startswith("WeightsError: no ImageNet weights are at hand, ")
    assert topwork("choose", pictures, "--weights", "random") == Ran(
        2,
        "",
        "UsageError: --weights random does not say which backbones to compare: name them, as in --cut "
        "mobilenet_v2_035@pool --weights random.\n",
    )
