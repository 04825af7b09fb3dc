import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import (
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
    top_k_accuracy_score,
)

from topwork.errors import DatasetError
from topwork.networks.fusion import softmax
from topwork.runs.scores import ClassScores, Scores
from topwork.scoring.metrics import agreement, auc, cross_entropy, drawn_auc, measure, redraw, share

FIVE = ["daisy", "dandelion", "rose", "sunflower", "tulip"]


def guesses(n: int = 200, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), labels] += 1.5
    return labels, softmax(logits)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_values_are_those_of_scikit_learn():
    labels, probabilities = guesses()
    found = measure(labels, probabilities, FIVE)
    each = precision_recall_fscore_support(labels, probabilities.argmax(1), zero_division=0)
    for i, name in enumerate(FIVE):
        rates = found.classes[name]
        values = [rates.precision.value, rates.recall.value, rates.f1.value, rates.support]
        np.testing.assert_allclose(values, [column[i] for column in each])
    macro = [found.macro[name].value for name in ("precision", "recall", "f1")]
    np.testing.assert_allclose(macro, [column.mean() for column in each[:3]])
    assert found.loss.value == pytest.approx(log_loss(labels, probabilities))
    assert found.top_k["3"].value == top_k_accuracy_score(labels, probabilities, k=3)
    assert found.pictures == np.sum(found.confusion) == 200
    assert found.confusion == confusion_matrix(labels, probabilities.argmax(1)).tolist()


def test_confusion_has_true_classes_as_rows():
    found = measure(np.array([0, 0, 1]), np.array([[0.2, 0.8], [0.9, 0.1], [0.3, 0.7]]), ["cat", "dog"])
    assert found.confusion == [[1, 1], [0, 1]]


@pytest.mark.parametrize(("classes", "ks"), [(2, []), (3, ["2"]), (4, ["3"]), (5, ["3", "4"]), (6, ["3", "5"])])
def test_top_k_stays_below_the_number_of_classes(classes, ks):
    assert list(measure(*guesses(20, classes), list(map(str, range(classes)))).top_k) == ks


def test_of_equal_probabilities_the_first_counts_in_top_k_as_in_accuracy():
    labels, even = np.array([0, 1, 2, 3]), np.full((4, 4), 0.25)
    found = measure(labels, even, list("abcd"))
    assert (found.accuracy.value, found.top_k["3"].value) == (0.25, 0.75)


def test_wilson_gives_the_published_intervals():
    """The intervals are from Newcombe 1998 (Statistics in Medicine 17:857-872), table I, method 3."""
    for hits, total, low, high in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)]:
        rate = share(hits, total)
        assert (round(rate.low, 4), round(rate.high, 4)) == (low, high)


@given(total=st.integers(1, 500), part=st.floats(0, 1))
@settings(deadline=None, max_examples=40)
def test_wilson_is_that_of_scipy(total, part):
    rate, hits = share(round(part * total), total), round(part * total)
    found = binomtest(hits, total).proportion_ci(method="wilson")
    assert (rate.low, rate.high) == pytest.approx((found.low, found.high), abs=1e-12)


def test_wilson_holds_the_truth_about_95_times_of_100():
    rates = [share(int(hits), 50) for hits in np.random.default_rng(0).binomial(50, 0.83, size=2000)]
    assert 0.93 < np.mean([rate.low <= 0.83 <= rate.high for rate in rates]) < 0.97


def test_bootstrap_of_the_loss_has_the_width_that_theory_gives():
    labels, probabilities = guesses(2000)
    loss = measure(labels, probabilities, FIVE).loss
    deviation = np.log(probabilities[np.arange(2000), labels]).std()
    assert loss.high - loss.low == pytest.approx(2 * 1.96 * deviation / np.sqrt(2000), rel=0.1)


def test_bootstrap_of_macro_recall_has_the_width_that_theory_gives():
    """With classes of equal size, macro recall is nearly accuracy, whose standard error is sqrt(p(1-p)/n)."""
    labels, probabilities = guesses(2000)
    found = measure(labels, probabilities, FIVE)
    p, recall = found.accuracy.value, found.macro["recall"]
    assert recall.high - recall.low == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 2000), rel=0.1)


def test_measuring_twice_gives_the_same_figures():
    assert measure(*guesses(), FIVE) == measure(*guesses(), FIVE)


@given(classes=st.integers(2, 7), seed=st.integers(0, 99), ties=st.sampled_from([None, 1, 2]))
@settings(deadline=None, max_examples=40)
def test_auc_is_that_of_scikit_learn_with_ties_and_without(classes, seed, ties):
    labels, probabilities = guesses(60, classes, seed)
    labels[:classes] = range(classes)
    if ties:
        probabilities = probabilities.round(ties)
        assert len(np.unique(probabilities[:, 1])) < 60
    each = [roc_auc_score(labels == i, probabilities[:, i]) for i in range(classes)]
    assert auc(labels, probabilities) == pytest.approx(each[1] if classes == 2 else np.mean(each), abs=1e-12)
    once = np.ones((1, 60), np.float32)
    assert drawn_auc(labels, probabilities, once) == pytest.approx(auc(labels, probabilities), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 4])
def test_auc_in_a_draw_is_that_of_the_pictures_drawn(classes):
    labels, probabilities = guesses(300, classes)  # more than one block
    counts = redraw(300, draws=5)
    again = [np.repeat(np.arange(300), row.astype(int)) for row in counts]
    expected = [auc(labels[some], probabilities[some].round(2)) for some in again]
    np.testing.assert_allclose(drawn_auc(labels, probabilities.round(2), counts), expected, rtol=1e-12)


def test_auc_is_the_mean_over_the_classes_that_are_there():
    labels, probabilities = guesses(50, 4)
    few = labels < 2
    each = [roc_auc_score(labels[few] == i, probabilities[few, i]) for i in (0, 1)]
    assert auc(labels[few], probabilities[few]) == pytest.approx(np.mean(each))


def test_auc_of_pictures_of_one_class_is_none():
    labels, probabilities = np.array([1, 1]), np.array([[0.2, 0.8], [0.6, 0.4]])
    assert auc(labels, probabilities) is None
    assert np.isnan(drawn_auc(labels, probabilities, redraw(2, draws=3))).all()
    assert measure(labels, probabilities, ["cat", "dog"]).auc is None


def test_auc_of_a_training_that_ran_away_is_nan():
    assert np.isnan(auc(np.array([0, 1]), np.array([[0.5, 0.5], [np.nan, 0.5]])))


def test_bootstrap_of_auc_has_the_width_that_theory_gives():
    """The theory is Hanley & McNeil 1982 with the exact terms of DeLong 1988: the variance of the placements."""
    labels, probabilities = guesses(1500, 2)
    scores, positive = probabilities[:, 1], labels == 1
    beats = (scores[positive][:, None] > scores[~positive]).astype(float)
    variance = beats.mean(1).var() / positive.sum() + beats.mean(0).var() / (~positive).sum()
    found = measure(labels, probabilities, ["cat", "dog"]).auc
    assert found.value == pytest.approx(beats.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(variance), rel=0.1)


def test_redraw_draws_each_picture_once_on_average():
    counts = redraw(40)
    assert counts.shape == (1000, 40) and counts.dtype == np.float32
    assert (counts.sum(1) == 40).all()
    assert counts.var() == pytest.approx(1 - 1 / 40, rel=0.05)  # binomial of 40 tries at 1/40


def test_a_class_that_is_absent_has_no_recall_and_is_left_out_of_macro():
    labels = np.array([0, 0, 1])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]])
    found = measure(labels, probabilities, ["cat", "dog", "owl"])
    assert found.classes["owl"].recall is None
    assert found.classes["owl"].precision.value == 0
    assert found.macro["recall"].value == pytest.approx((0.5 + 1) / 2)


def test_a_class_never_predicted_has_no_precision_and_counts_as_0_in_macro():
    found = measure(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]), ["cat", "dog"])
    assert found.classes["dog"].precision is None
    assert found.classes["dog"].f1.value == 0
    assert found.macro["precision"].value == 0.25


def test_a_class_neither_there_nor_predicted_has_no_score_at_all():
    found = measure(np.array([0, 1]), np.array([[0.9, 0.1, 0], [0.2, 0.8, 0]]), ["cat", "dog", "owl"])
    assert found.classes["owl"] == ClassScores(precision=None, recall=None, f1=None, support=0)


def test_a_probability_of_0_costs_what_float32_can_tell():
    loss = measure(np.array([0]), np.array([[0.0, 1.0]]), ["cat", "dog"]).loss.value
    assert loss == pytest.approx(-np.log(np.finfo(np.float32).tiny))


def test_intervals_name_their_methods():
    bootstrap = "bootstrap, 1,000 draws, seed 0"
    assert measure(*guesses(), FIVE).intervals == {
        "level": "95 %",
        "accuracy": "wilson",
        "top_k": "wilson",
        "precision": "wilson",
        "recall": "wilson",
        "loss": bootstrap,
        "auc": bootstrap,
        "f1": bootstrap,
        "macro": bootstrap,
    }


@given(n=st.integers(1, 30), classes=st.integers(2, 8), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_every_rate_lies_in_its_interval_and_all_of_it_is_json(n, classes, seed):
    found = measure(*guesses(n, classes, seed), list(map(str, range(classes))))
    assert Scores.from_json(json.loads(json.dumps(found.as_json(), allow_nan=False))) == found
    single = [getattr(rates, key) for rates in found.classes.values() for key in ("precision", "recall", "f1")]
    rates = [
        found.accuracy,
        found.loss,
        found.auc,
        *found.macro.values(),
        *found.top_k.values(),
        *single,
    ]
    assert all(rate.low <= rate.value <= rate.high for rate in rates if rate)


@given(seed=st.integers(0, 99), scale=st.sampled_from([1e-3, 1.0, 50.0, 1e4]))
@settings(deadline=None, max_examples=20)
def test_cross_entropy_is_that_of_the_softmax_at_any_scale(seed, scale):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(7, 4)).astype(np.float32) * scale, rng.integers(4, size=7)
    wide = logits.astype(np.longdouble)
    expected = np.mean(np.logaddexp.reduce(wide, axis=1) - wide[np.arange(7), labels])
    assert cross_entropy(labels, logits) == pytest.approx(float(expected), rel=1e-9)
    np.testing.assert_allclose(softmax(logits).sum(1), 1)


def test_cross_entropy_of_a_training_that_ran_away_is_nan():
    assert np.isnan(cross_entropy(np.array([0]), np.array([[np.inf, 0.0]])))
    assert np.isnan(cross_entropy(np.array([0]), np.array([[np.nan, 0.0]])))


def test_agreement_forgives_a_turn_of_equals_and_counts_a_real_one():
    a = np.array([[0.50001, 0.49999], [0.6, 0.4], [0.9, 0.1]])
    b = np.array([[0.49999, 0.50001], [0.4, 0.6], [0.9, 0.1]])
    found = agreement(a, b)
    assert found.as_json() == {
        "largest_difference": pytest.approx(0.2),
        "top1_agreement": pytest.approx(1 / 3),
        "disagreements": 1,
    }
    assert agreement(a, b, bound=0.3).disagreements == 0


def test_agreement_with_what_is_not_a_number_is_infinitely_far():
    assert agreement(np.array([[0.5, 0.5]]), np.array([[np.nan, 0.5]])).largest_difference == np.inf


def told(call) -> str:
    with pytest.raises(DatasetError) as e:
        call()
    return str(e.value)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        (
            np.zeros(0, int),
            np.zeros((0, 2)),
            "cannot measure 0 pictures: at least one was expected; is the part empty?",
        ),
        (
            np.zeros(3, int),
            np.zeros((2, 2)),
            "cannot measure labels [3] against probabilities [2, 2]: expected [n] and [n, classes].",
        ),
        (
            np.zeros(2, int),
            np.full((2, 3), 0.3),
            "cannot measure probabilities [2, 3] of 2 classes: expected one column per class.",
        ),
        (np.array([0, -1]), np.full((2, 2), 0.5), "label -1 is not one of the 2 classes: expected 0 to 1."),
        (np.array([0, 2]), np.full((2, 2), 0.5), "label 2 is not one of the 2 classes: expected 0 to 1."),
        (
            np.array([0, 1]),
            np.array([[0.5, 0.5], [np.nan, 1]]),
            "1 of 2 rows of probabilities are not finite (the first is row 1): "
            "the training diverged. Try a lower learning rate.",
        ),
    ],
)
def test_measure_refuses_what_cannot_be(labels, probabilities, message):
    assert told(lambda: measure(labels, probabilities, ["cat", "dog"])) == message


def test_cross_entropy_refuses_what_cannot_be():
    assert told(lambda: cross_entropy(np.zeros(3, int), np.zeros(3))) == (
        "cannot measure labels [3] against logits [3]: expected [n] and [n, classes]."
    )
    assert told(lambda: cross_entropy(np.zeros(0, int), np.zeros((0, 2)))) == (
        "cannot measure 0 pictures: at least one was expected; is the part empty?"
    )


def test_auc_refuses_what_cannot_be():
    assert told(lambda: auc(np.zeros(3, int), np.zeros((2, 2)))) == (
        "cannot measure labels [3] against scores [2, 2]: expected [n] and [n, classes]."
    )
    assert told(lambda: auc(np.zeros(0, int), np.zeros((0, 2)))) == (
        "cannot measure 0 pictures: at least one was expected; is the part empty?"
    )


def test_agreement_refuses_what_cannot_be():
    assert told(lambda: agreement(np.zeros((2, 3)), np.zeros((2, 2)))) == (
        "cannot compare [2, 3] with [2, 2]: expected two arrays of the same shape [n, classes]."
    )
    assert told(lambda: agreement(np.zeros((0, 2)), np.zeros((0, 2)))) == (
        "cannot compare 0 rows of probabilities: at least one was expected."
    )


def test_importing_metrics_loads_neither_scikit_learn_nor_scipy():
    code = "import sys, topwork.scoring.metrics; print([m for m in ('sklearn', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("count", [1, 3, 10])
def test_scores_of_few_pictures_have_intervals_with_a_width(count):
    labels = np.arange(count) % 2
    found = measure(labels, np.eye(2)[labels] * 0.8 + 0.1, ["a", "b"])
    rates = [found.accuracy, found.loss, found.auc, *found.macro.values(), found.classes["a"].f1]
    assert all(rate.low <= rate.value <= rate.high for rate in rates if rate)
    assert all(rate.high - rate.low > 0.2 for rate in rates if rate)
