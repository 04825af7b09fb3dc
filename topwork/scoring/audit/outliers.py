"""Outliers: pictures unlike all others of the data, to the network."""

import numpy as np

from topwork.data.dataset import Dataset
from topwork.data.quality.findings import Finding
from topwork.scoring.audit.neighbours import Neighbours

TAIL = 2.0
"""A picture is an outlier if it is more remote than the most remote tenth begins, by this many times the distance from
the upper quartile to there. The lower quartile plays no part: many digits have equals, and a few have not. Up to a
tenth of the pictures may be strange. Of 500 photos of flowers and of 10,000 digits, none is beyond; of 20 digits among
photos, and of 20 photos among digits, all are."""

ENOUGH = 30
"""With fewer pictures, the quartiles say too little."""


def findings(data: Dataset, neighbours: Neighbours) -> list[Finding]:
    """Return the pictures that are unlike all others, the most remote first; see `Neighbours.remoteness`.

    They are compared with pictures beyond their group, so that twenty digits among photos do not hide each other.
    """
    if len(data) < ENOUGH:
        return []
    quartile, tenth = np.percentile(neighbours.remoteness, (75, 90))
    limit = tenth + TAIL * (tenth - quartile)
    found = []
    for i in np.flatnonzero(neighbours.remoteness > limit):
        row, nearest = data.rows[i], neighbours.nearest[i, :3]
        advice = "Check whether they show what their labels say. If not, remove them."
        paths = [row.path, *(data.rows[j].path for j in nearest)]
        found.append(Finding.of("outlier", neighbours.remoteness[i], paths, advice, label=row.label))
    return found
