"""Activations as arrays, and as a transformer that works with scikit-learn's own classes."""

import pickle
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

import topwork as tw
from tests.conftest import make_folder
from topwork.data.dataset import Dataset
from topwork.errors import CutError, DatasetError, RecipeError, UnknownBackbone, WeightsError
from topwork.store.examples import pooled
from topwork.store.runtimes import base
from topwork.system.machine import has_bfloat16

NAME = "mobilenet_v2_035"
SMALL = tw.Backbone(NAME, "random", 32)
OPTIONS = {"weights": "random", "size": 32}


@pytest.fixture(scope="module")
def paths(pictures):
    return [str(path) for path in sorted(pictures.rglob("*.png"))]


def computed(err):
    """Return how many pictures went through a trunk, according to the printed lines."""
    return sum(map(int, re.findall(r": (\d+)(?: of \d+)? pictures? to compute", err)))


def pipeline(cut=f"{NAME}@pool", **options):
    return make_pipeline(tw.Activations(cut, **OPTIONS, **options), StandardScaler(), LogisticRegression())


def test_a_sum_is_a_list(pictures):
    data = tw.read(pictures)
    cut = f"{NAME}@block_12_add..block_12_add + {NAME}@pool"
    found = tw.activations(data, cut, backbone=SMALL)
    assert [array.shape for array in found] == [(60, 2, 2, 32), (60, 1280)]
    np.testing.assert_array_equal(found[1], tw.activations(data, f"{NAME}@pool", backbone=[SMALL]))


def test_labels_come_along(pictures):
    data = tw.read(pictures)
    features, labels = tw.activations(data, f"{NAME}@pool", backbone=SMALL, labels=True)
    np.testing.assert_array_equal(features, tw.activations(data, f"{NAME}@pool", backbone=SMALL))
    assert labels.tolist() == list(data.labels)


def test_options_of_a_backbone_that_is_not_named(pictures):
    with pytest.raises(CutError) as error:
        tw.activations(pictures, "mobilenet_v2@pool", backbone=SMALL)
    assert str(error.value) == (
        "options are given for 'mobilenet_v2_035', but the cut 'mobilenet_v2@pool' does not name it; "
        "did you mean 'mobilenet_v2'?"
    )


def test_pooling_of_maps():
    maps = np.random.default_rng(0).normal(0, 1, (5, 3, 2, 4)).astype(np.float16)
    wide = maps.astype(np.float64)
    np.testing.assert_allclose(pooled(maps, "avg"), wide.mean((1, 2)), atol=1e-6)
    np.testing.assert_array_equal(pooled(maps, "max"), wide.max((1, 2)))
    np.testing.assert_array_equal(pooled(maps, "flatten"), wide.reshape(5, -1))
    for pooling in ("avg", "max", "flatten"):
        assert pooled(maps, pooling).dtype == np.float32
        np.testing.assert_array_equal(pooled(maps[:, 0, 0], pooling), wide[:, 0, 0])


@pytest.mark.parametrize(("pooling", "width"), [("avg", 32), ("max", 32), ("flatten", 128)])
def test_the_transformer_gives_the_pooled_activations(paths, pictures, pooling, width):
    cut = f"{NAME}@block_12_add"
    transformer = tw.Activations(cut, pooling=pooling, **OPTIONS)
    found = transformer.fit_transform(paths)
    assert found.std(0).max() > 0.1
    assert (found.shape, found.dtype) == ((60, width), np.float32)
    np.testing.assert_array_equal(found, pooled(tw.activations(pictures, cut, backbone=SMALL), pooling))
    assert len(transformer.get_feature_names_out()) == width


def test_all_terms_and_tensors_are_joined(paths):
    some = paths[::7]
    whole = tw.Activations(f"{NAME}@100 + {NAME}@pool", **OPTIONS).transform(some)
    parts = [tw.Activations(f"{NAME}@{place}", **OPTIONS).transform(some) for place in ("100", "pool")]
    assert [part.shape[1] for part in parts] == [32 + 192, 1280]
    np.testing.assert_array_equal(whole, np.concatenate(parts, 1))


def test_what_is_large_is_read_in_blocks(paths, monkeypatch):
    transformer = tw.Activations(f"{NAME}@pool", **OPTIONS)
    whole = transformer.transform(paths)
    monkeypatch.setattr(import_module("topwork.store.examples"), "ROWS", 7)
    np.testing.assert_array_equal(transformer.transform(paths), whole)


def test_pictures_may_be_given_in_many_ways(paths, monkeypatch, pictures):
    transformer = tw.Activations(f"{NAME}@pool", **OPTIONS)
    some = paths[:6]
    expected = transformer.transform(some)
    monkeypatch.chdir(pictures)
    ways = [
        [Path(path) for path in some],
        tuple(some),
        np.array(some),
        np.array(some, object)[:, None],
        pd.Series(some),
        pd.DataFrame({"path": some}),
        [Path(path).relative_to(pictures) for path in some],
    ]
    for way in ways:
        np.testing.assert_array_equal(transformer.transform(way), expected)


def test_pixels_are_pictures_too(paths):
    from topwork.data.pictures import Fit, decode

    pixels = np.stack([decode(path, Fit((48, 48))) for path in paths[:8]])
    transformer = tw.Activations(f"{NAME}@pool", **OPTIONS).fit(pixels)
    np.testing.assert_allclose(transformer.transform(pixels), transformer.transform(paths[:8]), atol=1e-6)
    assert transformer.transform(pixels[..., 0]).shape == (8, 1280)


GRID = {"activations__cut": [f"{NAME}@pool", f"{NAME}@input"], "activations__pooling": ["avg", "max"]}


def unseen(folder, first):
    """Return 30 pictures that no other test stores, and their labels."""
    paths = sorted(make_folder(folder, each=10, first=first).rglob("*.png"))
    return paths, [path.parent.name for path in paths]


def test_a_picture_is_computed_once_whatever_the_fold_and_the_grid(tmp_path, capfd):
    paths, labels = unseen(tmp_path / "colours", 620)
    assert cross_val_score(pipeline(), paths, labels, cv=5).shape == (5,)
    assert computed(capfd.readouterr().err) == 30
    search = GridSearchCV(pipeline(), GRID, cv=3).fit(paths, labels)
    assert computed(capfd.readouterr().err) == 30  # the pictures at the second place
    assert search.best_params_ == {"activations__cut": f"{NAME}@input", "activations__pooling": "avg"}
    assert search.best_score_ == 1.0  # classes differ in colour
    assert search.predict(paths).tolist() == labels


def test_processes_share_the_store(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(base, "has_bfloat16", has_bfloat16)  # as in the other processes
    paths, labels = unseen(tmp_path / "colours", 640)
    search = GridSearchCV(pipeline(), GRID, cv=3, n_jobs=2).fit(paths, labels)
    assert computed(capfd.readouterr().err) >= 60  # two processes that fill at the same time may both compute a picture
    again = GridSearchCV(pipeline(), GRID, cv=3).fit(paths, labels)
    assert computed(capfd.readouterr().err) == 0
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], again.cv_results_["mean_test_score"])


def test_clone_pickle_and_parameters(paths):
    transformer = tw.Activations(f"{NAME}@block_12_add", pooling="max", **OPTIONS).fit(paths[:2])
    expected = transformer.transform(paths[:5])
    assert clone(transformer).get_params() == transformer.get_params()
    for copy in (clone(transformer), pickle.loads(pickle.dumps(transformer))):
        np.testing.assert_array_equal(copy.transform(paths[:5]), expected)
    assert transformer.set_params(cut=f"{NAME}@pool").transform(paths[:5]).shape == (5, 1280)


def test_columns_have_names(paths):
    transformer = tw.Activations(f"{NAME}@block_12_add", **OPTIONS)
    names = [f"activations{i}" for i in range(32)]
    assert transformer.get_feature_names_out().tolist() == names
    found = transformer.set_output(transform="pandas").fit_transform(paths[:4])
    assert (list(found.columns), found.shape) == (names, (4, 32))


def test_a_column_of_a_table(paths):
    table = pd.DataFrame({"picture": paths[:6], "height": np.arange(6.0)}, index=list("abcdef"))
    columns = make_column_transformer(
        (tw.Activations(f"{NAME}@block_12_add", **OPTIONS), "picture"), (StandardScaler(), ["height"])
    ).set_output(transform="pandas")
    found = columns.fit_transform(table)
    assert (found.shape, list(found.index)) == ((6, 33), list("abcdef"))
    assert found.columns[0] == "activations__activations0"


def test_a_picture_that_cannot_be_read_is_named(tmp_path, paths):
    transformer = tw.Activations(f"{NAME}@pool", **OPTIONS)
    broken = tmp_path / "broken.png"
    broken.write_bytes(Path(paths[0]).read_bytes()[:200])
    with pytest.raises(DatasetError) as error:
        transformer.transform([paths[1], broken])
    assert str(error.value) == (
        f"no activations of 1 picture; the first is {broken}: a PNG file that is cut short. Leave them out of X."
    )
    with pytest.raises(DatasetError) as error:
        transformer.fit([tmp_path / "gone.png"])
    assert str(error.value) == (
        f"no activations of 1 picture; the first is {tmp_path}/gone.png: cannot be opened: no such file or directory. "
        "Leave them out of X."
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "X is empty: expected at least one picture."),
        (np.zeros((0, 4, 4), np.uint8), "X is empty: expected at least one picture."),
        ("a.png", "X is one path, 'a.png': expected a list of paths, as in ['a.png']."),
        (
            Dataset("", ()),
            "X is Dataset: expected the paths of pictures, or their pixels; tw.activations(DATA, CUT) takes a dataset.",
        ),
        (
            [None],
            "X[0] is NoneType: expected the path of a picture, or uint8 pixels [n, height, width] or "
            "[n, height, width, channels].",
        ),
        (
            np.zeros((3, 4)),
            "X is float64: expected uint8, values from 0 to 255. Convert them: (X * 255).round().astype('uint8') if "
            "they go from 0 to 1.",
        ),
        (
            np.zeros((3, 4), np.uint8),
            "X has the shape [3, 4]: expected [n, height, width] or [n, height, width, channels], with 1, 3 or 4 "
            "channels and at least 2 pixels.",
        ),
        (
            [np.zeros((4, 4), np.uint8), np.zeros((5, 4), np.uint8)],
            "X is not an array: expected items that all have the same shape.",
        ),
    ],
)
def test_what_is_no_picture(given, message):
    with pytest.raises(DatasetError) as error:
        tw.Activations(f"{NAME}@pool", **OPTIONS).fit(given)
    assert str(error.value) == message


def test_parameters_are_checked_when_they_are_used(paths):
    with pytest.raises(RecipeError) as error:
        tw.Activations(f"{NAME}@pool", pooling="average", **OPTIONS).fit(paths[:1])
    assert str(error.value) == ("pooling = 'average': expected 'avg' or 'max' or 'flatten'; did you mean 'avg'?")
    with pytest.raises(UnknownBackbone):
        tw.Activations("mobilnet@pool").fit(paths[:1])
    with pytest.raises(CutError, match="did you mean 'block_12_add'"):
        tw.Activations(f"{NAME}@block_12_ad", **OPTIONS).fit(paths[:1])
    with pytest.raises(WeightsError, match="TOPWORK_OFFLINE forbids downloading it"):
        tw.Activations("resnet50@pool").fit(paths[:1])


def test_order_and_company_of_pictures_change_nothing(paths):
    transformer = tw.Activations(f"{NAME}@pool", **OPTIONS)
    whole = transformer.transform(paths)
    np.testing.assert_array_equal(transformer.transform(paths[::-1]), whole[::-1])
    np.testing.assert_array_equal(np.concatenate([transformer.transform([path]) for path in paths[:5]]), whole[:5])
    np.testing.assert_array_equal(transformer.transform([paths[3], *paths[:5]]), whole[[3, 0, 1, 2, 3, 4]])


def test_what_scikit_learn_checks_on_matrices_is_held_on_pictures(paths, tmp_path):
    np.save(tmp_path / "pixels.npy", np.random.default_rng(0).integers(0, 256, (6, 40, 40, 3), np.uint8))
    pixels = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    transformer = tw.Activations(f"{NAME}@pool", **OPTIONS)
    before = dict(vars(transformer))
    assert transformer.fit(pixels, [0, 1] * 3) is transformer
    once = transformer.transform(pixels)
    np.testing.assert_array_equal(transformer.fit(pixels).transform(np.asfortranarray(pixels)), once)
    np.testing.assert_array_equal(transformer.fit_transform(pixels[:1]), once[:1])
    assert vars(transformer) == before
    assert not hasattr(transformer, "n_features_in_")


class Plain(TransformerMixin, BaseEstimator):
    """A transformer for matrices that learns nothing: its checks in scikit-learn are those that could apply."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


APPLY = """
check_estimator_cloneable check_estimator_tags_renamed check_valid_tag_types check_estimator_repr
check_no_attributes_set_in_init check_do_not_raise_errors_in_init_or_set_params check_n_features_in_after_fitting
check_mixin_order check_transformer_n_iter check_parameters_default_constructible check_get_params_invariance
check_set_params
"""
FLOATS = """
check_fit_score_takes_y check_estimators_overwrite_params check_dont_overwrite_parameters
check_estimators_fit_returns_self check_readonly_memmap_input check_positive_only_tag_during_fit
check_estimators_dtypes check_complex_data check_dtype_object check_estimators_empty_data_messages
check_pipeline_consistency check_estimators_nan_inf check_estimators_pickle check_array_api_input
check_f_contiguous_array_estimator check_transformer_data_not_an_array check_transformer_general
check_transformer_preserve_dtypes check_transformers_unfitted_stateless check_methods_sample_order_invariance
check_methods_subset_invariance check_fit2d_1sample check_fit2d_1feature check_dict_unchanged check_fit_idempotent
check_fit_check_is_fitted check_n_features_in check_fit1d check_fit2d_predict1d
"""
SPARSE = "check_estimator_sparse_tag check_estimator_sparse_array check_estimator_sparse_matrix"
NOT_RUN = dict.fromkeys(FLOATS.split(), "feeds a 2-D matrix, whose rows are no pictures")
NOT_RUN |= dict.fromkeys(SPARSE.split(), "feeds a sparse matrix, which is no picture")


def own_checks(estimator):
    """Return scikit-learn's checks for an estimator, by name."""
    return {check.func.__name__: check for _, check in estimator_checks.estimator_checks_generator(estimator)}


def test_scikit_learn_knows_by_the_tags_that_it_takes_pictures():
    with pytest.warns(SkipTestWarning, match="Can't test estimator Activations which requires input"):
        found = own_checks(tw.Activations(f"{NAME}@pool", **OPTIONS))
    assert list(found) == ["check_estimator_cloneable"]


def test_every_check_applies_or_is_listed_with_the_reason():
    assert own_checks(Plain()).keys() == {*APPLY.split(), *NOT_RUN}


@pytest.mark.parametrize("name", APPLY.split())
def test_scikit_learns_own_check(name):
    check = own_checks(Plain())[name]
    check.func("Activations", tw.Activations(f"{NAME}@pool", **OPTIONS), **check.keywords)


def test_a_check_that_is_not_run_meets_a_plain_message():
    check = own_checks(Plain())["check_fit_score_takes_y"]
    with pytest.raises(DatasetError, match="X is float64: expected uint8"):
        check.func("Activations", tw.Activations(f"{NAME}@pool", **OPTIONS), **check.keywords)
