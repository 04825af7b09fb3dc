"""The fixed dataset: copies share a group, and suspects are marked. Nothing is deleted, and no label is changed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from topwork.data import splits
from topwork.data.dataset import PARTS, Dataset
from topwork.data.reading.listing import SUSPECT


def grouped(data: Dataset, clusters: Sequence[Sequence[int]]) -> Dataset:
    """Return the dataset with one group for the rows of each cluster, and for all rows that already belong to them.

    A group that the data gave keeps its name. If a cluster joins several groups, their names are joined, too. If they
    are in several parts, all get into the last of train, val and test, as `topwork.read` does it.

    >>> from topwork.data.dataset import Row
    >>> rows = (Row("a.png", "00", "cat"), Row("b.png", "01", "cat", group="tom"), Row("c.png", "02", "cat"))
    >>> [row.group for row in grouped(Dataset("/d", rows), [[0, 1]]).rows]
    ['tom', 'tom', None]
    """
    rows, tied = list(data.rows), {i for cluster in clusters for i in cluster}
    bound = list(data.rows)
    for number, cluster in enumerate(clusters):
        for i in cluster:  # as if they had a further picture in common
            bound[i] = replace(bound[i], further=(*bound[i].further, ("", f"cluster {number}")))
    for unit in splits.units_of(tuple(bound), near=False):
        if tied.isdisjoint(unit):
            continue
        names = sorted({group for i in unit if (group := rows[i].group)})
        name = " + ".join(names) or f"like {rows[min(unit)].path}"
        parts = {rows[i].split for i in unit}
        both = max(parts & set(PARTS), key=PARTS.index) if len(parts) > 1 and parts & set(PARTS) else None
        for i in unit:
            rows[i] = replace(rows[i], group=name, split=both or rows[i].split)
    return replace(data, rows=tuple(rows))


def marked(data: Dataset, proposed: Mapping[str, str]) -> Dataset:
    """Return the dataset with the proposed label in the column `SUSPECT`, for the paths in *proposed*."""
    rows = []
    for row in data.rows:
        extra = {name: text for name, text in row.extra.items() if name != SUSPECT}
        rows.append(replace(row, extra=extra | ({SUSPECT: proposed[row.path]} if row.path in proposed else {})))
    return replace(data, rows=tuple(rows))
