"""Apply a function to many items in a few threads."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from topwork.system.messages import Bar

S = TypeVar("S")
T = TypeVar("T")


def each(function: Callable[[S], T], items: Sequence[S], what: str, block: int = 16) -> Iterator[T]:
    """Yield ``function(item)`` for each item, in order, and show a bar; *what* is the label of the bar.

    The items are passed to the threads in blocks, because passing a single item takes longer than reading a small file.

    >>> list(each(str.upper, ["a", "b"], "reading"))
    ['A', 'B']
    """
    blocks = [items[start : start + block] for start in range(0, len(items), block)]
    threads = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    done = 0
    with ThreadPoolExecutor(threads) as pool, Bar(what) as bar:
        bar.update(0, len(items))
        for values in pool.map(lambda part: list(map(function, part)), blocks):
            yield from values
            done += len(values)
            bar.update(done, len(items))
