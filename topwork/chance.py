"""A result that one answer to every picture may reach as well, said in a sentence."""

from collections.abc import Mapping
from typing import Any


def chance(found: Mapping[str, Any]) -> str | None:
    """One sentence where the accuracy's interval reaches down to the share of the largest class; else ``None``.

    Args:
        found: what `topwork.metrics.measure` gives. Of pictures of one class alone nothing is said.

    Example:
        >>> classes = {"daisy": {"support": 20}, "rose": {"support": 30}}
        >>> chance({"pictures": 50, "accuracy": {"value": 0.66, "low": 0.52, "high": 0.78}, "classes": classes})
        "As far as 50 pictures tell, this is no better than always answering 'rose', which is right for 0.600 of them."
    """
    counts = {label: each["support"] for label, each in found["classes"].items()}
    largest = max(counts, key=counts.__getitem__)
    total = found["pictures"]
    if counts[largest] == total or found["accuracy"]["low"] > counts[largest] / total:
        return None
    return (
        f"As far as {total:,} pictures tell, this is no better than always answering {largest!r}, "
        f"which is right for {counts[largest] / total:.3f} of them."
    )
