"""Attributes and environment variables are replaced temporarily."""

import os

import pytest

from topwork.system.replaced import replaced, variable


def test_what_was_there_is_back_whatever_happens():
    class Owner:
        word = "before"

    def fails():
        with replaced(Owner, "word", "meanwhile"):
            raise ValueError(Owner.word)

    with pytest.raises(ValueError, match="meanwhile"):
        fails()
    assert Owner.word == "before"


def test_a_variable_that_was_not_there_is_gone_afterwards(monkeypatch):
    monkeypatch.delenv("TOPWORK_TRIED", raising=False)
    with variable("TOPWORK_TRIED", "1"), variable("TOPWORK_TRIED", "2"):
        assert os.environ["TOPWORK_TRIED"] == "2"
    assert "TOPWORK_TRIED" not in os.environ
