"""Records are written as JSON and read back."""

import json
from dataclasses import dataclass, field

import pytest

from topwork.system.records import Record


@dataclass(frozen=True)
class Leaf(Record):
    name: str
    size: float | None


@dataclass(frozen=True)
class Tree(Record):
    leaves: list[Leaf]
    by_name: dict[str, Leaf | None]
    best: Leaf | None = None
    counts: dict[str, list[int]] = field(default_factory=dict)


TREE = Tree([Leaf("a", 1.5), Leaf("b", None)], {"c": Leaf("c", 2.0), "d": None}, Leaf("e", 0.1), {"f": [1, 2]})


def test_records_within_records_are_written_and_read():
    written = json.loads(json.dumps(TREE.as_json()))
    assert written["leaves"] == [{"name": "a", "size": 1.5}, {"name": "b", "size": None}]
    assert Tree.from_json(written) == TREE


def test_what_an_older_version_did_not_write_has_its_default_and_what_a_newer_one_did_is_passed_over():
    assert Tree.from_json({"leaves": [], "by_name": {}, "colour": "green"}) == Tree([], {})


def test_a_key_that_must_be_there():
    with pytest.raises(KeyError, match="by_name"):
        Tree.from_json({"leaves": []})
