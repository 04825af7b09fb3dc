"""What a trained model gets before it is tested: the temperature of its logits, and its distance.

Both are fitted on pictures that the model did not learn from: on answers in folds if the last head was solved with few
validation pictures, else on the validation part.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from topwork.data.dataset import Dataset
from topwork.networks.model import Network
from topwork.networks.outputs.distance import Distance
from topwork.runs.folder import Folder
from topwork.runs.journal import kept_epochs
from topwork.scoring.answers import Solved, features_of, outputs_of
from topwork.scoring.calibration.distance import LEARNED, limited, measure
from topwork.scoring.calibration.temperature import fitted
from topwork.store.examples import StoredActivations
from topwork.system.messages import say

if TYPE_CHECKING:  # a run whose phases are all iterated does not need it
    from topwork.training.solved_phase import InFolds


def calibrated(
    folder: Folder, model: Network | Solved, data: Dataset, stored: StoredActivations, in_folds: "InFolds | None"
) -> tuple[Network | Solved, float]:
    """Divide the logits of a trained model by a temperature; return the model and the temperature.

    If nothing was better than the weights at the start, these stay as they are: a parent's have a temperature.
    """
    if not any(line.epoch for line in kept_epochs(folder.journal.epochs())):
        return model, 1.0
    if in_folds:
        outputs, labels = in_folds.logits, in_folds.labels
    else:
        val = stored.examples(data.part("val"), data.classes)
        if not len(val):
            return model, 1.0
        outputs, labels = outputs_of(model, [one.trunk for one in stored.requests], val), val.labels
    found = round(fitted(outputs, labels), 4)
    if isinstance(model, Solved):
        return replace(model, head=model.head.divided(found)), found
    if not model.divide(found):
        if found != 1:
            say(f"The head's last layer is no dense layer, so its answers are not calibrated (by {found:.2f}).")
        return model, 1.0
    return model, found


def measured(
    model: Network | Solved, data: Dataset, stored: StoredActivations, in_folds: "InFolds | None"
) -> Distance | None:
    """Return the distance of a calibrated model; ``None`` if too few pictures are there to fit it.

    Args:
        model: the model.
        data: the pictures of the run.
        stored: their activations.
        in_folds: answers in folds, with the logits of the calibrated model.
    """
    below = [one.trunk for one in stored.requests]
    if in_folds:
        chosen = np.sort(np.random.default_rng(0).permutation(len(in_folds.labels))[:LEARNED])
        blocks, start = [], 0
        for name in in_folds.parts:
            part = stored.examples(data.part(name), data.classes)
            own = chosen[(chosen >= start) & (chosen < start + len(part))] - start
            if len(own):
                blocks.append(features_of(model, below, part.at(own))[0])
            start += len(part)
        answers = in_folds.folds[chosen], in_folds.logits[chosen]
        found = measure(np.concatenate(blocks), in_folds.labels[chosen], folds=answers)
    else:
        train, val = (stored.examples(data.part(name), data.classes) for name in ("train", "val"))
        if not len(val):
            return None
        train = train.sample(LEARNED, seed=0)
        features, _ = features_of(model, below, train)
        found = measure(features, train.labels, apart=features_of(model, below, val.sample(LEARNED, seed=1)))
    return limited([found[0]], found[1]) if found else None
