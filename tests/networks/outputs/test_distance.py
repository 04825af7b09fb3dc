"""The distance: what NumPy computes is what the layers compute, and what is saved is read back."""

import keras
import numpy as np
import pytest

from tests.inference import outputs
from topwork.networks.outputs.distance import Distance, Measure, unit

DRAW = np.random.default_rng(0)


def measure(features):
    centres = unit([DRAW.normal(size=(7, features))]).T.astype(np.float16)
    return Measure(centres, (2.0, 0.5), (0.7, 0.1))


@pytest.mark.parametrize(
    "shapes", [[(6,)], [(2, 3, 6)], [(6,), (4, 4, 5)], [(9, 6)]], ids=["vector", "map", "two networks", "tokens"]
)
def test_the_layers_compute_what_numpy_computes(shapes):
    ends = [keras.Input(shape) for shape in shapes]
    logits = keras.Input((3,))
    one = measure(sum(shape[-1] for shape in shapes))
    model = keras.Model([*ends, logits], one.symbolic(ends, logits))
    values = [DRAW.normal(size=(5, *shape)).astype(np.float32) for shape in shapes]
    said = DRAW.normal(size=(5, 3)).astype(np.float32)
    features = unit([block.mean(tuple(range(1, block.ndim - 1))) if block.ndim > 2 else block for block in values])
    found = outputs(model, [*values, said])
    assert found.shape == (5,)
    np.testing.assert_allclose(found, one(features, said), rtol=1e-4, atol=1e-4)


def test_pictures_that_are_alike_are_near_and_sure_answers_too():
    one = Measure(np.eye(2, dtype=np.float16), (2.0, 0.5), (0.7, 0.1))
    features, logits = np.array([[1.0, 0.0], [0.6, 0.6]]), np.array([[3.0, 0.0], [3.0, 0.0]])
    near, far = one(unit([features]), logits)
    assert near < far
    assert one(unit([features]), logits / 2)[0] > near


def test_both_answers_of_a_single_logit_count_alike():
    one, features = measure(4), unit([np.ones((2, 4), np.float32)])
    first, second = one(features, np.array([[0.0, 8.0], [0.0, -8.0]]))
    assert first == pytest.approx(second)
    undecided = one(features[:1], np.zeros((1, 2)))
    assert undecided > first


def test_features_without_length_are_no_error():
    assert np.isfinite(measure(4)(unit([np.zeros((2, 4), np.float32)]), np.zeros((2, 3)))).all()


@pytest.mark.parametrize("count", [1, 2])
def test_what_is_saved_is_read_back(count):
    one = Distance(tuple(measure(4) for _ in range(count)), 1.5, 0.95)
    again = Distance.of(one.values())
    assert (again.threshold, again.accepted) == (1.5, 0.95)
    assert [other.logit for other in again.measures] == [(2.0, 0.5)] * count
    for ours, theirs in zip(one.measures, again.measures, strict=True):
        np.testing.assert_array_equal(ours.centres, theirs.centres)
