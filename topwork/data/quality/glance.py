"""A glance at the data: the gravest findings that are known after reading, in a line each."""

from collections.abc import Sequence

from topwork.data.dataset import Dataset
from topwork.data.quality import facts, unusual
from topwork.data.quality.findings import Finding, gravest
from topwork.system.advice import either, word


def lines(data: Dataset, further: Sequence[Finding] = ()) -> list[str]:
    """Return one line for each of the two gravest kinds of findings, and a line that points at the audit; or nothing.

    Args:
        data: the dataset; the facts of its pictures are saved if it was read with ``near_copies = "together"``.
        further: findings that are known from elsewhere.
    """
    known = facts.known({digest: None for row in data.rows for _, digest in row.pictures})
    found = [*unusual.of_facts(data.rows, known), *further]
    place = word(data.origin or "DATA")
    return gravest(found, either("topwork.audit(data)", f"topwork audit {place}"))
