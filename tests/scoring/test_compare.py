"""Paired tests of two runs: with made-up answers, and with two trained runs."""

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

import topwork as tw
from tests.conftest import make_folder
from tests.tiny import NAME, tiny
from topwork.commands.compare import compare as compare_command
from topwork.data.dataset import Dataset, Row
from topwork.errors import DatasetError, RunError, UsageError
from topwork.networks import fusion
from topwork.recipes.recipe import Recipe
from topwork.runs.creation import create
from topwork.runs.scores import Rate, Results
from topwork.scoring import metrics
from topwork.scoring.compare import Comparison, compare
from topwork.scoring.intervals import ALPHA, mcnemar, smallest

RECIPE = Recipe.from_mapping({"phase": [{"cut": "vgg16@pool"}]})
CLASSES = ("cat", "dog", "owl")
PAIR = settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows(some, split="test", classes=CLASSES, root=""):
    return tuple(Row(f"{root}{i}.png", f"{i:064x}", classes[i % len(classes)], split) for i in some)


def write(path, tested, trained=(), seed=0, skill=1.5, classes=CLASSES):
    """Write a finished run with these rows; the higher its *skill*, the more of its answers are right."""
    folder = create(path, RECIPE, Dataset("/d", (*tested, *trained)))
    folder.keep_results(Results(accuracy=Rate(0.5, 0.0, 1.0)))
    logits = np.random.default_rng(seed).normal(size=(len(tested), len(classes)))
    logits[np.arange(len(tested)), [classes.index(row.label) for row in tested]] += skill
    with (path / "predictions.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "predicted", *classes])
        for row, found in zip(tested, fusion.softmax(logits), strict=True):
            table.writerow([row.path, row.label, classes[found.argmax()], *(f"{p:.6g}" for p in found)])
    return path


@pytest.fixture
def where(tmp_path, monkeypatch):
    """Change to an empty working directory, so that messages are short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def alike(where):
    write(where / "a", rows(range(90)), seed=1)
    write(where / "b", rows(range(90)), seed=2)
    return "a", "b"


@pytest.fixture
def apart(where):
    write(where / "a", rows(range(200)), seed=1, skill=0.5)
    write(where / "b", rows(range(200)), seed=2, skill=4)
    return "a", "b"


def told(call, kind=DatasetError):
    with pytest.raises(kind) as e:
        call()
    return str(e.value)


@given(a=st.integers(0, 60), b=st.integers(0, 60))
@settings(deadline=None, max_examples=40)
def test_mcnemar_is_the_binomial_test_of_scipy(a, b):
    assert mcnemar(a, b) == pytest.approx(binomtest(a, a + b).pvalue if a + b else 1.0, rel=1e-12)
    assert mcnemar(a, b) == mcnemar(b, a)


def test_mcnemar_of_many_pictures_is_a_number():
    assert mcnemar(5000, 5000) == 1.0
    assert 0 <= mcnemar(0, 5000) < 1e-300


def test_comparing_many_pictures_does_not_import_scipy_stats(alike):
    code = "import sys, topwork as tw; tw.compare('a', 'b'); "
    code += "print([name for name in ('scipy.special', 'scipy.stats') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['scipy.special']\n"


@given(a=st.integers(0, 40), b=st.integers(0, 40), more=st.integers(0, 40))
@settings(deadline=None, max_examples=60)
def test_a_difference_is_significant_from_the_smallest_on(a, b, more):
    n = a + b + more + 6
    assert (mcnemar(a, b) < ALPHA) == (abs(a - b) / n >= smallest(a + b, n))


def test_the_better_run_is_told(apart):
    found = compare(*apart)
    assert found.better == {"accuracy": "second", "loss": "second", "auc": "second"}
    by = found.differences["accuracy"].value
    assert found.text == [
        f"The second run is more accurate, by {by:.3f} (McNemar's exact test, p < 0.001).",
        "The second run has the lower loss, so its probabilities fit better.",
        "The second run has the higher AUC.",
    ]
    assert Comparison.from_json(json.loads(json.dumps(found.as_json(), allow_nan=False))) == found


def test_no_difference_is_told_with_what_could_have_been_seen(alike):
    found = compare(*alike)
    counts, least = found.counts, found.significant_from
    assert least == smallest(counts["only_first"] + counts["only_second"], 90)
    assert found.better["accuracy"] is None
    assert found.text[0] == (
        f"The difference in accuracy is not significant (McNemar's exact test, p = {found.p:.3f}): "
        f"on these 90 test pictures a difference of less than {least:.3f} could be chance."
    )
    assert found.text[-1] == (
        "So it cannot be told which run answers more pictures right, but cross-validations of both "
        "(topwork.cross_validate) would test more pictures."
    )
    assert found.intervals == {
        "level": "95 %",
        "p": "mcnemar",
        "differences": "paired bootstrap, 2,000 draws, seed 0",
    }


def test_what_is_said_is_what_the_answers_say(alike):
    found = compare(*alike)
    tables = []
    for name in alike:
        with open(f"{name}/predictions.csv", newline="") as file:
            tables.append(list(csv.DictReader(file)))
    right = [np.array([line["label"] == line["predicted"] for line in table]) for table in tables]
    assert found.scores["first"]["accuracy"] == right[0].mean()
    assert found.differences["accuracy"].value == pytest.approx(right[1].mean() - right[0].mean())
    assert found.counts == {
        "both": (right[0] & right[1]).sum(),
        "only_first": (right[0] & ~right[1]).sum(),
        "only_second": (~right[0] & right[1]).sum(),
        "neither": (~right[0] & ~right[1]).sum(),
    }
    losses = [np.array([-np.log(float(line[line["label"]])) for line in table]) for table in tables]
    assert found.differences["loss"].value == pytest.approx((losses[1] - losses[0]).mean())


def test_the_paired_interval_has_the_width_that_theory_gives(apart):
    found = compare(*apart)
    pair = found.counts
    n, b, c = found.pictures, pair["only_first"], pair["only_second"]
    width = 2 * 1.96 * np.sqrt((b + c) / n - ((c - b) / n) ** 2) / np.sqrt(n)
    rate = found.differences["accuracy"]
    assert rate.high - rate.low == pytest.approx(width, rel=0.1)


@given(seed=st.integers(0, 99), n=st.integers(1, 40))
@PAIR
def test_a_run_compared_with_its_copy_does_not_differ(tmp_path_factory, seed, n):
    path = write(tmp_path_factory.mktemp("runs") / "a", rows(range(n)), seed=seed)
    found = compare(path, shutil.copytree(path, path.with_name("copy")))
    assert found.p == 1.0
    rates = [rate for rate in found.differences.values() if rate]
    assert len(rates) == (3 if n > 1 else 2)
    assert all(rate.low <= rate.value == 0.0 <= rate.high for rate in rates)
    assert all((rate.low < 0.0 < rate.high) == (n < 30) for rate in rates)
    assert set(found.better.values()) == {None}


@given(seed=st.integers(0, 99), n=st.integers(2, 40), skill=st.sampled_from([0, 1.5, 5]))
@PAIR
def test_swapping_the_runs_flips_the_signs(tmp_path_factory, seed, n, skill):
    folder = tmp_path_factory.mktemp("runs")
    a, b = write(folder / "a", rows(range(n)), seed=seed), write(folder / "b", rows(range(n)), seed=100, skill=skill)
    one, two = compare(a, b), compare(b, a)
    assert one.p == two.p
    turned = {None: None, "first": "second", "second": "first"}
    for name, rate in one.differences.items():
        other = two.differences[name]
        assert (rate.value, rate.low, rate.high) == pytest.approx((-other.value, -other.high, -other.low), abs=1e-12)
        assert two.better[name] == turned[one.better[name]]


def test_rows_are_matched_by_content_wherever_the_pictures_lie(alike, where):
    write(where / "moved", rows(reversed(range(90)), root="elsewhere/"), seed=3)
    assert compare("a", "moved").pictures == 90


def test_where_test_parts_differ_the_common_pictures_are_used_and_leaks_left_out(where):
    write(where / "a", rows(range(60)), rows(range(60, 80), "train"), seed=1)
    write(where / "b", rows(range(30, 80)), rows(range(10), "train") + rows(range(10, 14), "val"), seed=2)
    found = compare("a", "b")
    assert found.pictures == 30
    assert found.not_compared == {
        "first": {"other_class": 0, "trained": 10, "elsewhere": 20, "relabelled": 0, "repeated": 0},
        "second": {"other_class": 0, "trained": 20, "elsewhere": 0, "relabelled": 0, "repeated": 0},
    }
    assert found.text[:2] == [
        "Of the first run's test pictures 30 are not compared: "
        "10 that the second run was trained on, 20 that the second run was not tested on.",
        "Of the second run's test pictures 20 are not compared: 20 that the first run was trained on.",
    ]


def test_equal_pictures_count_once(where):
    twice = (*rows(range(9)), Row("again.png", f"{0:064x}", "cat", "test"))
    write(where / "a", twice)
    write(where / "b", rows(range(9)), seed=2)
    found = compare("a", "b")
    assert found.pictures == 9
    assert found.text[0] == ("Of the first run's test pictures 1 are not compared: 1 equal to another one.")


def test_five_pictures_prove_nothing(where):
    write(where / "a", rows(range(5)), skill=-9)
    write(where / "b", rows(range(5)), skill=9)
    found = compare("a", "b")
    assert (found.counts["only_second"], found.p, found.significant_from) == (5, 0.0625, None)
    assert found.text[0] == (
        "The difference in accuracy is not significant (McNemar's exact test, p = 0.062): "
        "on these 5 test pictures no difference could be told from chance. Its interval "
        "leaves 0 out: the exact test is the stricter of the two, and decides."
    )


@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize("skill", [-9, 9])
def test_few_pictures_have_intervals_with_a_width_and_name_no_better_run(where, count, skill):
    write(where / "a", rows(range(count)), seed=1)
    write(where / "b", rows(range(count)), skill=skill)
    found = compare("a", "b")
    assert set(found.better.values()) == {None}
    assert all(rate.high - rate.low > 0.2 for rate in found.differences.values() if rate)
    assert found.intervals["differences"].startswith("few pictures: ")


def test_a_cross_validation_stands_for_its_runs_together(where):
    for number, skill in ((1, 5), (2, 0)):
        tested, trained = (
            rows(range(30 * number - 30, 30 * number)),
            rows(range(60 - 30 * number, 90 - 30 * number), "train"),
        )
        write(where / "folds" / f"fold-{number}", tested, trained, seed=number, skill=skill)
        write(where / "others" / f"fold-{number}", tested, trained, seed=9 + number, skill=0)
    for name in ("folds", "others"):
        (where / name / "results.json").write_text("{}")
    found = compare("folds", where / "others")
    assert (found.first, found.pictures) == ("folds", 60)
    assert not any(found.not_compared["first"].values())
    halves = [compare(f"folds/fold-{number}", f"others/fold-{number}") for number in (1, 2)]
    for name in ("first", "second"):
        mean = np.mean([half.scores[name]["accuracy"] for half in halves])
        assert found.scores[name]["accuracy"] == pytest.approx(mean)
    assert found.better["accuracy"] == "first"
    single = write(where / "single", rows(range(20)), rows(range(20, 60), "train"))
    assert compare("folds", single).pictures == 20


def test_a_cross_validation_that_has_not_finished(where):
    for number in (1, 2):
        write(where / "folds" / f"fold-{number}", rows(range(9)))
    write(where / "a", rows(range(9)))
    with pytest.raises(RunError) as error:
        compare("folds", "a")
    assert str(error.value) == (
        "the cross-validation 'folds' has not finished. Continue it: topwork.Folds('folds').resume()"
    )


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_a_cross_validation_that_lacks_a_fold(where, gone):
    for number in (1, 2, 3):
        tested, trained = (
            rows(range(3 * number, 3 * number + 3)),
            rows([i for i in range(3, 12) if i // 3 != number], "train"),
        )
        write(where / "folds" / f"fold-{number}", tested, trained)
    (where / "folds" / "results.json").write_text("{}")
    write(where / "a", rows(range(3, 12)))
    (where / "folds" / "fold-1.old").mkdir()
    assert compare("folds", "a").pictures == 9
    shutil.rmtree(where / "folds" / f"fold-{gone}")
    with pytest.raises(RunError) as error:
        compare("folds", "a")
    assert str(error.value) == (
        "the folds of 'folds' do not test all pictures, so a fold is missing: put it back."
        if gone == 3
        else f"'folds/fold-{gone}' is missing, and a cross-validation needs all its folds: put it back."
    )


def test_a_run_with_itself(alike, where):
    with pytest.raises(UsageError) as error:
        compare("a", where / "a")
    assert str(error.value) == "cannot compare 'a' with itself: name two different runs."


def relabelled(some, number, label):
    """Return the rows with another label in one of them."""
    return tuple(replace(row, label=label) if n == number else row for n, row in enumerate(some))


def test_of_runs_with_different_classes_the_shared_ones_are_compared(where):
    more = ("ant", *CLASSES)
    write(where / "a", rows(range(60)), seed=1)
    write(where / "b", (*rows(range(60)), *rows(range(100, 108), classes=("ant",))), seed=2, classes=more)
    found = compare("a", "b")
    assert found.classes == {"both": [*CLASSES], "only_first": [], "only_second": ["ant"]}
    assert found.pictures == 60
    assert {name: count for name, count in found.not_compared["second"].items() if count} == {"other_class": 8}
    assert found.text[:2] == [
        "The runs have different classes: only the second run has 'ant'. Compared are test pictures of the 3 classes "
        "that both have; an answer, or probability, that a run gives to another class counts against it.",
        "Of the second run's test pictures 8 are not compared: 8 of a class that only one run has.",
    ]
    with open("b/predictions.csv", newline="") as file:
        table = [line for line in csv.DictReader(file) if line["label"] != "ant"]
    assert any(line["predicted"] == "ant" for line in table)
    scores = found.scores["second"]
    assert scores["accuracy"] == np.mean([line["label"] == line["predicted"] for line in table])
    assert scores["loss"] == pytest.approx(np.mean([-np.log(float(line[line["label"]])) for line in table]))
    labels = np.array([CLASSES.index(line["label"]) for line in table])
    said = np.array([[float(line[label]) for label in CLASSES] for line in table])
    assert scores["auc"] == pytest.approx(metrics.auc(labels, said))
    turned = compare("b", "a")
    assert turned.p == found.p and turned.pictures == 60
    assert turned.scores["first"] == pytest.approx(scores)


def test_two_shared_classes_are_both_judged(where):
    write(where / "a", rows(range(40)), seed=1)
    same = [row for row in rows(range(40)) if row.label != "owl"]
    write(where / "b", same, seed=1, classes=("cat", "dog"))
    found = compare("a", "b")
    assert found.classes == {"both": ["cat", "dog"], "only_first": ["owl"], "only_second": []}
    with open("a/predictions.csv", newline="") as file:
        of_a = {line["path"]: line for line in csv.DictReader(file)}
    assert found.pictures == len(same) == 27
    labels = np.array([row.label == "dog" for row in same], int)
    each = [np.array([[float(of_a[row.path][one])] for row in same]) for one in ("cat", "dog")]
    areas = [metrics.auc(labels == n, np.hstack([-own, own])) for n, own in enumerate(each)]
    assert found.scores["first"]["auc"] == pytest.approx(np.mean(areas))


def test_the_same_classes_in_another_order_are_compared_by_name(where):
    write(where / "a", rows(range(60)), seed=1)
    write(where / "b", rows(range(60)), seed=2)
    turned = shutil.copytree(where / "b", where / "turned")
    with open("b/predictions.csv", newline="") as file:
        table = [[*line[:3], *reversed(line[3:])] for line in csv.reader(file)]
    with (turned / "predictions.csv").open("w", newline="") as file:
        csv.writer(file).writerows(table)
    one, two = compare("a", "b"), compare("a", "turned")
    assert two.scores["second"] == pytest.approx(one.scores["second"])
    assert two.classes == {"both": [*CLASSES], "only_first": [], "only_second": []}


def test_a_picture_that_went_to_a_class_of_its_own_is_not_compared(where):
    write(where / "a", rows(range(30)), seed=1)
    write(where / "b", relabelled(rows(range(30)), 0, "wild cat"), seed=2, classes=(*CLASSES, "wild cat"))
    found = compare("a", "b")
    assert found.pictures == 29
    assert [found.not_compared[run]["other_class"] for run in ("first", "second")] == [1, 1]


def test_runs_that_share_fewer_than_two_classes_are_refused(where):
    write(where / "a", rows(range(9)))
    write(where / "b", rows(range(9), classes=("cat", "ant")), classes=("cat", "ant"))
    assert told(lambda: compare("a", "b")) == (
        "the runs have one class in common: the classes of 'a' are 'cat', 'dog', 'owl', those of 'b' are 'cat', 'ant'. "
        "Compare runs that have at least two classes in common."
    )
    write(where / "c", rows(range(9), classes=("x", "y")), classes=("x", "y"))
    assert told(lambda: compare("a", "c")).startswith("the runs have no class in common: ")


def test_runs_with_different_classes_and_no_shared_picture(where):
    write(where / "a", rows(range(9)))
    write(where / "b", rows(range(20, 29)), classes=(*CLASSES, "ant"))
    assert told(lambda: compare("a", "b")).startswith(
        "the runs 'a' and 'b' have no test picture of a class that both have in common: "
    )


def test_a_picture_with_another_label_is_not_compared(where):
    write(where / "a", rows(range(9)))
    write(where / "b", (Row("x.png", f"{0:064x}", "dog", "test"), *rows(range(1, 9))))
    found = compare("a", "b")
    assert found.pictures == 8
    assert [found.not_compared[run]["relabelled"] for run in ("first", "second")] == [1, 1]
    assert "1 with another label in the second run." in found.text[0]


def test_no_picture_with_the_same_label(where):
    write(where / "a", rows(range(9)))
    turned = {"cat": "dog", "dog": "owl", "owl": "cat"}
    write(where / "b", tuple(replace(row, label=turned[row.label]) for row in rows(range(9))))
    assert told(lambda: compare("a", "b")).startswith(
        "the runs 'a' and 'b' have no test picture with the same label in common: "
    )


def test_no_picture_in_common(where):
    write(where / "a", rows(range(9)))
    write(where / "b", rows(range(9, 18)), rows(range(9), "train"))
    assert told(lambda: compare("a", "b")) == (
        "the runs 'a' and 'b' have no test picture in common: a paired test needs the same "
        "pictures. Train both on the same data, with the same split, draw and seed."
    )


def test_a_run_that_has_not_finished_or_is_none(alike, where):
    (where / "b" / "results.json").unlink()
    unfinished = told(lambda: compare("a", "b"), RunError)
    assert unfinished == (
        "the run 'b' has not finished: it has no results.json. Continue it: topwork.Run('b').resume()"
    )
    assert told(lambda: compare("none", "a"), RunError) == (
        "there is no folder 'none': expected a run, as topwork.train makes it."
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train two runs on the same split: one that learns, and one whose rate is close to zero."""
    out = tmp_path_factory.mktemp("runs")
    data = tw.read(make_folder(out / "colours", first=500), split=(0.4, 0.1, 0.5), draw="stratified")
    cuts = {"idle": ("pool", 1e-4), "able": ("block_2_add..block_2_add", 0.03)}
    phases = {name: tw.Phase(f"{NAME}@{cut}", epochs=12, learning_rate=rate) for name, (cut, rate) in cuts.items()}
    return [tw.train(data, phases=[phase], backbones=[tiny()], out=out / name) for name, phase in phases.items()]


def test_runs_that_were_trained(trained, capsys):
    idle, able = trained
    found = tw.compare(idle, able.path)
    assert found.pictures == 30
    assert found.better["loss"] == "second"
    for name, run in zip(("first", "second"), trained, strict=True):
        for score in ("accuracy", "loss", "auc"):
            assert found.scores[name][score] == pytest.approx(getattr(run.results.test, score).value, abs=1e-5)
    compare_command(idle.path, able.path)
    assert max(map(len, capsys.readouterr().out.splitlines()[3:])) < 80
