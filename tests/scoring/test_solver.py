"""The solver: it finds scikit-learn's optimum, whatever the shape; the path; and features that say nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info

from topwork.data.dataset import Row
from topwork.networks import heads
from topwork.recipes.settings import Head
from topwork.scoring import solver
from topwork.scoring.solver import STRENGTHS, Problem, by_folds, by_validation, inner_folds, logits


def drawn(n, d, classes, seed=0, outputs=None):
    """Return features that tell the classes apart, though not perfectly, with labels and targets."""
    draw = np.random.default_rng(seed)
    labels = np.resize(np.arange(classes), n)
    features = draw.normal(size=(n, d)) * draw.uniform(0.1, 3, d) + draw.normal(size=(classes, d))[labels]
    targets = np.eye(classes)[labels] if outputs != 1 else labels[:, None]
    return features.astype(np.float32), labels, targets.astype(np.float32)


def standard(features):
    variance = features.var(0)
    return (features - features.mean(0)) / np.sqrt(variance + 1e-3 + np.minimum(0.3 * variance.mean(), 30 * variance))


@pytest.mark.parametrize("shape", [(30, 80), (120, 20), (40, 40)])
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("l2", [0.1, 0.003])
def test_the_optimum_is_that_of_scikit_learn(shape, classes, l2):
    features, labels, targets = drawn(*shape, classes)
    usual = LogisticRegression(C=1 / (l2 * len(labels)), tol=1e-8, max_iter=10_000).fit(standard(features), labels)
    problem = Problem(features.copy(), targets, np.ones(len(labels)))
    head = problem.head(problem.solve(l2), batch_norm=True)
    expected, found = usual.predict_proba(standard(features)), softmax(head.logits(features))
    assert np.ptp(expected, 0).min() > 0.1
    if classes > 2:  # with two classes, scikit-learn fits one logit, whose penalty is another
        np.testing.assert_allclose(found, expected, atol=5e-3)
    one = Problem(features.copy(), labels[:, None].astype(np.float32), np.ones(len(labels)))
    if classes == 2:
        found = softmax(one.head(one.solve(l2), batch_norm=True).logits(features))
        np.testing.assert_allclose(found, expected, atol=5e-3)


def softmax(values):
    shares = np.exp(values - values.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def objective(problem, point, l2):
    z = logits(problem.values, point).astype(float)
    z = np.hstack([np.zeros_like(z), z]) if z.shape[1] == 1 else z
    targets = problem.targets if problem.targets.shape[1] > 1 else np.hstack([1 - problem.targets, problem.targets])
    entropy = -(targets * np.log(softmax(z))).sum(1)
    return (problem.weights @ entropy) / problem.weights.sum() + l2 / 2 * (point[:-1] ** 2).sum()


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(4, 40),
    d=st.integers(1, 60),
    classes=st.integers(2, 4),
    l2=st.sampled_from(STRENGTHS[:-3]),
    smoothing=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 100),
)
def test_no_point_nearby_has_a_lower_loss(n, d, classes, l2, smoothing, seed):
    features, _, targets = drawn(n, d, classes, seed)
    draw = np.random.default_rng(seed)
    problem = Problem(features, targets * (1 - smoothing) + smoothing / classes, draw.uniform(0.1, 2, n))
    point = problem.solve(l2)
    found = objective(problem, point, l2)
    for size in (1e-1, 1e-2):
        other = point + size * draw.normal(size=point.shape) * (1 + np.abs(point).max())
        assert found <= objective(problem, other, l2) + 1e-5


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_keras_head_has_the_same_logits(outputs, batch_norm):
    features, labels, targets = drawn(30, 50, 2 if outputs == 1 else 3, outputs=outputs)
    problem = Problem(features.copy(), targets, np.ones(30))
    head = problem.head(problem.solve(0.01), batch_norm)
    model = heads.build(Head(batch_norm=batch_norm), [(50,)], outputs, seed=0)
    for name, values in head.values().items():
        model.get_layer(name).set_weights(values)
    expected = np.asarray(model(features))
    assert np.ptp(expected, 0).min() > 1
    np.testing.assert_allclose(head.logits(features)[:, -outputs:], expected, atol=1e-4)
    assert np.abs(head.logits(features).argmax(1) == labels).mean() == 1


def test_the_scale_of_a_term_does_not_matter():
    """Two networks of a sum may give features of very different sizes."""
    features, _, targets = drawn(60, 40, 3)
    found = []
    for size in (1, 1000):
        scaled = features * np.where(np.arange(40) < 10, size, 1).astype(np.float32)
        problem = Problem(scaled.copy(), targets, np.ones(60), [10, 30])
        found.append(problem.head(problem.solve(0.03), batch_norm=True).logits(scaled))
    np.testing.assert_allclose(found[0], found[1], atol=0.02)
    alone = Problem(scaled.copy(), targets, np.ones(60))
    assert np.abs(alone.head(alone.solve(0.03), batch_norm=True).logits(scaled) - found[0]).max() > 0.1


def test_rows_of_weight_two_count_twice():
    features, _, targets = drawn(20, 5, 3)
    twice = np.concatenate([features, features[:7]]), np.concatenate([targets, targets[:7]])
    weighted = Problem(features.copy(), targets, np.where(np.arange(20) < 7, 2.0, 1.0))
    doubled = Problem(twice[0].copy(), twice[1], np.ones(27))
    points = [one.head(one.solve(0.01), batch_norm=False) for one in (weighted, doubled)]
    np.testing.assert_allclose(points[0].kernel, points[1].kernel, atol=2e-2)
    assert np.abs(points[0].kernel).max() > 0.3


def test_the_same_bits_each_time():
    features, _, targets = drawn(60, 200, 4)
    heads_ = [Problem(features.copy(), targets, np.ones(60)) for _ in range(2)]
    first, second = (one.head(one.solve(0.01), batch_norm=True) for one in heads_)
    assert first.kernel.tobytes() == second.kernel.tobytes()


def test_the_path_starts_strong_and_ends_after_two_that_are_worse():
    features, _, targets = drawn(60, 200, 3)
    others, answers, _ = drawn(300, 200, 3)
    problem = Problem(features[:60], targets, np.ones(60))
    trials = [trial for trial, _ in by_validation(problem, others[60:], answers[60:])]
    losses = [trial.loss for trial in trials]
    assert [trial.l2 for trial in trials] == list(STRENGTHS[: len(trials)])
    assert len(losses) - 1 - int(np.argmin(losses)) == 2 or len(trials) == len(STRENGTHS)


def test_folds_test_each_row_by_a_solution_that_does_not_know_it():
    """Labels at random cannot be predicted, although 200 features separate 60 rows perfectly."""
    draw = np.random.default_rng(0)
    features, labels = draw.normal(size=(60, 200)).astype(np.float32), draw.integers(0, 2, 60)
    problem = Problem(features.copy(), np.eye(2, dtype=np.float32)[labels], np.ones(60))
    trials = list(by_folds(problem, labels, np.arange(60) % 5))
    assert all(trial.loss > 0.6 and trial.accuracy < 0.75 for trial in trials)
    head = problem.head(problem.solve(trials[-1].l2), batch_norm=True)
    assert (head.logits(features).argmax(1) == labels).all()


def test_views_of_one_picture_are_in_one_fold():
    """With the copy of a row in another fold, the loss would be near zero, because the copy tells the label."""
    draw = np.random.default_rng(0)
    features, labels = draw.normal(size=(60, 200)).astype(np.float32), draw.integers(0, 2, 60)
    targets = np.tile(np.eye(2, dtype=np.float32)[labels], (3, 1))
    problem = Problem(np.tile(features, (3, 1)), targets, np.ones(180))
    folds = np.tile(np.arange(60) % 5, 3)
    assert all(trial.loss > 0.6 for trial in by_folds(problem, labels, folds))


@pytest.mark.parametrize("kind", ["constant", "equal", "one constant", "huge", "one row"])
def test_features_that_say_nothing(kind):
    features, labels, targets = drawn(12, 6, 3)
    features = {
        "constant": np.full_like(features, 7.0),
        "equal": np.repeat(features[:, :1], 6, 1),
        "one constant": np.hstack([features[:, 1:], np.full((12, 1), 1e4, np.float32)]),
        "huge": features * 1e15,
        "one row": features,
    }[kind]
    rows = slice(0, 1 if kind == "one row" else 12)
    problem = Problem(features[rows].copy(), targets[rows], np.ones(12)[rows])
    head = problem.head(problem.solve(0.1), batch_norm=True)
    found = softmax(head.logits(features))
    assert np.isfinite(found).all()
    if kind == "constant":
        np.testing.assert_allclose(found, 1 / 3, atol=1e-3)
    if kind in ("one constant", "huge"):
        assert (found.argmax(1) == labels).mean() > 0.5


def test_a_fold_may_lack_a_class():
    features, _, _ = drawn(20, 4, 2)
    labels = np.where(np.arange(20) == 3, 2, np.arange(20) % 2)
    problem = Problem(features, np.eye(3, dtype=np.float32)[labels], np.ones(20))
    trials = list(by_folds(problem, labels, np.arange(20) % 5))
    assert all(np.isfinite(trial.loss) for trial in trials)


def test_rows_that_belong_together_are_in_one_fold():
    rows = [Row(f"{i}.png", str(i), "ab"[i % 2], "train", group=f"g{i // 4}") for i in range(40)]
    folds = inner_folds(rows)
    assert sorted(set(folds)) == [0, 1, 2, 3, 4]
    for group in range(10):
        assert len(set(folds[4 * group : 4 * group + 4])) == 1


def test_each_class_is_spread_over_the_folds():
    rows = [Row(f"{i}.png", str(i), "ab"[i < 5], "train") for i in range(50)]
    folds = inner_folds(rows)
    assert sorted(folds[:5]) == [0, 1, 2, 3, 4]
    assert np.bincount(folds).tolist() == [10] * 5


@pytest.mark.parametrize("processors", [2, 3])
def test_folds_that_are_solved_at_the_same_time_are_solved_alike(monkeypatch, processors):
    features, labels, targets = drawn(200, 30, 3)
    folds = np.arange(200) % 5
    problem = Problem(features, targets, np.ones(200))
    expected = [trial.loss for trial in by_folds(problem, labels, folds)]
    monkeypatch.setattr(solver, "LARGE", 0)
    monkeypatch.setattr(solver, "jobs", lambda: processors)
    found = [trial.loss for trial in by_folds(problem, labels, folds)]
    assert found == pytest.approx(expected, abs=1e-5)
    assert found == [trial.loss for trial in by_folds(problem, labels, folds)], "the same bits each time"


def test_a_path_that_is_left_early_leaves_all_threads_to_others(monkeypatch):
    features, labels, targets = drawn(60, 10, 3)
    monkeypatch.setattr(solver, "LARGE", 0)
    monkeypatch.setattr(solver, "jobs", lambda: 2)
    before = [one["num_threads"] for one in threadpool_info()]
    path = by_folds(Problem(features, targets, np.ones(60)), labels, np.arange(60) % 5)
    next(path)
    assert [one["num_threads"] for one in threadpool_info()] == before
