"""Decisions are made once, and followed by a search that continues."""

import pytest

from topwork.runs.search.decisions import Decisions, Over


def never():
    raise AssertionError("decided again")


def test_decisions_are_followed_in_their_order(tmp_path):
    path = tmp_path / "decisions.jsonl"
    first = Decisions(path)
    assert first.made("first", lambda: 2) == 2
    assert first.made("next", lambda: ["new", 0, 2]) == ["new", 0, 2]
    again = Decisions(path)
    assert again.made("first", never) == 2
    assert again.made("next", never) == ["new", 0, 2]
    assert again.made("next", lambda: ["try", 1, 6]) == ["try", 1, 6]
    assert len(path.read_text().splitlines()) == 3


def test_the_end_is_final(tmp_path):
    path = tmp_path / "decisions.jsonl"
    first = Decisions(path)
    first.made("first", lambda: 2)
    assert not first.has_ended
    assert first.end("the time was used") == "the time was used"
    again = Decisions(path)
    assert again.has_ended
    again.made("first", never)
    with pytest.raises(Over):
        again.made("next", never)
    assert again.end("Ctrl-C") == "the time was used"


def test_a_line_that_was_cut_off_is_decided_again(tmp_path):
    path = tmp_path / "decisions.jsonl"
    Decisions(path).made("first", lambda: 2)
    with path.open("a") as file:
        file.write('{"name": "next", "val')
    again = Decisions(path)
    assert again.made("first", never) == 2
    assert again.made("next", lambda: 7) == 7
    assert Decisions(path).made("first", never) == 2
