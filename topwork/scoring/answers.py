"""Answers: a finished model's probabilities for pictures, computed from their stored activations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from topwork.data.dataset import Dataset, Row
from topwork.networks.fusion import Joined, softmax
from topwork.networks.heads import LinearHead, Values, class_logits
from topwork.networks.model import Network
from topwork.networks.outputs.distance import unit
from topwork.networks.trunk import Trunk
from topwork.recipes.settings import Pooling
from topwork.runs.folder import Folder
from topwork.runs.scores import MemberScores, Scores
from topwork.scoring import metrics
from topwork.scoring.metrics import auc, cross_entropy
from topwork.store.examples import Examples, StoredActivations
from topwork.system import gpu

if TYPE_CHECKING:
    import keras

CHECKED = 200
"""An exported file is checked on at most this many pictures."""

EXAMPLES = 100
"""A file in 8 bits is calibrated on at most this many training pictures."""

SCORING_BATCH = 128

SAMPLE = 2000
"""An evaluation measures at most this many pictures; if there are more, it measures a seeded sample."""


@dataclass(frozen=True)
class Solved:
    """A model whose head was solved: it answers without Keras.

    Args:
        head: the head.
        pooling: how the head pools maps.
    """

    head: LinearHead
    pooling: Pooling

    def values(self) -> Values:
        """Return the weights of the Keras layers."""
        return self.head.values()


Trained = Network | Joined | Solved
"""A trained model that answers from activations."""


@dataclass(frozen=True)
class Answers:
    """A model's answers for some rows.

    Args:
        rows: the rows.
        labels: the position of each row's label among the classes, int ``[rows]``.
        probabilities: float64 ``[rows, classes]``.
        members: if the model is a join, the probabilities of each member, float64 ``[rows, classes]``.
    """

    rows: tuple[Row, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    members: tuple[np.ndarray, ...] = ()


def sampled(rows: Sequence[Row], count: int) -> tuple[Row, ...]:
    """Return a seeded sample of at most *count* rows, in the order of *rows*."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:count])
    return tuple(rows[i] for i in chosen)


def measured_scores(folder: Folder, answers: Answers, classes: Sequence[str]) -> Scores:
    """Return all scores of the answers; for a join, also the accuracy and the loss of each member."""
    each = [metrics.measure(answers.labels, said, classes) for said in answers.members]
    members = [MemberScores(name, one.accuracy, one.loss) for name, one in zip(folder.origins, each)]
    return replace(metrics.measure(answers.labels, answers.probabilities, classes), members=members)


def answered(model: Trained, stored: StoredActivations, rows: Sequence[Row], classes: Sequence[str]) -> Answers:
    """Return a finished model's answers for *rows*, computed from stored activations."""
    found = stored.examples(rows, classes)
    probabilities, *members = said(model, [one.trunk for one in stored.requests], found)
    return Answers(tuple(rows), found.labels, probabilities, tuple(members))


def said(model: Trained, below: Sequence[Trunk], part: Examples) -> list[np.ndarray]:
    """Return a list: the model's probabilities, float64 ``[rows, classes]``; for a join, then those of each member.

    Args:
        model: the model with its trained weights.
        below: one trunk per term of the model's cut; for a join, the trunks of all members, in their order.
        part: the activations of the rows.
    """
    if not isinstance(model, Joined):
        return [softmax(outputs_of(model, below, part))]
    each = [said(*one)[0] for one in by_member(model, below, part)]
    return [model.rule(np.array(each)), *each]


def by_member(
    model: Joined, below: Sequence[Trunk], part: Examples
) -> Iterator[tuple[Network, Sequence[Trunk], Examples]]:
    """Yield each member of a join with its trunks and its activations; the arguments are as in `said`."""
    bounds = pairwise(accumulate((len(member.trunks) for member in model.members), initial=0))
    for member, (start, end) in zip(model.members, bounds):
        yield member, below[start:end], Examples(part.sources[start:end], part.labels, part.contents)


def outputs_of(model: Network | Solved, below: Sequence[Trunk], part: Examples) -> np.ndarray:
    """Return the logits of a model that is not a join, float32 ``[rows, classes]``; the arguments are as in `said`."""
    if isinstance(model, Solved):
        return model.head.logits(part.vectors(np.arange(len(part)), model.pooling))
    return logits(model.above(below), part)


def features_of(model: Network | Solved, below: Sequence[Trunk], part: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Return what the distance of a model needs (`topwork.networks.outputs.distance.Measure`); see `said`.

    Returns:
        Features, float32 ``[rows, features]``, and logits, float32 ``[rows, classes]``.
    """
    if isinstance(model, Solved):
        rows = np.arange(len(part))
        blocks = np.split(part.vectors(rows, "avg"), np.cumsum(part.widths("avg"))[:-1], axis=1)
        return unit(blocks), outputs_of(model, below, part)
    found, *ends = _outputs(model.above_with_ends(below), part)
    return unit(ends), class_logits(found)


def logits(model: "keras.Model", part: Examples) -> np.ndarray:
    """Return the model's outputs for every row of *part*, in inference mode: float32 ``[rows, classes]``."""
    return class_logits(_outputs(model, part)[0])


def _outputs(model: "keras.Model", part: Examples) -> list[np.ndarray]:
    """Return each output of a model for every row of *part*, float32.

    The last batch is padded, so that the model is traced for only one shape.
    """
    size = min(SCORING_BATCH, max(1, len(part)))
    found = []
    with gpu.exact():
        for rows in part.batches(size):
            inputs = part.take(np.resize(rows, size))
            made = model.predict_on_batch(inputs if len(inputs) > 1 else inputs[0])
            each = made if isinstance(made, list | tuple) else [made]
            found.append([np.asarray(one, np.float32)[: len(rows)] for one in each])
    return [np.concatenate(blocks) for blocks in zip(*found)]


def score(model: "keras.Model", part: Examples) -> dict[str, float]:
    """Return the `scores` of a model on *part*, in inference mode."""
    return scores(part.labels, logits(model, part))


def scores(labels: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """Return unweighted cross-entropy, accuracy and (if defined) ROC AUC of logits ``[n, classes]``."""
    found = {
        "loss": cross_entropy(labels, outputs),
        "accuracy": float((outputs.argmax(1) == labels).mean()),
        "auc": auc(labels, outputs),
    }
    return {name: value for name, value in found.items() if value is not None}


def examples(data: Dataset) -> list[Row]:
    """Return the rows that a file in 8 bits is calibrated on: training rows alone."""
    return list(sampled(data.part("train"), EXAMPLES))


def checked(data: Dataset) -> list[Row]:
    """Return the rows that an exported file is checked on: test rows first, then validation and training rows."""
    return [row for part in ("test", "val", "train") for row in sampled(data.part(part), CHECKED)][:CHECKED]
