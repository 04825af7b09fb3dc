"""A glance at the data of a run: the errors that show in its activations, at nearly no cost."""

from math import prod

import numpy as np

from topwork.data.dataset import Dataset
from topwork.data.quality.findings import Finding
from topwork.scoring.answers import SAMPLE
from topwork.scoring.audit import copies
from topwork.scoring.audit.neighbours import Neighbours
from topwork.store.examples import StoredActivations, features

FEATURES = 200
"""With fewer features, as those of the first layers, pictures look alike that are not."""

PRODUCTS = 12_000_000_000
"""At most this many multiplications are done for the similarities: about 0.2 s."""

PAIRS = 5
"""At most this many pairs are compared by their pixels."""

NUMBERS = 50_000_000
"""At most this many stored numbers are read."""


def copies_across(data: Dataset, stored: StoredActivations) -> list[Finding]:
    """Return the copies in different parts, or with different labels, that the activations and the pixels show.

    Args:
        data: the dataset of a run.
        stored: the activations of its last phase. If finding out would take long, nothing is returned.
    """
    if len(data) < 2 or len(data.part("test")) > SAMPLE:  # of more, only a sample is stored
        return []
    width = sum(stored.widths())
    size = sum(prod(tensor.shape) for reader in stored.readers for tensor in reader.tensors)
    is_small = len(data) ** 2 * width <= PRODUCTS and len(data) * size <= NUMBERS
    if width < FEATURES or not is_small:
        return []
    neighbours = Neighbours.of(features(stored, data.rows), stored.widths())
    place = {label: number for number, label in enumerate(data.classes)}
    labels = np.array([place[row.label] for row in data.rows])
    alike, _ = copies.by_activations(neighbours, labels, copies.NONE)
    parts, labelled = (np.array([getattr(row, name) or "" for row in data.rows]) for name in ("split", "label"))
    one, other = alike.T
    apart = alike[(parts[one] != parts[other]) | (labelled[one] != labelled[other])][:PAIRS]
    sure = apart[copies.certain(data, apart)]
    found = copies.findings(data, sure, copies.NONE, neighbours)
    return [one for one in found if one.severity == "error"]
