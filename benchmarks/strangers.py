"""Which number tells pictures of other classes best: the distance of topwork, and the single scores it could be.

Each class is left out in turn, in each of several folds; further folders hold pictures of another kind.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.covariance import LedoitWolf

import topwork as tw
from benchmarks.draw import draw
from benchmarks.machine import measured_on
from benchmarks.report import table
from topwork.data.readers import undrawn
from topwork.networks.heads import LinearHead
from topwork.networks.outputs.distance import unit
from topwork.scoring.calibration.distance import clusters, limited, means_of, measure
from topwork.scoring.calibration.unknown import auroc
from topwork.scoring.solver import Problem
from topwork.store.examples import StoredActivations, features
from topwork.store.extract import asked, fill_all, requested
from topwork.system.messages import say

Score = Callable[[np.ndarray], np.ndarray]
"""Takes features ``[n, features]``, and returns numbers that are larger for strangers, ``[n]``."""

L2 = 0.1
OURS = "topwork's distance"


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Args:
        data: a folder with one folder per class; if ``None``, pictures are drawn.
        others: folders with pictures of another kind, or MNIST's idx files.
        pictures: how many are drawn.
        cut, weights: of the network.
        folds: how often the pictures are dealt into training, validation and test pictures.
        most: pictures of each further folder.
    """

    data: Path | None = None
    others: Sequence[Path] = ()
    pictures: int = 500
    cut: str = "efficientnet_lite0@pool"
    weights: str = "random"
    folds: int = 5
    most: int = 300

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, cut="mobilenet_025@pool", folds=3)


Found = dict[str, dict[str, list[float]]]
"""The AUROC of each score on each kind of strangers, one number for each trial."""


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Args:
        aurocs: see `Found`.
        refused: of topwork's distance, the shares of strangers and of test pictures that are called unknown, by kind.
    """

    aurocs: Found
    refused: dict[str, list[tuple[float, float]]]


def measure_all(plan: Plan, scratch: Path) -> Measured:
    """Measure. The store is below *scratch*."""
    folder = plan.data or draw(scratch / "drawn", plan.pictures)
    rows = tw.read(folder)
    values = _features(plan, rows)
    labels = np.array([rows.classes.index(row.label) for row in rows.rows])
    others = {path.name: _features(plan, _few(_read(path, scratch), plan.most)) for path in plan.others}
    order = np.random.default_rng(0).permutation(len(values))
    fold = np.empty(len(values), int)
    fold[order] = np.arange(len(values)) % plan.folds
    found = Measured({}, {})
    for number in range(plan.folds):
        tested, held = fold == number, fold == (number + 1) % plan.folds
        learned = ~tested & ~held
        for left_out in range(len(rows.classes)):
            own = labels != left_out
            trial = _Trial(values[learned & own], labels[learned & own], values[held & own])
            _note(found, "a class left out", trial, values[tested & own], values[~own])
        trial = _Trial(values[learned], labels[learned], values[held])
        for name, strangers in others.items():
            _note(found, name, trial, values[tested], strangers)
        say(f"fold {number + 1} of {plan.folds}")
    return found


def _read(path: Path, scratch: Path) -> tw.Dataset:
    """Read a folder with class folders or idx files; or a folder of pictures, which get one class."""
    if any(one.is_dir() for one in path.iterdir()) or [*path.glob("*idx3*")]:
        return tw.read(path)
    listing = scratch / f"{path.name}.csv"
    lines = (f"{one.resolve()},other" for one in sorted(path.iterdir()))
    listing.write_text("\n".join(["path,label", *lines]) + "\n")
    return undrawn(listing)


def _few(rows: tw.Dataset, most: int) -> tw.Dataset:
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:most])
    return replace(rows, rows=tuple(rows.rows[number] for number in chosen))


def _features(plan: Plan, rows: tw.Dataset) -> np.ndarray:
    cut, backbones = asked(plan.cut, plan.weights)
    with StoredActivations(fill_all(requested(rows, cut, backbones), None)) as stored:
        rows = rows.without(stored.failures())
        return features(stored, rows.rows)


class _Trial:
    """Scores that are fitted on some pictures."""

    def __init__(self, values: np.ndarray, labels: np.ndarray, held: np.ndarray) -> None:
        there, labels = np.unique(labels, return_inverse=True)
        problem = Problem(values.copy(), np.eye(len(there), dtype=np.float32)[labels], np.ones(len(labels)))
        head = problem.head(problem.solve(L2), batch_norm=True)
        made = measure(unit([values]), labels, apart=(unit([held]), head.logits(held)))
        assert made
        distance = limited([made[0]], made[1])
        self.threshold = distance.threshold
        self.scores: Mapping[str, Score] = {
            "largest logit": lambda x: -head.logits(x).max(1),
            "energy": lambda x: -_energy(head, x),
            "largest probability": lambda x: _energy(head, x) - head.logits(x).max(1),
            "cosine to class means": _cosine(means_of(unit([values]), labels)),
            "cosine to k-means centres": _cosine(means_of(unit([values]), clusters(unit([values]), labels))),
            "cosine to the 10th neighbour": lambda x: -np.sort(unit([x]) @ unit([values]).T, 1)[:, -10],
            "Mahalanobis, shrunk": _mahalanobis(values, labels),
            OURS: lambda x: distance.measures[0](unit([x]), head.logits(x)),
        }


def _energy(head: LinearHead, x: np.ndarray) -> np.ndarray:
    """Return the logarithm of the sum of exponentials of the logits (Liu et al. 2020, NeurIPS, arXiv:2010.03759)."""
    logits = head.logits(x)
    largest = logits.max(1)
    return largest + np.log(np.exp(logits - largest[:, None]).sum(1))


def _cosine(means: np.ndarray) -> Score:
    return lambda x: -(unit([x]) @ means.T).max(1)


def _mahalanobis(values: np.ndarray, labels: np.ndarray, most: int = 256) -> Score:
    """Return the distance to the nearest class mean (Lee et al. 2018, NeurIPS, arXiv:1807.03888), in *most* axes."""
    middle = values.mean(0)
    axes = np.linalg.svd(values - middle, full_matrices=False)[2][:most].T
    means = np.stack([(values[labels == number] - middle).mean(0) for number in np.unique(labels)]) @ axes
    precision = LedoitWolf().fit((values - middle) @ axes - means[labels]).precision_

    def score(x: np.ndarray) -> np.ndarray:
        away = ((x - middle) @ axes)[:, None] - means
        found: np.ndarray = np.einsum("nci,ij,ncj->nc", away, precision, away).min(1)
        return found

    return score


def _note(found: Measured, kind: str, trial: _Trial, known: np.ndarray, strangers: np.ndarray) -> None:
    for name, score in trial.scores.items():
        found.aurocs.setdefault(name, {}).setdefault(kind, []).append(auroc(score(known), score(strangers)))
    ours = trial.scores[OURS]
    far = [float((ours(some) > trial.threshold).mean()) for some in (strangers, known)]
    found.refused.setdefault(kind, []).append((far[0], far[1]))


def strangers_table(plan: Plan, found: Measured, command: str) -> str:
    """Return the table."""
    kinds = list(found.refused)
    rows = [[name, *(f"{np.mean(by_kind[kind]):.3f}" for kind in kinds)] for name, by_kind in found.aurocs.items()]
    for number, what in enumerate(("called unknown", "test pictures called unknown")):
        shares = (f"{np.mean([each[number] for each in found.refused[kind]]):.3f}" for kind in kinds)
        rows.append([f"{what}, of {OURS}", *shares])
    what = f"the photos of {plan.data.name}" if plan.data else f"{plan.pictures:,} drawn photos"
    about = (
        f"AUROC, the mean of {plan.folds} folds of {what}: the probability that a stranger is farther away than a test "
        f"picture. `{plan.cut}`, {plan.weights} weights; at most {plan.most} pictures of each further folder."
    )
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(["score", *kinds], rows)])
