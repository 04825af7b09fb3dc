"""Rename keys that had another name in run folders of format 1, so that recipes in these folders can still be read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAMES = {
    "rate": "learning_rate",
    "batch": "batch_size",
    "warmup": "warmup_epochs",
    "clip_norm": "global_clipnorm",
    "initializer": "kernel_initializer",
    "fill": "fill_mode",
}
"""Name in format 1 -> name in later formats."""


def is_of_format_1(recipe: Path) -> bool:
    """Return whether a recipe is in a run folder of format 1, according to the ``environment.json`` beside it."""
    try:
        about = json.loads(recipe.with_name("environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("format") == 1


def with_new_names(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of a recipe of format 1 with its keys renamed.

    >>> with_new_names({"phase": [{"cut": "vgg16@pool", "rate": 0.1}], "views": {"fill": "nearest"}})
    {'phase': [{'cut': 'vgg16@pool', 'learning_rate': 0.1}], 'views': {'fill_mode': 'nearest'}}
    """
    renamed: dict[str, Any] = {}
    for key, part in table.items():
        rows = []
        for row in part if isinstance(part, list) else [part]:
            is_table = isinstance(row, dict)
            rows.append({NAMES.get(old, old): value for old, value in row.items()} if is_table else row)
        renamed[key] = rows if isinstance(part, list) else rows[0]
    return renamed
