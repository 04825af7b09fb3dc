"""Attributes are replaced temporarily."""

import pytest

from topwork.system.replaced import replaced


def test_what_was_there_is_back_whatever_happens():
    class Owner:
        word = "before"

    def fails():
        with replaced(Owner, "word", "meanwhile"):
            raise ValueError(Owner.word)

    with pytest.raises(ValueError, match="meanwhile"):
        fails()
    assert Owner.word == "before"
