"""Get activations from the store as arrays, with a function or with a scikit-learn transformer."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from topwork.cut import Cut
from topwork.data import picture_files
from topwork.data.dataset import Dataset, Row
from topwork.data.readers import read
from topwork.data.reading.arrays import Block, joined
from topwork.errors import DatasetError, PictureError, RecipeError, nearest
from topwork.recipes.settings import Backbone, Pooling
from topwork.store.examples import StoredActivations, features
from topwork.store.extract import check, fill_all, requested
from topwork.store.precision import independent
from topwork.store.request import Request
from topwork.system.keras_settings import ours
from topwork.system.messages import counted, shown, with_progress

if TYPE_CHECKING:
    from sklearn.utils import Tags


@ours()
@with_progress
def activations(
    data: "str | Path | tuple | Dataset",
    cut: str,
    *,
    backbone: Backbone | Sequence[Backbone] = (),
    labels: bool = False,
    jobs: int | None = None,
    progress: bool = True,  # noqa: ARG001
) -> Any:
    """Return the activations of every picture at a cut. Activations that the store lacks are computed first.

    Args:
        data: anything that `topwork.read` takes, or a dataset that `topwork.read` returned.
        cut: a single cut, for instance ``"inception_v3@mixed7"``, or a sum of cuts (``"a + b"``).
        backbone: options for the backbone. For a sum: a list with options for its backbones. With the precision
            ``"auto"``, trunks run in bfloat16 wherever the processor supports it, so that a picture's activations do
            not depend on the other pictures.
        labels: whether to return the labels as well.
        jobs: the number of processors to use.
        progress: whether to show progress bars and messages.

    Returns:
        An array ``[rows, *shape]``, in the order of the dataset's rows. It has the dtype of the store: float16 or
        float32, or uint8 at ``input``. For a sum, or for a cut with several tensors: a list of such arrays. A list for
        a sum has the order of the cuts in the sum. With *labels*, a pair of this and the labels, ``str [rows]``.

    Raises:
        DatasetError: a picture cannot be read (``data.without`` excludes it).

    Example:
        >>> import topwork as tw
        >>> features = tw.activations("flowers/", "mobilenet_v2@pool")  # doctest: +SKIP
    """
    rows = data if isinstance(data, Dataset) else read(data, near_copies="ignore")
    backbones = [backbone] if isinstance(backbone, Backbone) else backbone
    requests = independent(requested(rows, Cut.parse(cut), backbones))
    fill_all(requests, jobs)
    with StoredActivations(requests) as stored:
        _refuse_unread(stored, "Leave them out: topwork.read(..., decode=True) does.")
        found = [array for number in range(len(requests)) for array in stored.read(number, rows.rows)]
    each = found[0] if len(found) == 1 else found
    return (each, np.array(rows.labels)) if labels else each


class Activations(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A scikit-learn transformer from pictures to their activations at a cut: one row of numbers per picture.

    The pictures are paths (a list, an array or a column ``[n]`` of ``str`` or ``Path``) or pixels (uint8 ``[n, height,
    width]`` or ``[n, height, width, 1 | 3 | 4]``). The transformer learns nothing from the pictures, so the activations
    of a picture do not depend on other pictures. They are computed once and then read from the store, in every fold,
    grid point and process. The input is not a table of features, so the transformer has no ``n_features_in_``.

    Args:
        cut: a single cut, such as ``"resnet50@pool"``, or a sum of cuts. Layers above the cut are not used.
        weights: the weights of all backbones in the cut: ``"imagenet"``, ``"random"``, or the path of a file.
        size: the side, in pixels, of the square that pictures are resized to. ``None``: each backbone's default size.
        pooling: how a map ``[height, width, channels]`` becomes a row: ``"avg"``, ``"max"`` or ``"flatten"``.
        jobs: the number of processors to use.
        progress: whether to show progress bars and messages.

    Example:
        >>> import topwork as tw
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.pipeline import make_pipeline
        >>> model = make_pipeline(tw.Activations("resnet50@pool"), LogisticRegression())
        >>> model.fit(["rose.jpg", "tulip.jpg"], ["rose", "tulip"])  # doctest: +SKIP
    """

    def __init__(
        self,
        cut: str,
        *,
        weights: str = "imagenet",
        size: int | None = None,
        pooling: Pooling = "avg",
        jobs: int | None = None,
        progress: bool = True,
    ) -> None:
        self.cut = cut
        self.weights = weights
        self.size = size
        self.pooling = pooling
        self.jobs = jobs
        self.progress = progress

    @ours()
    def fit(self, X: Any, y: Any = None) -> "Activations":
        """Check the parameters, and check that *X* contains pictures. Nothing is computed or learned.

        Raises:
            CutError, RecipeError, UnknownBackbone: a parameter is invalid.
            WeightsError: the weights are not on this machine and cannot be downloaded.
            DatasetError: *X* does not contain pictures.
        """
        with shown(self.progress):
            _dataset(X)
            _ = self._n_features_out
        return self

    @ours()
    def transform(self, X: Any) -> np.ndarray:
        """Return the activations of pictures, float32 ``[n, features]``.

        The features of the cuts in a sum follow one another, and so do the features of several tensors. You need not
        call `fit` first.

        Raises:
            DatasetError: a picture cannot be read, or *X* does not contain pictures.
            CutError, RecipeError, UnknownBackbone, WeightsError: as in `fit`.
        """
        data = _dataset(X)
        with shown(self.progress):
            requests = self._requests(data)
            fill_all(requests, self.jobs)
        with StoredActivations(requests) as stored:
            _refuse_unread(stored, "Leave them out of X.")
            return features(stored, data.rows, self.pooling)

    def __sklearn_tags__(self) -> "Tags":
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = tags.input_tags.three_d_array = tags.input_tags.string = True
        return tags

    @property
    @ours()
    def _n_features_out(self) -> int:
        requests = self._requests(Dataset("", ()))
        for one in requests:
            check(one, learn=True)
        shapes = [tensor.shape for one in requests for tensor in one.trunk.tensors]
        is_flat = self.pooling == "flatten"
        return sum(prod(shape) if is_flat or len(shape) < 2 else shape[-1] for shape in shapes)

    def _requests(self, data: Dataset) -> list[Request]:
        choices = get_args(Pooling)
        if self.pooling not in choices:
            expected = " or ".join(map(repr, choices))
            raise RecipeError(
                f"pooling = {self.pooling!r}: expected {expected}{nearest(str(self.pooling), choices) or '.'}"
            )
        cut = Cut.parse(self.cut)
        backbones = [Backbone(name, self.weights, self.size) for name in cut.backbones]
        return independent(requested(data, cut, backbones))


def _refuse_unread(stored: StoredActivations, way: str) -> None:
    if bad := stored.failures():
        path, content = next(shot[:2] for one in stored.requests for shot in one.shots if shot.content in bad)
        raise _unread(len(bad), path, bad[content], way)


def _unread(count: int, path: str, reason: str, way: str) -> DatasetError:
    return DatasetError(f"no activations of {counted(count, 'picture')}; the first is {path}: {reason}. {way}")


def _dataset(X: Any) -> Dataset:
    """Return a dataset of pictures without labels; paths are relative to the working directory."""
    paths = _paths(X)
    if not len(X):
        raise DatasetError("X is empty: expected at least one picture.")
    if paths is None:
        return joined([Block(X, np.zeros(len(X), int))])
    rows = []
    with ThreadPoolExecutor(8) as pool:
        digests = pool.map(picture_files.digest, paths)
        for path in paths:
            try:
                rows.append(Row(path, next(digests), ""))
            except PictureError as error:
                raise _unread(1, path, str(error), "Leave them out of X.") from None
    return Dataset(os.getcwd(), tuple(rows))


def _paths(X: Any) -> list[str] | None:
    """Return the paths in *X* (``[n]`` or ``[n, 1]``) as text; ``None`` if *X* has other items, which should be pixels.

    Raises:
        DatasetError: *X* is a single path, has no length, or contains objects that are neither paths nor pixels.
    """
    if isinstance(X, str | os.PathLike):
        raise DatasetError(f"X is one path, {os.fspath(X)!r}: expected a list of paths, as in [{os.fspath(X)!r}].")
    if isinstance(X, Dataset) or not hasattr(X, "__len__"):
        raise DatasetError(
            f"X is {type(X).__name__}: expected the paths of pictures, or their pixels; "
            "tw.activations(DATA, CUT) takes a dataset."
        )
    with suppress(ValueError):  # raised for items with different shapes, which are not paths
        values = np.asarray(X)
        if values.dtype.kind in "OUT" and values.shape in ((len(values),), (len(values), 1)):
            items = values.ravel().tolist()
            for number, item in enumerate(items):
                if not isinstance(item, str | os.PathLike):
                    raise DatasetError(
                        f"X[{number}] is {type(item).__name__}: expected the path of a picture, or uint8 pixels "
                        "[n, height, width] or [n, height, width, channels]."
                    )
            return [os.fspath(item) for item in items]
    return None
