from collections import Counter
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topwork.data.dataset import PARTS, Dataset, Row
from topwork.data.splits import HOWS, draw, units_of
from topwork.errors import DatasetError, RecipeError
from topwork.recipes.settings import Data


def row(name, label="a", split=None, group=None):
    """Return a row whose content follows from the digits in *name*: 'x1' and 'y1' are equal pictures."""
    content = "".join(letter for letter in name if letter.isdigit())
    return Row(name, sha256(content.encode()).hexdigest(), label, split, group)


def rows(count, labels="ab"):
    return tuple(row(f"p{i}", labels[i % len(labels)]) for i in range(count))


def parts(dataset):
    return {row.path: row.split for row in dataset.rows}


def of(*given_rows):
    return Dataset("/d", given_rows)


contents, labels, groups = st.integers(0, 30), st.sampled_from("abc"), st.sampled_from([None, None, "g", "h", "i", "j"])
some_rows = st.lists(st.tuples(contents, labels, groups), max_size=40).map(
    lambda drawn: tuple(
        row(f"{'x' * (k + 1)}{content}", label, None, group) for k, (content, label, group) in enumerate(drawn)
    )
)
shares = st.sampled_from(
    [(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.9, 0.0, 0.1), (0.7, 0.3, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)]
)


def draws(given_rows, *options):
    """Return the draw, or `None` if a stratified draw is refused."""
    try:
        return draw(of(*given_rows), *options)
    except DatasetError:
        return None


@given(given_rows=some_rows, shares=shares, how=st.sampled_from(HOWS), seed=st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_every_row_gets_a_part_with_a_share_and_nothing_else_changes(given_rows, shares, how, seed):
    drawn = draws(given_rows, shares, how, seed)
    if drawn is not None:
        assert tuple(replace(row, split=None) for row in drawn.rows) == given_rows
        assert {row.split for row in drawn.rows} <= {part for part, share in zip(PARTS, shares) if share}
        assert drawn == draws(given_rows, shares, how, seed)


@given(
    given_rows=some_rows,
    how=st.sampled_from(HOWS),
    seed=st.integers(0, 3),
    given_parts=st.lists(st.sampled_from([None, *PARTS])),
)
@settings(max_examples=200, deadline=None)
def test_equal_contents_and_groups_share_a_part(given_rows, how, seed, given_parts):
    given_rows = (
        tuple(replace(row, split=part) for row, part in zip(given_rows, given_parts)) + given_rows[len(given_parts) :]
    )
    drawn = draws(given_rows, (0.5, 0.25, 0.25), how, seed)
    for key in ("digest", "group"):
        found = {(getattr(row, key), row.split) for row in (drawn.rows if drawn else ()) if getattr(row, key)}
        assert max(Counter(value for value, _ in found).values(), default=1) == 1


@given(given_rows=some_rows, more=some_rows, seed=st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_a_hash_draw_never_moves_a_picture_when_others_come(given_rows, more, seed):
    ungrouped = tuple(replace(row, group=None) for row in given_rows)
    later = tuple(replace(row, path="later" + row.path, group=None) for row in more)
    before, after = (parts(draw(of(*some), how="hash", seed=seed)) for some in (ungrouped, later + ungrouped))
    assert {path: after[path] for path in before} == before


@given(given_rows=some_rows, more=some_rows, seed=st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_what_joining_groups_moves_is_told(given_rows, more, seed):
    before = parts(draw(of(*given_rows), how="hash", seed=seed))
    later = (replace(row, path="later" + row.path) for row in more)
    after = draw(of(*given_rows, *later), how="hash", seed=seed)
    moved = {path for path, part in before.items() if parts(after)[path] != part}
    assert not moved or any(
        note.startswith("Moved, because equal pictures and groups share a part:") for note in after.notes
    )


@given(
    counts=st.lists(st.integers(2, 40), min_size=1, max_size=6),
    shares=st.tuples(st.integers(0, 10), st.integers(0, 10), st.integers(1, 10)),
    seed=st.integers(0, 3),
)
@settings(max_examples=100, deadline=None)
def test_a_stratified_draw_is_exact_in_each_class(counts, shares, seed):
    shares = [share / sum(shares) for share in shares]
    labels = "".join(label * count for label, count in zip("abcdef", counts))
    given_rows = tuple(row(f"p{i}", label) for i, label in enumerate(labels))
    drawn = draw(of(*given_rows), shares, "stratified", seed)
    for label, count in zip("abcdef", counts):
        for part, share in zip(PARTS, shares):
            assert abs(drawn.counts()[label][part] - count * share) < 1 - 1e-9
    for part, share in zip(PARTS, shares):
        assert abs(len(drawn.part(part)) - len(given_rows) * share) < 2


def test_small_classes_take_turns_in_a_stratified_draw():
    drawn = draw(of(*rows(20, "abcd")), how="stratified")
    assert [len(drawn.part(part)) for part in PARTS] == [16, 2, 2]


def test_a_stratified_draw_keeps_its_shares_with_groups():
    grouped = tuple(replace(row, group=f"g{i // 5}") for i, row in enumerate(rows(200)))
    drawn = draw(of(*grouped), how="stratified")
    assert [len(drawn.part(part)) for part in PARTS] == [160, 20, 20]


@pytest.mark.parametrize("seed", range(5))
def test_large_groups_are_placed_first_so_that_single_rows_can_fill_up(seed):
    given_rows = [row(f"x{i}", group="g" if i < 10 else None) for i in range(20)]
    drawn = draw(of(*given_rows), (0.5, 0.0, 0.5), "stratified", seed)
    assert [len(drawn.part(part)) for part in PARTS] == [10, 0, 10]


def test_the_shares_of_a_hash_draw_are_right_within_its_scatter():
    drawn = draw(of(*rows(4000)))
    assert [len(drawn.part(part)) for part in PARTS] == pytest.approx([3200, 400, 400], abs=60)
    assert drawn.notes == ()


def test_another_seed_gives_another_draw():
    assert parts(draw(of(*rows(50)), seed=0)) != parts(draw(of(*rows(50)), seed=1))
    first, second = (parts(draw(of(*rows(50)), how="stratified", seed=seed)) for seed in (0, 1))
    assert first != second


def test_a_hash_draw_is_the_same_today_as_ever():
    drawn = draw(of(*rows(12)), how="hash")
    assert [i for i, row in enumerate(drawn.rows) if row.split != "train"] == [1, 4, 11]


def test_last_takes_the_rows_as_they_stand():
    drawn = draw(of(*rows(20)), how="last")
    assert [row.split for row in drawn.rows] == ["train"] * 16 + ["val"] * 2 + ["test"] * 2
    assert [row.split for row in draw(of(*rows(5)), how="last").rows] == ["train"] * 4 + ["test"]


def test_given_parts_stay_and_no_other_is_drawn():
    given_rows = tuple(replace(row, split="test" if i % 3 == 0 else "train") for i, row in enumerate(rows(30)))
    drawn = draw(of(*given_rows))
    assert drawn.rows == given_rows
    assert drawn.notes == ()


def test_rows_without_a_part_are_drawn_beside_given_ones():
    drawn = draw(
        of(*(replace(row, split="val") for row in rows(10)), *(row(f"q{i}", "ab"[i % 2]) for i in range(100, 400)))
    )
    assert [row.split for row in drawn.rows[:10]] == ["val"] * 10
    assert {row.split for row in drawn.rows[10:]} == set(PARTS)


@pytest.mark.parametrize(
    ("first", "second", "stays"), [("train", "test", "test"), ("val", "train", "val"), ("test", "val", "test")]
)
def test_a_content_in_two_given_parts_goes_to_the_stronger(first, second, stays):
    drawn = draw(of(row("x1", split=first), row("y1", split=second)))
    moved, was = ("x1", first) if second == stays else ("y1", second)
    assert parts(drawn) == {"x1": stays, "y1": stays}
    assert drawn.notes[0] == f"Moved, because equal pictures and groups share a part: {moved!r} from {was} to {stays}."


def test_a_group_in_two_given_parts_goes_to_the_stronger():
    drawn = draw(of(row("x1", split="train", group="g"), row("x2", split="test", group="g"), row("x3", split="train")))
    assert [row.split for row in drawn.rows] == ["test", "test", "train"]


def test_groups_with_a_common_picture_are_joined_and_that_is_told():
    apart = {
        "g": [row(f"x{i}", "ab"[i % 2], group="g") for i in (1, 2)],
        "h": [row(f"x{i}", "ab"[i % 2], group="h") for i in (3, 4)],
    }
    seed = next(
        s for s in range(50) if len({row.split for row in draw(of(*apart["g"], *apart["h"]), seed=s).rows}) == 2
    )
    before = parts(draw(of(*apart["g"], *apart["h"]), seed=seed))
    drawn = draw(of(*apart["g"], *apart["h"], row("y2", group="h")), seed=seed)
    assert {row.split for row in drawn.rows} == {before["x1"]}
    change = f"from {before['x3']} to {before['x1']}"
    assert drawn.notes[:2] == (
        f"Moved, because equal pictures and groups share a part: 'x3' {change}, 'x4' {change}, 'y2' {change}.",
        "Joined, because these groups have a picture in common: 'g' and 'h'.",
    )


def test_of_many_moves_a_few_are_named():
    given_rows = [row(f"{'x' * k}1", split="train") for k in range(1, 7)]
    drawn = draw(of(*given_rows, row("y1", split="test")))
    told = "'x1' from train to test, 'xx1' from train to test, 'xxx1' from train to test and 3 more."
    assert drawn.notes[0] == f"Moved, because equal pictures and groups share a part: {told}"


def test_an_empty_part_is_told_with_the_way_out():
    one = draw(of(*rows(2)), (0.5, 0.5, 0.0), seed=7)
    assert {row.split for row in one.rows} == {"train"}
    assert one.notes == ('The val part is empty: draw="stratified" gives each class its exact shares.',)
    few = draw(of(*rows(4)), (0.9, 0.0, 0.1), how="stratified")
    assert few.notes == ("The test part is empty: add pictures or raise its share.",)


def test_classes_that_a_part_lacks_are_told():
    drawn = draw(
        of(
            *(
                row(f"x{i}", label, split)
                for i, (label, split) in enumerate([("a", "train"), ("b", "train"), ("b", "test"), ("c", "test")])
            )
        )
    )
    assert drawn.notes == (
        "Classes without a picture in the train part, so training is refused: 'c'.",
        "Classes without a picture in the test part, which are not tested: 'a'.",
    )


def test_notes_that_were_there_stay():
    assert draw(Dataset("/d", rows(100), notes=("before",)), how="stratified").notes == ("before",)


def test_a_stratified_draw_refuses_a_class_of_one_picture():
    with pytest.raises(DatasetError) as error:
        draw(of(*rows(10), row("x99", "lonely")), how="stratified")
    assert str(error.value) == (
        "class 'lonely' has one picture: a stratified draw needs at least two of each class. "
        'Add pictures, leave the class out, or draw by draw="hash".'
    )


@pytest.mark.parametrize("shares", [(0.8, 0.1), (0.8, 0.1, 0.2), (1.1, -0.1, 0.0)])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(RecipeError) as error:
        draw(of(*rows(4)), shares)
    given_as = ", ".join(map(str, shares)).replace("0.0", "0")
    assert str(error.value) == (
        f"split = ({given_as}): expected the shares of train, val and test, none below 0, that add up to 1, "
        "as in (0.8, 0.1, 0.1)."
    )


def test_an_unknown_way_to_draw_is_refused():
    with pytest.raises(RecipeError) as error:
        draw(of(*rows(4)), how="stratify")
    assert (
        str(error.value)
        == "draw = 'stratify': expected 'auto' or 'hash' or 'stratified' or 'last'; did you mean 'stratified'?"
    )


def pair(front, side, label="a", split=None, group=None):
    """Return a row of two pictures, given by the numbers of their contents."""
    digests = [sha256(str(number).encode()).hexdigest() for number in (front, side)]
    return Row(f"f{front}", digests[0], label, split, group, ((f"s{side}", digests[1]),))


pairs = st.lists(st.tuples(st.integers(0, 40), st.integers(20, 60), labels, groups), max_size=30).map(
    lambda drawn: tuple(pair(front, side, label, None, group) for front, side, label, group in drawn)
)


@given(given_rows=pairs, how=st.sampled_from(HOWS), seed=st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_rows_that_share_any_picture_or_a_group_share_a_part(given_rows, how, seed):
    drawn = draws(given_rows, (0.5, 0.25, 0.25), how, seed)
    ties = [
        (tie, row.split)
        for row in (drawn.rows if drawn else ())
        for tie in (*(digest for _, digest in row.pictures), row.group)
        if tie
    ]
    assert len(set(ties)) == len({tie for tie, _ in ties})


@given(given_rows=pairs, seed=st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_the_order_of_rows_changes_no_hash_draw(given_rows, seed):
    forth, back = (draw(of(*some), how="hash", seed=seed) for some in (given_rows, given_rows[::-1]))
    assert forth.rows == back.rows[::-1]


def test_a_chain_of_shared_pictures_is_one_unit():
    assert units_of((pair(1, 2), pair(3, 4), pair(5, 2), pair(3, 6), pair(5, 6), pair(7, 8))) == [[0, 1, 2, 3, 4], [5]]


def test_rows_of_several_pictures_are_drawn_by_all_of_them():
    same_front = [draw(of(pair(0, side))).rows[0].split for side in range(100, 200)]
    assert set(same_front) == set(PARTS)
    assert draw(of(*(pair(i, 1000 + i) for i in range(10)))).rows[0].split == draw(of(pair(0, 1000))).rows[0].split


def test_a_shared_picture_in_two_given_parts_goes_to_the_stronger():
    drawn = draw(of(pair(1, 2, split="train"), pair(3, 2, split="test")))
    assert [row.split for row in drawn.rows] == ["test", "test"]
    assert drawn.notes[0] == "Moved, because equal pictures and groups share a part: 'f1' from train to test."


def test_how_the_parts_were_drawn_is_kept():
    assert draw(of(*rows(20)), [0.5, 0.25, 0.25], "last", np.int64(3)).drawn == Data((0.5, 0.25, 0.25), "last", 3)
    assert type(draw(of(*rows(20)), seed=np.int64(3)).drawn.seed) is int
    assert draw(of(*(replace(row, split="train") for row in rows(20))), seed=3).drawn is None


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range(seed):
    with pytest.raises(RecipeError) as error:
        draw(of(*rows(20)), seed=seed)
    assert str(error.value) == f"seed = {seed}: expected between 0 and 4294967295."


def test_a_stratified_draw_of_nothing_needs_no_two_of_a_class():
    given_rows = [replace(row, split="train", label=str(i)) for i, row in enumerate(rows(4))]
    assert [row.split for row in draw(of(*given_rows), how="stratified").rows] == ["train"] * 4


def test_a_single_group_is_named_as_the_cause():
    one = draw(of(*(replace(row, group="g") for row in rows(20))), how="stratified")
    assert "All rows belong together, because equal pictures and groups do: they are in one part." in one.notes
    assert len({row.split for row in one.rows}) == 1


@pytest.mark.parametrize(
    ("given_rows", "taken"),
    [
        (rows(20), "stratified"),
        (rows(1998), "stratified"),
        (rows(2000), "hash"),
        ((*rows(20), row("c3001", "c"), row("c3002", "c")), "hash"),
        ((*rows(20), row("c3001", "c"), row("c3002", "c"), row("c3003", "c")), "stratified"),
        ((*rows(20), row("c3001", "c"), row("c3002", "c", group="g"), row("c3003", "c", group="g")), "hash"),
    ],
)
def test_splits_of_few_pictures_are_stratified_where_each_class_has_three_independent_ones(given_rows, taken):
    drawn = draw(of(*given_rows), seed=5)
    assert drawn.drawn == Data(draw=taken, seed=5)
    assert drawn.rows == draw(of(*given_rows), how=taken, seed=5).rows


def test_a_draw_of_few_pictures_gives_each_class_its_share_of_the_test_part():
    counts = draw(of(*rows(480, "abcde"))).counts()
    assert {label: each["test"] for label, each in counts.items()} == pytest.approx(dict.fromkeys("abcde", 9.6), abs=1)
