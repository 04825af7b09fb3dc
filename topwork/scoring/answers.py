"""Answers: what a finished model says of pictures, from the activations that the store has of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from topwork.data.dataset import Dataset, Row
from topwork.networks.fusion import Joined, softmax
from topwork.networks.model import Answering, Network
from topwork.networks.trunk import Trunk
from topwork.runs.folder import Folder
from topwork.runs.scores import MemberScores, Scores
from topwork.scoring import metrics
from topwork.scoring.metrics import auc, cross_entropy
from topwork.store.examples import Examples, StoredActivations
from topwork.system import gpu

if TYPE_CHECKING:
    import keras

CHECKED = 200
"""Pictures that the file is checked on, or all there are."""


SCORING_BATCH = 128


SAMPLE = 2000
"""Pictures that an evaluation takes at most; a seeded sample where there are more."""


@dataclass(frozen=True)
class Answers:
    """What a model says of some rows: their labels' positions, and probabilities float64 ``[rows, classes]``.

    *members*: of a join, what each member says.
    """

    rows: tuple[Row, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    members: tuple[np.ndarray, ...] = ()


def sampled(rows: Sequence[Row], count: int) -> tuple[Row, ...]:
    """A seeded sample of at most *count* rows, in their order."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:count])
    return tuple(rows[i] for i in chosen)


def measured_scores(folder: Folder, answers: Answers, classes: Sequence[str]) -> Scores:
    """All scores; those of a join's members beside it."""
    each = [metrics.measure(answers.labels, said, classes) for said in answers.members]
    members = [MemberScores(name, one.accuracy, one.loss) for name, one in zip(folder.origins, each)]
    return replace(metrics.measure(answers.labels, answers.probabilities, classes), members=members)


def answered(
    network: Answering, below: Sequence[Trunk], stored: StoredActivations, rows: Sequence[Row], classes: Sequence[str]
) -> Answers:
    """What a finished model says of rows, from the activations that are stored of them, a trunk for each request."""
    found = stored.examples(rows, classes)
    probabilities, *members = said(network, below, found)
    return Answers(tuple(rows), found.labels, probabilities, tuple(members))


def said(network: Answering, below: Sequence[Trunk], part: Examples) -> list[np.ndarray]:
    """Probabilities of a part's rows, float64 ``[rows, classes]``; of a join followed by those of each member.

    Args:
        network: with its trained weights.
        below: a trunk for each term of its cut, of a join for those of each member, as its ``trunks`` are.
        part: their activations.
    """
    if isinstance(network, Network):
        return [softmax(logits(network.above(below), part))]
    assert isinstance(network, Joined)
    bounds = pairwise(accumulate((len(member.trunks) for member in network.members), initial=0))
    each = [
        said(member, below[start:end], Examples(part.sources[start:end], part.labels, part.contents))[0]
        for member, (start, end) in zip(network.members, bounds)
    ]
    return [network.rule(np.array(each)), *each]


def sample_size(taken: Sequence[Row], rows: Sequence[Row]) -> int | None:
    """How many rows were taken, where these are not all."""
    return len(taken) if len(taken) < len(rows) else None


def logits(model: "keras.Model", part: Examples) -> np.ndarray:
    """The model's outputs for every row of *part*, in inference mode: float32 ``[rows, classes]``.

    The last batch is filled up, so that one shape alone is traced. A single logit z becomes the two (0, z).
    """
    size = min(SCORING_BATCH, max(1, len(part)))
    found = []
    with gpu.exact():
        for rows in part.batches(size):
            inputs = part.take(np.resize(rows, size))
            outputs = model.predict_on_batch(inputs if len(inputs) > 1 else inputs[0])
            found.append(np.asarray(outputs, np.float32)[: len(rows)])
    joined = np.concatenate(found)
    return np.hstack([np.zeros_like(joined), joined]) if joined.shape[1] == 1 else joined


def score(model: "keras.Model", part: Examples) -> dict[str, float]:
    """Unweighted cross-entropy, accuracy and (where it is defined) ROC AUC of *part* in inference mode."""
    outputs = logits(model, part)
    found = {
        "loss": cross_entropy(part.labels, outputs),
        "accuracy": float((outputs.argmax(1) == part.labels).mean()),
        "auc": auc(part.labels, outputs),
    }
    return {name: value for name, value in found.items() if value is not None}


def checked(data: Dataset) -> list[Row]:
    """The rows that a file is checked on: of the test part, then of the validation and training parts."""
    return [row for part in ("test", "val", "train") for row in sampled(data.part(part), CHECKED)][:CHECKED]
