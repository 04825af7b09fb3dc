"""How often the distance notices pictures of other classes, measured by leaving out each class in turn.

For each class, a head is solved and a distance is fitted without it. Its pictures are then strangers, which should be
farther away than test pictures of the other classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from topwork.data.dataset import Dataset, Row
from topwork.errors import RunError
from topwork.networks.outputs.distance import unit
from topwork.runs.folder import Folder
from topwork.runs.journal import kept_epochs
from topwork.runs.moved_pictures import placed
from topwork.runs.restore import endings, trained_on
from topwork.runs.resume import here
from topwork.runs.scores import Rate
from topwork.scoring.answers import sampled
from topwork.scoring.calibration.distance import LEARNED, limited, measure
from topwork.scoring.intervals import wilson
from topwork.scoring.solver import Problem, answers_by_folds, inner_folds
from topwork.store.examples import StoredActivations, features
from topwork.store.extract import fill_all
from topwork.system.messages import Bar
from topwork.system.records import Record

MOST = 20
"""At most this many classes are left out; they are drawn by seed."""

FEWEST = 3
"""With fewer classes, one that is left out would leave nothing to tell apart."""

RESAMPLES = 500

USUAL = 0.1
"""The strength of the L2 term if the run's head was not solved."""

LIMITS = (
    "This shows how often pictures of a similar kind are noticed, such as another flower among flowers. Pictures of "
    "another kind, such as digits among flowers, are noticed more often. A picture that looks like a trained class is "
    "not noticed, and an unusual picture of a trained class is called unknown."
)


@dataclass(frozen=True)
class Stranger(Record):
    """A class that was left out.

    Args:
        pictures: the number of its pictures.
        auroc: the probability that one of them is farther away than a test picture of the other classes.
        refused: the share of its pictures that are called unknown.
    """

    pictures: int
    auroc: float
    refused: Rate


@dataclass(frozen=True)
class Unknown(Record):
    """How often pictures of classes that were left out are noticed.

    Args:
        cut: where the features come from.
        classes: the classes that were left out, one at a time.
        auroc: the mean of theirs, with a bootstrap interval over the pictures.
        refused: the share of all their pictures that are called unknown.
        known_refused: the share of test pictures of the other classes that are called unknown; about 0.05 is meant.
        tested: the number of test pictures.
        of: the number of all classes.
    """

    cut: str
    classes: dict[str, Stranger]
    auroc: Rate
    refused: Rate
    known_refused: Rate
    tested: int
    of: int

    @property
    def text(self) -> str:
        """What was measured, and what it does not show."""
        count = len(self.classes)
        each = "Each class was" if count == self.of else f"{count} of the {self.of} classes were"
        return (
            f"{each} left out in turn. Of the pictures that were left out, {self.refused} are called unknown; of the "
            f"test pictures of the other classes, {self.known_refused}. A picture that was left out is farther away "
            f"than a test picture in {self.auroc} of the pairs of the two. Linear heads were solved without each "
            f"class; a head of another kind may differ. {LIMITS}"
        )


def unavailable(folder: Folder) -> str:
    """Return why it cannot be measured for a run; empty if it can."""
    if folder.recipe.join:
        return "The run joins several models: measure its members."
    if folder.recipe.search and not folder.recipe.phases:
        return "The run has no phases."
    if len(folder.data().classes) < FEWEST:
        return f"The run has {len(folder.data().classes)} classes, and {FEWEST} were expected, to leave one out."
    if not folder.data().part("test"):
        return "The run has no test part."
    if endings(folder)[0].opens:
        return (
            "Layers of the network were trained with all classes, so that leaving one out means training again. "
            "Train a run without the class, and measure its pictures with that run."
        )
    return ""


def unknown(folder: Folder, data: Any = None, jobs: int | None = None) -> Unknown:
    """Measure how often a run notices pictures of classes that it does not know.

    The layers below the head must be frozen; the store has their activations. The heads are linear and solved, also if
    the run's head is another.

    Args:
        folder: a finished run.
        data: where its pictures are now, if they were moved.
        jobs: the number of processors to use.

    Raises:
        RunError: the run has trained layers below its head, joins others, or has too few classes or no test part.
    """
    if why := unavailable(folder):
        raise RunError(why)
    rows = placed(folder, data)
    requests = trained_on(endings(folder), rows, rows.rows)
    rows = here(folder, rows, requests, "topwork.Run(...).unknown(data=(X, y))")
    with StoredActivations(fill_all([one.of(rows) for one in requests], jobs)) as stored:
        parts = {name: _sample(rows, name) for name in ("train", "val", "test")}
        widths = stored.widths()
        values = {name: features(stored, some) for name, some in parts.items() if some}
        cut = folder.recipe.phases[-1].cut
    kept = kept_epochs(folder.journal.epochs())[-1:]
    l2 = (kept[0].l2 if kept else None) or USUAL
    return _measured(cut, rows.classes, parts, values, widths, l2)


def _sample(rows: Dataset, name: str) -> list[Row]:
    return list(sampled(rows.part(name), LEARNED))


def _measured(
    cut: str,
    classes: Sequence[str],
    parts: dict[str, list[Row]],
    values: dict[str, np.ndarray],
    widths: Sequence[int],
    l2: float,
) -> Unknown:
    place = {label: number for number, label in enumerate(classes)}
    labels = {name: np.array([place[row.label] for row in some], int) for name, some in parts.items()}
    folds = inner_folds(parts["train"])
    everything, all_labels = np.concatenate(list(values.values())), np.concatenate(list(labels.values()))
    drawn = [int(one) for one in np.sort(np.random.default_rng(0).permutation(len(classes))[:MOST])]
    found: dict[str, Stranger] = {}
    each: list[tuple[np.ndarray, np.ndarray]] = []  # distances of test pictures, nan where left out; and of strangers
    far, known_far = 0, []
    with Bar("leaving out each class") as bar:
        for done, left_out in enumerate(drawn):
            bar.update(done, len(drawn), classes[left_out])
            own, inside = labels["train"] != left_out, labels["test"] != left_out
            strangers = everything[all_labels == left_out]
            distances = _fitted(values["train"][own], labels["train"][own], folds[own], widths, l2)
            if distances is None or not inside.any() or not len(strangers):
                continue
            ask, threshold = distances
            tested, others = np.where(inside, ask(values["test"]), np.nan), ask(strangers)
            known = tested[inside]
            each.append((tested, others))
            refused = float((others > threshold).mean())
            far += int((others > threshold).sum())
            known_far.append(float((known > threshold).mean()))
            rate = Rate(refused, *wilson(refused, len(others)))
            found[classes[left_out]] = Stranger(len(others), auroc(known, others), rate)
    if not found:
        raise RunError("the run has too few pictures to leave a class out.")
    total, share = sum(one.pictures for one in found.values()), float(np.mean(known_far))
    return Unknown(
        cut=cut,
        classes=found,
        auroc=_mean_auroc(each),
        refused=Rate(far / total, *wilson(far / total, total)),
        known_refused=Rate(share, *wilson(share, len(parts["test"]))),
        tested=len(parts["test"]),
        of=len(classes),
    )


def _fitted(
    values: np.ndarray, labels: np.ndarray, folds: np.ndarray, widths: Sequence[int], l2: float
) -> tuple[Any, float] | None:
    """Return a function from features to distances, and the threshold; ``None`` if there are too few pictures."""
    there, positions = np.unique(labels, return_inverse=True)
    if len(there) < FEWEST - 1 or len(np.unique(folds)) < 2:
        return None
    problem = Problem(values.copy(), np.eye(len(there), dtype=np.float32)[positions], np.ones(len(values)), widths)
    ((_, apart),) = answers_by_folds(problem, positions, folds, [l2])
    head = problem.head(problem.solve(l2), batch_norm=True)

    def split(some: np.ndarray) -> np.ndarray:
        return unit(np.split(some, np.cumsum(widths)[:-1], axis=1))

    made = measure(split(values), positions, folds=(folds, apart))
    if not made:
        return None
    distance = limited([made[0]], made[1])
    return lambda some: distance.measures[0](split(some), head.logits(some)), distance.threshold


def auroc(known: np.ndarray, others: np.ndarray) -> float:
    """Return the probability that one of *others* is larger than one of *known*; equal values count half.

    This is the area under the ROC curve (Hanley & McNeil 1982, Radiology 143:29-36).

    >>> auroc(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    0.875
    """
    ordered = np.sort(known)
    below = np.searchsorted(ordered, others, "left") + np.searchsorted(ordered, others, "right")
    return float(below.mean() / 2 / len(known))


def _mean_auroc(each: Sequence[tuple[np.ndarray, np.ndarray]]) -> Rate:
    """Return the mean over the classes, with a bootstrap interval (percentiles; Efron & Tibshirani 1993).

    Each resample of the test pictures is used for all classes, because these are compared with the same pictures.
    """
    draw = np.random.default_rng(0)
    count = len(each[0][0])
    means: list[float] = []
    for _ in range(RESAMPLES):
        taken = draw.integers(count, size=count)
        again = [(tested[taken], draw.choice(others, len(others))) for tested, others in each]
        areas = [auroc(tested[~np.isnan(tested)], others) for tested, others in again if not np.isnan(tested).all()]
        means.append(float(np.mean(areas)) if areas else np.nan)
    value = float(np.mean([auroc(tested[~np.isnan(tested)], others) for tested, others in each]))
    low, high = np.nanpercentile(means, [2.5, 97.5])
    return Rate(value, min(float(low), value), max(float(high), value))
