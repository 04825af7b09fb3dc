"""K-fold cross-validation: one fill of the store, a run for each fold, every picture tested once.

The folder of it holds ``fold-1``, ``fold-2`` and so on, each a run folder of its own, and ``results.json``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from topwork import metrics
from topwork.dataset import Dataset
from topwork.errors import RunError, UsageError
from topwork.exam import Exam
from topwork.folder import fresh
from topwork.folds import folds
from topwork.readers import read
from topwork.run import Run
from topwork.talk import counted, say
from topwork.train import train


@dataclass(frozen=True)
class Folds:
    """The runs of a cross-validation, and what they came to together.

    Args:
        path: their folder.
        runs: one a fold.
        results: ``accuracy``, ``test`` (as `topwork.metrics.measure` gives it, over all pictures, each of them
            tested by the run that was not trained on it), and ``folds``, the accuracy of each.
    """

    path: Path
    runs: tuple[Run, ...]
    results: dict[str, Any]


def cross_validate(
    data: "str | Path | tuple | Dataset", count: int, *, seed: int = 0, out: str | Path | None = None, **options: Any
) -> Folds:
    """Train and test on each of several folds.

    Args:
        data: what `topwork.read` takes, or what it gave; its parts are drawn anew.
        count: of folds, 2 or more.
        seed: of the dealing.
        out: the folder to make; by default below ``runs``, named after data and time.
        options: as of `topwork.train`.

    Raises:
        UsageError: a parent, whose test part the run of every fold would keep.
        RunError: something stands at *out*.
        DatasetError, RecipeError: the data cannot be dealt into so many.

    Example:
        >>> import topwork as tw
        >>> found = tw.cross_validate("flowers/", 5, phases=[tw.Phase("mobilenet_v2@pool")])  # doctest: +SKIP
        >>> found.results["accuracy"]  # doctest: +SKIP
        {'value': 0.83, 'low': 0.79, 'high': 0.86}
    """
    if options.get("parent") is not None:
        raise UsageError(
            "--folds tests every picture once, and --from keeps the test part of its run: leave one of them away."
        )
    rows = data if isinstance(data, Dataset) else read(data)
    path = Path(out) if out else fresh(Path("runs"), f"{Path(rows.root).name or 'arrays'}-folds")
    if path.exists():
        raise RunError(
            f"{str(path)!r} exists already, and a run is never overwritten. Choose another --out, or remove it."
        )
    runs = []
    for number, fold in enumerate(folds(rows, count, seed), 1):
        say(f"fold {number} of {count}")
        runs.append(train(fold, out=path / f"fold-{number}", **options))
    results = together(runs)
    (path / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    _tell(results)
    return Folds(path, tuple(runs), results)


def together(runs: Sequence[Run]) -> dict[str, Any]:
    """What runs say of their test parts, as if one had said it all."""
    exams = [Exam.of(run.folder) for run in runs]
    classes = exams[0].classes
    said = [answer for exam in exams for answer in exam.answers]
    labels = np.array([classes.index(answer.row.label) for answer in said])
    found = metrics.measure(labels, np.array([answer.probabilities for answer in said]), classes)
    each = [run.results["accuracy"]["value"] for run in runs]
    return {"accuracy": found["accuracy"], "folds": each, "test": found}


def _tell(results: dict[str, Any]) -> None:
    rate, each = results["accuracy"], results["folds"]
    say(
        f"Accuracy {rate['value']:.3f} over all {len(each)} folds, {counted(results['test']['pictures'], 'picture')} "
        f"(95 % interval {rate['low']:.3f} to {rate['high']:.3f}); single folds {min(each):.3f} to {max(each):.3f}."
    )
