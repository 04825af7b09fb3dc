"""Gathering: what the terms of a cut have in their stores, row by row, as parts to train and to measure on."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from topwork.data.dataset import Row
from topwork.extract import Wanted
from topwork.part import Part, Source
from topwork.store import Store


@contextmanager
def gathered(wanted: Sequence[Wanted], classes: Sequence[str]) -> Iterator[Callable[[Sequence[Row]], Part]]:
    """Open the stores of several fills, one a term, each store once.

    Gives:
        A function from rows to their part; training rows have as many views as the fills gave them.
    """
    where = {label: i for i, label in enumerate(classes)}
    with ExitStack() as stack:
        opened: dict[Path, Store] = {}
        folders = [one.folder() for one in wanted]
        for one, folder in zip(wanted, folders):
            if folder not in opened:
                opened[folder] = stack.enter_context(one.store())

        def part(rows: Sequence[Row]) -> Part:
            views = len(wanted[0].shots_of(rows[0])) if rows else 1
            sources = []
            for one, folder in zip(wanted, folders):
                shots = [one.shots_of(row) for row in rows]
                keys = [one.key(some[view]) for view in range(views) for some in shots]
                sources.append(Source.of(opened[folder], keys))
            labels = np.array([where[row.label] for row in rows], np.int64)
            return Part(tuple(sources), labels, [row.content for row in rows], views)

        yield part


def stored(wanted: Sequence[Wanted]) -> list[list[str] | None]:
    """The dtypes on disk of each fill's tensors."""
    found = []
    for one in wanted:
        with one.store() as store:
            found.append(store.stored)
    return found
