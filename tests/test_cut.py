import pytest
from hypothesis import given
from hypothesis import strategies as st

from topwork.cut import Cut, Term
from topwork.errors import CutError

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
PLACES = st.one_of(st.integers(0, 999), st.from_regex(r"[a-z][A-Za-z0-9_/]{0,8}", fullmatch=True))
TERMS = st.builds(Term, NAMES, PLACES, PLACES, st.none() | NAMES)


@given(st.lists(TERMS, min_size=1, max_size=3))
def test_what_is_printed_is_read_again(terms):
    cut = Cut(tuple(terms))
    assert Cut.parse(str(cut)) == cut


def test_places_are_names_or_numbers():
    assert Cut.parse("resnet50@100").only == Term("resnet50", 100, "pool")
    assert Cut.parse(" x@mixed5..mixed5+y@pool[side] ").terms == (
        Term("x", "mixed5", "mixed5"),
        Term("y", "pool", "pool", "side"),
    )


@pytest.mark.parametrize("text", ["", "x", "@pool", "x@", "x@a..", "x@..b", "x@a..b..c", "x@a +", "x@a[", "x y@a"])
def test_what_is_no_cut(text):
    part = text.split("+")[-1].strip() if text.endswith("+") else text
    name = "x" if text == "x" else "mobilenet_v2"
    with pytest.raises(CutError) as error:
        Cut.parse(text)
    assert str(error.value) == (
        f"cannot read {part!r} in the cut {text!r}: expected BACKBONE@PLACE or BACKBONE@PLACE..END, "
        f"as in '{name}@pool' or 'resnet50@conv4_block6_out'."
    )


def test_a_sum_is_not_one_term():
    with pytest.raises(CutError) as error:
        _ = Cut.parse("x@a + y@b").only
    assert str(error.value) == "cannot use the sum 'x@a + y@b' here: one backbone and one place were expected."
